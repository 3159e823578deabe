// The leaf kernels, one table per instruction set. Lane l of a block's accumulator holds the sum of squares of its columns
// j with j % SO_LANES == l. Rows are taken in the order 0, gap, 2 gap, 3 gap, 1, 1 + gap, ...: four streams of memory side by
// side. Order and lanes are fixed: the same numbers whatever the instruction set, the tiling and the number of threads.
#pragma once
#include <stdint.h>

#define SO_LANES 16

#define SO_STREAMS 4

// Rows first, first + gap, ... then first + 1, first + 1 + gap, ... up to first + n - 1, all below `rows`.
struct so_row_order {
  int64_t rows, gap, first, n;
};

template <class T> struct so_row_kernels {
  // lanes [nb, SO_LANES] += squares of some rows of nb neighbouring blocks
  void (*add_squares)(const T* w, int64_t ld, so_row_order order, int64_t nb, int64_t bc, T* lanes);
  // sums [nb] of the lanes [nb, SO_LANES], halving: 8 + 8, 4 + 4, 2 + 2, 1 + 1
  void (*fold)(const T* lanes, int64_t nb, T* sums);
  // one row of nb blocks times scale [nb]; a zero scale writes zeros; stream: bypass the cache
  void (*scale)(const T* w, T* out, int64_t nb, int64_t bc, const T* scale, bool stream);
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
