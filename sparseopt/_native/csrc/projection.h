// Projections onto mask sets: N:M along rows, pattern libraries on tiles, whole blocks. The scalar source here decides on the
// CPU wherever vectors leave a doubt, and is what CUDA runs. Ties go to the lowest index; kept entries are not touched.
// sparseopt/sets says what is computed; tests/native/test_projections.py pins the two to each other.
#pragma once
#include "block.h"
#include "half.h"
#include "radial.h"

#include <float.h>

#define SO_TILE 64  // entries of a tile at most: one bit each

// Matrix [rows, cols], rows ld (input) and ld_out (output) apart, in elements. out may be w.
struct so_plane {
  int64_t rows, cols, ld, ld_out;
};

// count masks of tiles r x c, bit i * c + j for entry (i, j); transposable24: they are the 186 maximal patterns of that name.
struct so_library {
  int r, c, count;
  const uint64_t* masks;
  bool transposable24;
};

template <class T> SO_HD bool so_finite(T a) { return fabs((double)so_wide(a)) <= DBL_MAX; }

// How many entries of p [len], `stride` apart, come before entry i: larger magnitudes, and equal ones with a lower index.
template <class T> SO_HD int so_rank(const T* p, int64_t stride, int len, int i) {
  const double a = fabs((double)so_wide(p[i * stride]));
  int rank = 0;
  for (int j = 0; j < len; ++j) {
    const double b = fabs((double)so_wide(p[j * stride]));
    rank += b > a || (b == a && j < i);
  }
  return rank;
}

// Power of two that brings the squares of numbers up to `largest` into range.
SO_HD double so_into_range(double largest) {
  if (largest > 1.6069380442589903e60) return 2.4099198651028841e-181;  // 2^200, 2^-600
  return largest < 6.2230152778611417e-61 ? 4.1495155688809930e180 : 1.0;
}

// Sum of the squares of the entries of x in `mask` times factor, in increasing order: permuted entries have the same sum.
SO_HD double so_ordered_energy(const double* x, int n, uint64_t mask, double factor) {
  double sorted[SO_TILE], sum = 0.0;
  int count = 0;
  for (int i = 0; i < n; ++i) {
    if (!(mask >> i & 1)) continue;
    const double a = x[i] * factor, square = a * a;
    int k = count++;
    for (; k > 0 && sorted[k - 1] > square; --k) sorted[k] = sorted[k - 1];
    sorted[k] = square;
  }
  for (int k = 0; k < count; ++k) sum += sorted[k];
  return sum;
}

// Whether mask a keeps more of x [n] than mask b: by the entries that only one of them keeps.
SO_HD bool so_keeps_more(const double* x, int n, uint64_t a, uint64_t b) {
  double largest = 0.0;
  for (int i = 0; i < n; ++i)
    if ((a ^ b) >> i & 1) largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
  const double factor = so_into_range(largest);
  return so_ordered_energy(x, n, a & ~b, factor) > so_ordered_energy(x, n, b & ~a, factor);
}

SO_HD double so_energy(const double* squares, int n, uint64_t mask) {
  double sum = 0.0;
  for (int i = 0; i < n; ++i) sum += mask >> i & 1 ? squares[i] : 0.0;
  return sum;
}

// Index of the first mask that keeps most of x [n]; -1 where an entry is not finite.
SO_HD int so_best_mask(const double* x, int n, const uint64_t* masks, int count) {
  double largest = 0.0, squares[SO_TILE], most = 0.0;
  for (int i = 0; i < n; ++i) {
    if (!so_finite(x[i])) return -1;
    largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
  }
  if (largest == 0.0) return 0;
  const double factor = so_into_range(largest);
  for (int i = 0; i < n; ++i) squares[i] = x[i] * factor * (x[i] * factor);
  for (int k = 0; k < count; ++k) {
    const double energy = so_energy(squares, n, masks[k]);
    most = energy > most ? energy : most;
  }
  const double close = most * (1.0 - 4.0 * (n + 4) * DBL_EPSILON);  // sums of n squares that may hide a tie
  int best = -1;
  for (int k = 0; k < count; ++k)
    if (so_energy(squares, n, masks[k]) >= close && (best < 0 || so_keeps_more(x, n, masks[k], masks[best]))) best = k;
  return best;
}

// Copies tile (i, j) of w into x [r c]; 0 beyond the border.
template <class T> SO_HD void so_load_tile(const T* w, const so_plane& p, int r, int c, int64_t i, int64_t j, double* x) {
  for (int a = 0; a < r; ++a)
    for (int b = 0; b < c; ++b) {
      const bool inside = i * r + a < p.rows && j * c + b < p.cols;
      x[a * c + b] = inside ? (double)so_wide(w[(i * r + a) * p.ld + j * c + b]) : 0.0;
    }
}

// Writes tile (i, j): the entries of w in the mask, 0 elsewhere.
template <class T>
SO_HD void so_store_tile(const T* w, T* out, const so_plane& p, int r, int c, int64_t i, int64_t j, uint64_t mask) {
  for (int a = 0; a < r && i * r + a < p.rows; ++a)
    for (int b = 0; b < c && j * c + b < p.cols; ++b) {
      const T value = w[(i * r + a) * p.ld + j * c + b];
      out[(i * r + a) * p.ld_out + j * c + b] = mask >> (a * c + b) & 1 ? value : T{};
    }
}

// Each returns whether all entries were finite; where not, out is not to be used. threads <= 0: as many as OpenMP offers.
template <class T> bool so_project_nm(const T* w, T* out, const so_plane& p, int n, int m, int threads);
template <class T> bool so_project_library(const T* w, T* out, const so_plane& p, const so_library& library, int threads);
// Blocks with kept [rows / br, cols / bc] = 0 become 0; the others are copied.
template <class T> void so_keep_blocks(const T* w, T* out, const so_blocks& b, const uint8_t* kept, int threads);

// On a CUDA device; all pointers there, also of half types. The window or tile of an entry that is not finite is copied as it
// is. Returns as so_stream says.
template <class T> int so_project_nm_cuda(const T* w, T* out, const so_plane& p, int n, int m, so_stream stream);
template <class T> int so_project_library_cuda(const T* w, T* out, const so_plane& p, const so_library& library, so_stream stream);
