// The block-sparse product: rows of x packed in tiles, as many at a time as stay in the cache beside the blocks of a block row;
// block rows shared out between threads (OpenMP); leaf kernels of the chosen instruction set inside.
#include "../product.h"

#include "../block.h"
#include "isa.h"
#include "product_table.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace {

const int64_t packed_entries = 1 << 18;     // of x that are packed at a time: 1 MB, about the second level of the cache
const int64_t parallel_products = 1 << 17;  // below this a second thread costs more than it saves
const int64_t alignment = 64 / sizeof(float);

const so_product_kernels& table() {
#ifdef SO_MULTI_ISA
  return so_isa_level() >= 4 ? so_product_v4 : so_isa_level() >= 3 ? so_product_v3 : so_product_baseline;
#else
  return so_product_baseline;
#endif
}

// Memory that is not set, at a cache line.
struct buffer {
  std::unique_ptr<float[]> memory;
  float* start;
  explicit buffer(int64_t n) : memory(new float[n + alignment]) {
    start = memory.get() + (64 - (uintptr_t)memory.get() % 64) % 64 / sizeof(float);
  }
};

// For each row of blocks of the result: its blocks starts[r], ..., and the part of x that each takes. Transposed products have
// the blocks `order` of the matrix, which are turned over on the way.
struct plan {
  const so_block_matrix& w;
  const int32_t *starts, *at, *order;
  int64_t outputs, inputs;
  int64_t block_rows() const { return (outputs + w.b - 1) / w.b; }
  int64_t padded() const { return (inputs + w.b - 1) / w.b * w.b; }
};

struct call {
  const float *x, *bias;
  float* y;
  int64_t n;
};

// Tiles of rows of x: full ones, and one of the smallest width that holds the rest.
struct tiles {
  int64_t first, rows, tile;
  int64_t count() const { return (rows + tile - 1) / tile; }
  so_packed_rows operator[](int64_t t) const {
    const int64_t there = std::min(tile, rows - t * tile);
    return {nullptr, there == 1 ? 1 : there == 2 ? 2 : there <= 4 ? 4 : tile, there};
  }
};

// Bring a block into the cache: the next one lies anywhere.
void fetch(const float* block, int64_t entries) {
  for (int64_t i = 0; i < entries; i += alignment) __builtin_prefetch(block + i, 0, 2);
}

// One row of blocks of the result for all packed tiles. turned: memory for the blocks of a transposed product.
void block_row(const plan& p, const call& c, const tiles& all, int64_t r, const float* packed, float* turned) {
  const int64_t first = p.starts[r], count = p.starts[r + 1] - first, entries = p.w.b * p.w.b;
  const float* blocks = p.w.values + first * entries;
  const int64_t at = r * p.w.b, columns = std::min(p.w.b, p.outputs - at);
  if (p.order) {
    for (int64_t q = 0; q < count; ++q) {
      if (q + 1 < count) fetch(p.w.values + p.order[first + q + 1] * entries, entries);
      table().transpose(p.w.values + p.order[first + q] * entries, p.w.b, turned + q * entries);
    }
    blocks = turned;
  }
  for (int64_t t = 0; t < all.count(); ++t) {
    so_packed_rows rows = all[t];
    rows.x = packed + t * all.tile * p.padded();
    float* y = c.y + (all.first + t * all.tile) * p.outputs + at;
    table().multiply(rows, {blocks, p.at + first, count, p.w.b}, {y, p.outputs, columns, c.bias ? c.bias + at : nullptr});
  }
}

int64_t team_of(const so_block_matrix& w, int64_t n, int64_t parts, int threads) {
  const int64_t wanted = w.count * w.b * w.b * n < parallel_products ? 1 : threads > 0 ? threads : so_threads();
  return std::max<int64_t>(1, std::min(wanted, parts));
}

int64_t longest_row(const plan& p) {
  int64_t longest = 0;
  for (int64_t r = 0; r < p.block_rows(); ++r) longest = std::max<int64_t>(longest, p.starts[r + 1] - p.starts[r]);
  return longest;
}

void run(const plan& p, const call& c, int threads) {
  const int64_t tile = table().tile, rows = p.block_rows(), entries = p.w.b * p.w.b;
  const int64_t at_once = std::max<int64_t>(1, packed_entries / (p.padded() * tile)) * tile;
  const int64_t team = team_of(p.w, c.n, rows, threads);
  const int64_t scratch = p.order ? longest_row(p) * entries : 0;
  const buffer packed(std::min(at_once, (c.n + tile - 1) / tile * tile) * p.padded()), turned(team * scratch);
  for (int64_t first = 0; first < c.n; first += at_once) {
    const tiles all = {first, std::min(at_once, c.n - first), tile};
    for (int64_t t = 0; t < all.count(); ++t)
      table().pack(c.x + (first + t * tile) * p.inputs, p.inputs, p.inputs, p.padded(), all[t],
                   packed.start + t * tile * p.padded());
#pragma omp parallel for schedule(static, 1) num_threads(team) if (team > 1)
    for (int64_t k = 0; k < team; ++k)
      for (int64_t r = k * rows / team; r < (k + 1) * rows / team; ++r)
        block_row(p, c, all, r, packed.start, turned.start + k * scratch);
  }
}

// Blocks of block columns first, ..., last - 1, in the order of memory.
std::vector<so_placed_block> placed(const so_block_matrix& w, int64_t first, int64_t last) {
  std::vector<so_placed_block> found;
  found.reserve(w.count);
  for (int32_t r = 0; r < (w.rows + w.b - 1) / w.b; ++r)
    for (int32_t q = w.starts[r]; q < w.starts[r + 1]; ++q)
      if (w.columns[q] >= first && w.columns[q] < last) found.push_back({q, r, w.columns[q]});
  return found;
}

// y [cols] = x [rows] W: blocks are read as they lie; each thread has block columns of its own.
void transposed_row(const so_block_matrix& w, const float* x, float* y, int threads) {
  const int64_t rows = (w.rows + w.b - 1) / w.b * w.b, cols = (w.cols + w.b - 1) / w.b, team = team_of(w, 1, cols, threads);
  const buffer whole(rows), sums(cols * w.b);
  std::fill(std::copy_n(x, w.rows, whole.start), whole.start + rows, 0.0f);
  std::fill_n(sums.start, cols * w.b, 0.0f);
#pragma omp parallel for schedule(static, 1) num_threads(team) if (team > 1)
  for (int64_t k = 0; k < team; ++k) {
    const std::vector<so_placed_block> blocks = placed(w, k * cols / team, (k + 1) * cols / team);
    table().scatter({w.values, blocks.data(), (int64_t)blocks.size(), w.b}, whole.start, sums.start);
  }
  std::copy_n(sums.start, w.cols, y);
}

}  // namespace

bool so_block_matrix_valid(const so_block_matrix& w) {
  const int64_t rows = (w.rows + w.b - 1) / w.b, cols = (w.cols + w.b - 1) / w.b;
  if ((w.b != 16 && w.b != 32 && w.b != 64) || w.starts[0] != 0 || w.starts[rows] != w.count) return false;
  for (int64_t r = 0; r < rows; ++r)
    if (w.starts[r] > w.starts[r + 1]) return false;
  return std::all_of(w.columns, w.columns + w.count, [=](int32_t column) { return column >= 0 && column < cols; });
}

void so_block_product(const so_block_matrix& w, const float* x, const float* bias, float* y, int64_t n, int threads) {
  run({w, w.starts, w.columns, nullptr, w.rows, w.cols}, {x, bias, y, n}, threads);
}

void so_block_product_transposed(const so_block_matrix& w, const float* x, float* y, int64_t n, int threads) {
  if (n == 1) return transposed_row(w, x, y, threads);
  const int64_t rows = (w.rows + w.b - 1) / w.b, cols = (w.cols + w.b - 1) / w.b;
  std::vector<int32_t> starts(cols + 1), at(w.count), order(w.count);
  for (int64_t q = 0; q < w.count; ++q) ++starts[w.columns[q] + 1];
  for (int64_t j = 0; j < cols; ++j) starts[j + 1] += starts[j];
  std::vector<int32_t> next(starts.begin(), starts.end() - 1);
  for (int64_t r = 0; r < rows; ++r)
    for (int32_t q = w.starts[r]; q < w.starts[r + 1]; ++q) {
      const int32_t place = next[w.columns[q]]++;
      at[place] = (int32_t)r;
      order[place] = q;
    }
  run({w, starts.data(), at.data(), order.data(), w.cols, w.rows}, {x, nullptr, y, n}, threads);
}

#ifndef SO_WITH_CUDA
int so_product_cuda(const so_product_call&, so_stream) { return -1; }
#endif
