// Products with a matrix W [rows, cols] of which only some b x b blocks are stored; b is 16, 32 or 64, numbers are float32.
// values [count, b, b]: entry (i, o) of a block is W[row + o, column + i], so that outputs are neighbours; blocks at the border
// are stored whole, with zeros beyond it. The blocks of block row r are starts[r], ..., starts[r + 1] - 1, and block q lies in
// block column columns[q].
#pragma once
#include <stdint.h>

struct so_block_matrix {
  const float* values;
  const int32_t *starts, *columns;
  int64_t rows, cols, b, count;
};

// Whether b is allowed, starts rise from 0 to count, and columns lie within the matrix.
bool so_block_matrix_valid(const so_block_matrix& w);

// y [n, rows] = x [n, cols] W' + bias [rows] (or none: null). Sums run over the blocks in order; the result does not depend on
// the number of threads (<= 0: as many as OpenMP offers). x and y are contiguous.
void so_block_product(const so_block_matrix& w, const float* x, const float* bias, float* y, int64_t n, int threads);

// y [n, cols] = x [n, rows] W: the gradient with respect to x of the product above.
void so_block_product_transposed(const so_block_matrix& w, const float* x, float* y, int64_t n, int threads);
