// The leaf kernels, one table per instruction set. Lane l of a block's accumulator holds the sum of squares of its columns
// j with j % SO_LANES == l, taken row by row. Order and lanes are fixed: the same numbers whatever the instruction set, the
// tiling and the number of threads.
#pragma once
#include <stdint.h>

#define SO_LANES 16

// nb neighbouring blocks, rows ld apart, to be read: lanes [nb, SO_LANES] += squares. ahead: where a tile starts that is
// fetched into the cache on the way; any address.
template <class T> struct so_reading {
  const T* w;
  int64_t ld, nb;
  T* lanes;
  const T* ahead;
};

// nb neighbouring blocks to be written: out = w times scale [nb]; a zero scale writes zeros; stream: bypass the cache.
template <class T> struct so_writing {
  const T* w;
  T* out;
  int64_t ld, ld_out, nb;
  const T* scale;
  bool stream;
};

template <class T> struct so_row_kernels {
  // row by row and block by block of size br x bc: a row of one to read, a row of one to write; either nb may be 0
  void (*sweep)(const so_reading<T>& reading, const so_writing<T>& writing, int64_t br, int64_t bc);
  // sums [nb] of the lanes [nb, SO_LANES], halving: 8 + 8, 4 + 4, 2 + 2, 1 + 1
  void (*fold)(const T* lanes, int64_t nb, T* sums);
};

struct so_isa {
  const char* name;
  so_row_kernels<float> f32;
  so_row_kernels<double> f64;
};

extern const so_isa so_isa_baseline;
#ifdef SO_MULTI_ISA
extern const so_isa so_isa_v3, so_isa_v4;
#endif

template <class T> const so_row_kernels<T>& so_rows();  // those of this machine

const int64_t so_stream_bytes = 4 << 20;  // a larger `out` is written past the cache
