// Products with a matrix W [rows, cols] of which only some b x b blocks are stored; b is 16, 32 or 64, numbers are float32.
// values [count, b, b]: entry (i, o) of a block is W[row + o, column + i], so that outputs are neighbours; blocks at the border
// are stored whole, with zeros beyond it. The blocks of block row r are starts[r], ..., starts[r + 1] - 1, and block q lies in
// block column columns[q].
#pragma once
#include <stdint.h>

#include "block.h"  // so_stream

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

// On a CUDA device, queued on a stream; all pointers there. Rows of blocks of the result y [n, outputs]: row r adds up, in order,
// the blocks order[p] (p itself where order is null) of `values` times the parts at[p] of x [n, inputs], for p = starts[r], ...,
// starts[r + 1] - 1; transposed: times the blocks turned over, and there is no bias. type: so_number_type (grid.h). Half types
// are multiplied by tensor cores and added in float32. A part that lies outside x makes NaN. Returns as so_stream says.
struct so_product_call {
  int type;
  bool transposed;
  const void *values, *x, *bias;
  void* y;
  const int32_t *starts, *at, *order;
  int64_t n, outputs, inputs, b, count;
};
int so_product_cuda(const so_product_call& call, so_stream stream);
