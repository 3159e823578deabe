// Leaf kernels of Gram matrices, one table per instruction set.
#pragma once
#include "../gram.h"

struct so_rows {
  int64_t start, count;
};

struct so_gram_kernels {
  int64_t width, height;  // columns of a packed tile, and of a strip of the tile that takes the other side of a product
  // columns first, ... of x for these lines, side by side, [words, width], zeros in place of missing ones; unit [width] of the
  // columns there are, and rounded [x.count] raised by the squares of what was rounded
  void (*pack)(const so_gram_words& x, int64_t first, so_rows lines, int32_t* packed, double* unit, double* rounded);
  // H[strip, tile] += products, the entries on and above the diagonal at least; packed: all tiles, `apart` words each; unit [count]
  void (*multiply)(const int32_t* packed, int64_t apart, const double* unit, int64_t words, int64_t strip, int64_t tile, int64_t count, double* H);
  // z [k, ldz] += (columns first, ..., last - 1) v for these rows, v [k, x.count]
  void (*add)(const so_gram_columns& x, int64_t first, int64_t last, so_rows rows, const double* v, int64_t k, double* z, int64_t ldz);
  // out [k, x.count] += (columns first, ..., last - 1)' z
  void (*dot)(const so_gram_columns& x, int64_t first, int64_t last, so_rows rows, const double* z, int64_t ldz, int64_t k, double* out);
};

extern const so_gram_kernels so_gram_baseline;
#ifdef SO_MULTI_ISA
extern const so_gram_kernels so_gram_v3, so_gram_v4;
#endif
