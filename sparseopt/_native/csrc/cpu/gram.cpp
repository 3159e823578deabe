// Gram matrices by blocks of rows, which are packed once; tiles shared out between threads (OpenMP).
#include "../gram.h"

#include "../block.h"
#include "gram_table.h"
#include "isa.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace {

const int64_t product_rows = 192;  // of all columns, so that they are still in the second cache when they are read again
const int64_t parallel_products = 1 << 24;  // below this a second thread costs more than it saves

const so_gram_kernels& table() {
#ifdef SO_MULTI_ISA
  return so_isa_level() >= 4 ? so_gram_v4 : so_isa_level() >= 3 ? so_gram_v3 : so_gram_baseline;
#else
  return so_gram_baseline;
#endif
}

int team_of(int64_t products, int threads) {
  return products < parallel_products ? 1 : threads > 0 ? threads : so_threads();
}

so_rows rows_of(int64_t block, int64_t size, int64_t n) { return {block * size, std::min(size, n - block * size)}; }

// All products with the columns of one tile.
void multiply_tile(const int32_t* packed, int64_t apart, const double* unit, int64_t words, int64_t tile, int64_t count, double* H) {
  const so_gram_kernels& kernels = table();
  const int64_t last = std::min((tile + 1) * kernels.width, count), strips = (last + kernels.height - 1) / kernels.height;
  for (int64_t s = 0; s < strips; ++s) kernels.multiply(packed, apart, unit, words, s, tile, count, H);
}

void mirror(double* H, int64_t p) {
  const int64_t side = 32;
  for (int64_t i = 0; i < p; i += side)
    for (int64_t j = i; j < p; j += side)
      for (int64_t r = i; r < std::min(i + side, p); ++r)
        for (int64_t c = std::max(j, r + 1); c < std::min(j + side, p); ++c) H[c * p + r] = H[r * p + c];
}

}  // namespace

void so_gram_matrix(const so_gram_words& x, double* H, double* rounded, int threads) {
  const so_gram_kernels& kernels = table();
  const int64_t tiles = (x.count + kernels.width - 1) / kernels.width, apart = SO_GRAM_LINES * SO_GRAM_LINE * kernels.width;
  std::unique_ptr<int32_t[]> memory(new int32_t[tiles * apart + 16]);
  int32_t* packed = memory.get() + (64 - (uintptr_t)memory.get() % 64) % 64 / sizeof(int32_t);
  std::vector<double> unit(tiles * kernels.width);
  std::fill(H, H + x.count * x.count, 0.0);
  std::fill(rounded, rounded + x.count, 0.0);
  for (int64_t block = 0; block * SO_GRAM_LINES < x.lines; ++block) {
    const so_rows lines = rows_of(block, SO_GRAM_LINES, x.lines);
    const int team = team_of(2 * SO_GRAM_LINE * lines.count * x.count * x.count, threads);
#pragma omp parallel num_threads(team) if (team > 1)
    {
#pragma omp for schedule(dynamic, 1)
      for (int64_t t = 0; t < tiles; ++t) kernels.pack(x, t * kernels.width, lines, packed + t * apart, unit.data() + t * kernels.width, rounded);
#pragma omp for schedule(dynamic, 1)
      for (int64_t t = tiles - 1; t >= 0; --t)
        multiply_tile(packed, apart, unit.data(), SO_GRAM_LINE * lines.count, t, x.count, H);
    }
  }
  mirror(H, x.count);
}

void so_gram_product(const so_gram_columns& from, const so_gram_columns& to, const double* v, int64_t k, double* out) {
  const so_gram_kernels& kernels = table();
  const int64_t blocks = (from.n + product_rows - 1) / product_rows;
  std::vector<double> z(k * product_rows);
  std::fill(out, out + k * to.count, 0.0);
  for (int64_t block = 0; block < blocks; ++block) {
    const so_rows rows = rows_of(block, product_rows, from.n);
    for (int64_t l = 0; l < k; ++l) {
      double start = 0;
      for (int64_t j = 0; from.mean && j < from.count; ++j) start -= from.mean[j] * v[l * from.count + j];
      std::fill(z.data() + l * product_rows, z.data() + l * product_rows + rows.count, start);
    }
    kernels.add(from, 0, from.count, rows, v, k, z.data(), product_rows);
    for (int64_t l = 0; from.root && l < k; ++l)
      for (int64_t i = 0; i < rows.count; ++i) z[l * product_rows + i] *= from.root[rows.start + i] * from.root[rows.start + i];
    kernels.dot(to, 0, to.count, rows, z.data(), product_rows, k, out);
  }
}
