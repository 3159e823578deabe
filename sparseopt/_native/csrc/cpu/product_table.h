// Leaf kernels of the block-sparse product, one table per instruction set.
#pragma once
#include <stdint.h>

// Some rows of x that are treated together: width of them, packed as [columns, width] with zeros in place of missing rows.
struct so_packed_rows {
  const float* x;
  int64_t width, rows;  // rows <= width are there
};

// Blocks [count, b, b] of one block row, one after the other; block q takes the columns at[q] * b, ... of x.
struct so_block_row {
  const float* blocks;
  const int32_t* at;
  int64_t count, b;
};

// Where the result goes: rows ld apart, columns <= b of them; bias of these columns, or null.
struct so_product_out {
  float* y;
  int64_t ld, columns;
  const float* bias;
};

// Some blocks of a matrix, in the order of memory: each takes part `from` of x and adds to part `to` of y, parts of b entries.
struct so_placed_block {
  int32_t block, from, to;
};
struct so_scattered_blocks {
  const float* values;
  const so_placed_block* blocks;
  int64_t count, b;
};

struct so_product_kernels {
  int64_t tile;  // largest width; all widths are 1, 2, 4 and this one
  void (*pack)(const float* x, int64_t ld, int64_t columns, int64_t padded, so_packed_rows rows, float* packed);
  void (*multiply)(const so_packed_rows& x, const so_block_row& row, const so_product_out& out);
  void (*transpose)(const float* block, int64_t b, float* to);
  void (*scatter)(const so_scattered_blocks& w, const float* x, float* y);  // y += block x for all blocks, one row of x
};

extern const so_product_kernels so_product_baseline;
#ifdef SO_MULTI_ISA
extern const so_product_kernels so_product_v3, so_product_v4;
#endif
