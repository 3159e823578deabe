// Leaf kernels of the passes over grids, one table per instruction set: one row of a chunk of columns at a time.
#pragma once
#include <stdint.h>

template <class T> struct so_grid_rows {
  void (*add_products)(const T* a, const T* b, T* sums, int64_t n);     // sums += a b
  void (*add_sum_squares)(const T* a, const T* b, T* sums, int64_t n);  // sums += (a + b)^2
  void (*scale)(const T* w, const T* s, T* out, int64_t n);             // out = s w, 0 where s is 0
  void (*scale_vjp)(const T* w, const T* g, const T* s, T* dw, T* sums, int64_t n);
  void (*triple)(const T* w, T* z, T* u, const T* kept, T* primal, T* dual, int64_t n);
  void (*augment)(const T* w, const T* z, const T* u, T* g, T rho, int64_t n);  // g += rho (w - z + u)
  void (*add_scaled)(const T* w, const T* s, T* g, int64_t n);  // g += s w where s is not 0
};

struct so_grid_kernels {
  so_grid_rows<float> f32;
  so_grid_rows<double> f64;
};

extern const so_grid_kernels so_grid_baseline;
#ifdef SO_MULTI_ISA
extern const so_grid_kernels so_grid_v3, so_grid_v4;
#endif
