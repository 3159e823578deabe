// Passes over matrices in blocks of whole cache lines, as fast as memory delivers them: what can be said of a block as a whole is
// not read entry by entry. The update of ADMM, z = P(w + u), u += w - z, in two steps, between which the blocks to keep are
// chosen.
#pragma once
#include "grid.h"

// Whether blocks are whole lines of T: no taps, no columns cut off; rows may be.
template <class T> bool so_lines_take(const so_grid& grid);

// Results depend neither on the number of threads (<= 0: as many as OpenMP offers) nor on the instruction set.
template <class T> void so_lines_dots(const T* a, const T* b, T* dots, const so_grid& grid, int threads);        // sum a b
template <class T> void so_lines_sum_norms(const T* a, const T* b, T* norms, const so_grid& grid, int threads);  // |a + b|

// out = w times one number for each block, 0 where that is 0, past the cache; out is not w.
template <class T> void so_lines_scale(const T* w, const T* scale, T* out, const so_grid& grid, int threads);

// The squares of the norms of a block of u, of w and of their sum.
struct so_squares {
  double u, w, sum;
};

// u += w; of every block norms = |u| after that, and the squares.
template <class T> struct so_adding {
  const T* w;
  T *u, *norms;
  so_squares* squares;
};
template <class T> void so_lines_add(const so_adding<T>& given, const so_grid& grid, int threads);

// With the sums in u: z = u in the blocks that are kept, else 0; u -= z. residuals: |w - z|^2 and |z - (z before)|^2, where
// |w - z| of a block that is kept is |u| before the sum. occupied and held, of the z before and then of the new one: whether a
// block may have other entries than 0, and its |z|^2. Where z stays 0 it is not touched; it is read where it is kept again.
template <class T> struct so_splitting {
  T *z, *u;
  const so_squares* squares;
  const uint8_t* kept;
  uint8_t* occupied;
  double* held;
};
template <class T> void so_lines_split(const so_splitting<T>& given, double* residuals, const so_grid& grid, int threads);

// g += pull * w in the blocks that are not kept; the others are not read.
template <class T>
void so_lines_decay(const T* w, T* g, const uint8_t* kept, double pull, const so_grid& grid, int threads);
