// Leaf kernels of Gram matrices, one table per instruction set.
#pragma once
#include "../gram.h"

struct so_rows {
  int64_t start, count;
};

struct so_gram_kernels {
  int64_t width, height;  // columns of a packed tile, and of a strip of the tile that takes the other side of a product
  // columns first, ... of x for these rows, side by side, [rows, width]; zeros in place of missing columns.
  // spread [x.count] += squares of the entries times the number of roundings that they meet
  void (*pack)(const so_gram_columns& x, int64_t first, so_rows rows, float* packed, double* spread);
  // H[strip, tile] += products, the entries on and above the diagonal at least; packed: all tiles, `apart` entries each
  void (*multiply)(const float* packed, int64_t apart, int64_t rows, int64_t strip, int64_t tile, int64_t count, double* H);
  // z [k, ldz] += (columns first, ..., last - 1) v for these rows, v [k, x.count]
  void (*add)(const so_gram_columns& x, int64_t first, int64_t last, so_rows rows, const double* v, int64_t k, double* z, int64_t ldz);
  // out [k, x.count] += (columns first, ..., last - 1)' z
  void (*dot)(const so_gram_columns& x, int64_t first, int64_t last, so_rows rows, const double* z, int64_t ldz, int64_t k, double* out);
};

extern const so_gram_kernels so_gram_baseline;
#ifdef SO_MULTI_ISA
extern const so_gram_kernels so_gram_v3, so_gram_v4;
#endif
