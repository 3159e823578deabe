// Passes over matrices cut into a grid of blocks whose columns come in taps, as in the kernels of a convolution: element
// (o, i, t) of a weight [rows, channels, taps] is at o * ld + i * taps + t, and block (a, b, t) holds rows a * br, ... and
// channels b * bc, ... of tap t. Blocks at the border may be cut off. Arrays over blocks are [ceil(rows / br),
// ceil(channels / bc), taps]; all matrices of a call have the same layout.
#pragma once
#include <stdint.h>

struct so_grid {
  int64_t rows, channels, taps, ld, br, bc;
};

// Results do not depend on the number of threads (<= 0: as many as OpenMP offers), nor on the instruction set: products are
// rounded, then added, column by column.
template <class T> void so_grid_dots(const T* a, const T* b, T* dots, const so_grid& grid, int threads);         // sum a b
template <class T> void so_grid_sum_norms(const T* a, const T* b, T* norms, const so_grid& grid, int threads);   // |a + b|
template <class T> void so_grid_scale(const T* w, const T* scale, T* out, const so_grid& grid, int threads);     // scale w
template <class T>
void so_grid_scale_vjp(const T* w, const T* g, const T* scale, T* dw, T* dscale, const so_grid& grid, int threads);

// z = u + w in the blocks that are kept, else 0; u = u + w - z; residuals: |w - z|^2 and |z - (z before)|^2.
template <class T> struct so_triple {
  const T* w;
  T *z, *u;
  const uint8_t* kept;
};
template <class T> void so_grid_admm(const so_triple<T>& triple, double* residuals, const so_grid& grid, int threads);

// out = w in the blocks that are kept, else 0
template <class T> void so_grid_mask(const T* w, const uint8_t* kept, T* out, const so_grid& grid, int threads);

// g += rho * (w - z + u)
template <class T> void so_grid_augment(const so_triple<T>& triple, T* g, double rho, const so_grid& grid, int threads);

// g += scale w
template <class T> void so_grid_add_scaled(const T* w, const T* scale, T* g, const so_grid& grid, int threads);

// g += pull * w in the blocks that are not kept.
template <class T>
void so_grid_decay(const T* w, T* g, const uint8_t* kept, double pull, const so_grid& grid, int threads);
