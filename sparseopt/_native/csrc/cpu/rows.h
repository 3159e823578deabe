// The leaf kernels, one table per instruction set. Lane l of a block's accumulator holds the sum of squares of its columns
// j with j % SO_LANES == l, in order of rows, then columns: the same numbers whatever the instruction set.
#pragma once
#include <stdint.h>

#define SO_LANES 16

template <class T> struct so_row_kernels {
  // lanes [nb, SO_LANES] += squares of `rows` consecutive rows of nb neighbouring blocks
  void (*add_squares)(const T* w, int64_t ld, int rows, int64_t nb, int64_t bc, T* lanes);
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
