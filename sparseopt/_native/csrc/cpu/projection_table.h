// The vector kernels of the projections, one table per instruction set; a null pointer where there is none.
#pragma once
#include "../projection.h"

// 4 x 4 patterns as 16-bit masks. decide(w, ld, context): the mask of one tile where vectors leave a doubt.
struct so_patterns44 {
  int count;
  const uint32_t* masks;
  uint32_t (*decide)(const float* w, int64_t ld, void* context);
  void* context;
};

struct so_projections {
  // windows of 4 or 8 in w [count], count a multiple of `step`; returns the largest bits of a magnitude
  uint32_t (*nm4)(const float* w, float* out, int64_t count, int n);
  uint32_t (*nm8)(const float* w, float* out, int64_t count, int n);
  // one row of 4 x 4 tiles: 4 rows of `cols` entries, a multiple of 4 * step
  void (*library)(const float* w, float* out, int64_t ld, int64_t ld_out, int64_t cols, const so_patterns44& patterns);
  void (*transposable24)(const float* w, float* out, int64_t ld, int64_t ld_out, int64_t cols, const so_patterns44& patterns);
  // zeros past the cache: n floats
  void (*zeros)(float* out, int64_t n);
  int step;  // floats in a vector
};

extern const so_projections so_projections_baseline;
#ifdef SO_MULTI_ISA
extern const so_projections so_projections_v3, so_projections_v4;
#endif
