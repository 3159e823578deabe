// Leaf kernels of the passes over grids, one table per instruction set: some rows of a chunk of columns at a time.
#pragma once
#include <stdint.h>

#define SO_GRID_LINE 64  // bytes of a cache line

// What belongs to the columns of a row of blocks. width 0: values has one entry per column, and so have sums. Else one entry per
// block of `width` columns, whole lines of them, and a line of sums, each of every so many columns.
template <class T> struct so_per_block {
  const T* values;
  int64_t width;
};

// Rows of n columns, ld apart. What belongs to columns is the same in all of them.
struct so_band {
  int64_t rows, ld, n;
};

#define SO_GRID_SLACK 64  // entries behind rows of columns that `spread` writes and `fold` reads

template <class T> struct so_grid_rows {
  // numbers of `blocks` neighbours [blocks, taps] to each of their columns [blocks, width, taps], and the sums of those
  void (*spread)(const T* values, int64_t taps, int64_t width, int64_t blocks, T* to);
  void (*fold)(T* from, int64_t taps, int64_t width, int64_t blocks, double* sums);  // sums += columns, which become 0
  void (*add_products)(const T* a, const T* b, int64_t width, T* sums, so_band band);     // sums += a b
  void (*add_sum_squares)(const T* a, const T* b, int64_t width, T* sums, so_band band);  // sums += (a + b)^2
  // out = s w, 0 where s is 0; what lies `next` entries away is fetched for the pass behind it
  void (*scale)(const T* w, so_per_block<T> s, T* out, bool stream, so_band band, int64_t next);
  void (*mask)(T* w, so_per_block<T> kept, so_band band);                                 // w = 0 where not kept
  void (*scale_vjp)(const T* w, const T* g, so_per_block<T> s, T* dw, T* sums, so_band band);
  void (*triple)(const T* w, T* z, T* u, so_per_block<T> kept, T* primal, T* dual, so_band band);
  void (*augment)(const T* w, const T* z, const T* u, T* g, T rho, so_band band);    // g += rho (w - z + u); u null: 0
  void (*add_scaled)(const T* w, so_per_block<T> s, T* g, so_band band);             // g += s w where s is not 0
  // g = g factors + along w; along 0: g factors; `next` as in scale, 0: nothing is fetched
  void (*combine)(const T* w, const T* along, T* g, const T* factors, so_band band, int64_t next);
};

struct so_grid_kernels {
  so_grid_rows<float> f32;
  so_grid_rows<double> f64;
};

extern const so_grid_kernels so_grid_baseline;
#ifdef SO_MULTI_ISA
extern const so_grid_kernels so_grid_v3, so_grid_v4;
#endif
