// Norms and radial prox of the blocks of a matrix: tiles outside (OpenMP), the leaf kernels of the chosen instruction set inside.
// This unit is compiled for the baseline, so everything but the leaf kernels is the same code on every machine.
#include "../block.h"
#include "../radial.h"
#include "isa.h"
#include "rows.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

const int64_t tile_bytes = 512 << 10;      // a tile is read twice: the second time from the L2 cache
const int64_t tile_blocks = 256;           // accumulators on the stack
const int64_t stream_bytes = 4 << 20;      // a larger `out` is written past the cache
const int64_t parallel_elements = 1 << 15; // below this a second thread costs more than it saves
const int64_t steps_together = 4;          // of SO_STREAMS rows each, where the rows of a tile are not one stream

#ifdef SO_MULTI_ISA
const so_isa& choose() { return so_isa_level() >= 4 ? so_isa_v4 : so_isa_level() >= 3 ? so_isa_v3 : so_isa_baseline; }
#else
const so_isa& choose() { return so_isa_baseline; }
#endif

const so_isa& isa() {
  static const so_isa& chosen = choose();
  return chosen;
}

template <class T> const so_row_kernels<T>& kernels();
template <> const so_row_kernels<float>& kernels<float>() { return isa().f32; }
template <> const so_row_kernels<double>& kernels<double>() { return isa().f64; }

// Sums of squares in this range lost nothing to overflow or underflow.
bool safe(float sum) { return sum >= 1e-30f && sum <= FLT_MAX; }
bool safe(double sum) { return sum >= 1e-280 && sum <= DBL_MAX; }

// Norm of one block whose plain sum of squares is not safe: scaled by a power of two.
template <class T> double careful_norm(const T* w, const so_blocks& b) {
  double largest = 0;
  for (int64_t i = 0; i < b.br; ++i)
    for (int64_t j = 0; j < b.bc; ++j) {
      const double a = fabs((double)w[i * b.ld + j]);
      if (!(a <= DBL_MAX)) return a;  // NaN or infinite
      largest = a > largest ? a : largest;
    }
  if (largest == 0) return 0;
  const int exponent = ilogb(largest);
  double sum = 0;
  for (int64_t i = 0; i < b.br; ++i)
    for (int64_t j = 0; j < b.bc; ++j) {
      const double a = scalbn((double)w[i * b.ld + j], -exponent);
      sum += a * a;
    }
  return scalbn(sqrt(sum), exponent);
}

// A tile: nb neighbouring blocks of one row of blocks.
struct tile {
  int64_t block_row, first, nb;
};

struct tiling {
  int64_t across, count, width, block_cols;
  explicit tiling(const so_blocks& b, int64_t itemsize) {
    block_cols = b.cols / b.bc;
    width = tile_bytes / (b.br * b.bc * itemsize);
    width = width < 1 ? 1 : width > tile_blocks ? tile_blocks : width;
    width = width > block_cols ? block_cols : width;
    across = (block_cols + width - 1) / width;
    count = across * (b.rows / b.br);
  }
  tile operator[](int64_t t) const {
    const int64_t first = t % across * width;
    return {t / across, first, first + width < block_cols ? width : block_cols - first};
  }
};

template <class T> void tile_norms(const T* w, const so_blocks& b, int64_t nb, double* norms) {
  T lanes[tile_blocks * SO_LANES], sums[tile_blocks];
  memset(lanes, 0, nb * SO_LANES * sizeof(T));
  const int64_t gap = (b.br + SO_STREAMS - 1) / SO_STREAMS, step = nb * b.bc == b.ld ? 1 : steps_together;
  for (int64_t i = 0; i < gap; i += step)
    kernels<T>().add_squares(w, b.ld, {b.br, gap, i, i + step < gap ? step : gap - i}, nb, b.bc, lanes);
  kernels<T>().fold(lanes, nb, sums);
  for (int64_t k = 0; k < nb; ++k) norms[k] = sqrt((double)sums[k]);  // a loop of its own: in vectors
  for (int64_t k = 0; k < nb; ++k)
    if (!safe(sums[k])) norms[k] = careful_norm(w + k * b.bc, b);
}

// so_radial_scale of nb blocks; the linear penalty again, without branches: the compiler takes several at a time.
template <class T> void scales(const so_prox& prox, const double* v, int64_t block, int64_t nb, T* scale) {
  const double* step = prox.per_block ? prox.step + block : prox.step;
  if (prox.kind != SO_LINEAR) {
    for (int64_t k = 0; k < nb; ++k)
      scale[k] = (T)so_radial_scale(prox.kind, prox.parameter, v[k], step[prox.per_block ? k : 0]);
    return;
  }
  double steps[tile_blocks];
  for (int64_t k = 0; k < nb; ++k) steps[k] = step[prox.per_block ? k : 0];
  for (int64_t k = 0; k < nb; ++k) {
    const double left = v[k] - steps[k], ratio = left / v[k];
    scale[k] = (T)(left <= 0.0 ? 0.0 : ratio);  // a norm of NaN or inf gives NaN
  }
}

template <class T> void tile_prox(const T* w, T* out, T* norms, const so_blocks& b, const so_prox& prox, const tile& t) {
  const int64_t block = t.block_row * (b.cols / b.bc) + t.first;
  const bool stream = w != out && b.rows * b.cols * (int64_t)sizeof(T) >= stream_bytes;
  double v[tile_blocks];
  T scale[tile_blocks];
  w += t.block_row * b.br * b.ld + t.first * b.bc;
  out += t.block_row * b.br * b.ld_out + t.first * b.bc;
  tile_norms(w, b, t.nb, v);
  scales(prox, v, block, t.nb, scale);
  for (int64_t k = 0; norms && k < t.nb; ++k) norms[block + k] = (T)v[k];
  for (int64_t i = 0; i < b.br; ++i) kernels<T>().scale(w + i * b.ld, out + i * b.ld_out, t.nb, b.bc, scale, stream);
}

int thread_count(const so_blocks& b, int threads) {
  if (b.rows * b.cols < parallel_elements) return 1;
  return threads > 0 ? threads : so_threads();
}

}  // namespace

template <class T> void so_block_norms(const T* w, T* norms, const so_blocks& b, int threads) {
  const tiling tiles(b, sizeof(T));
#pragma omp parallel for schedule(static) num_threads(thread_count(b, threads))
  for (int64_t i = 0; i < tiles.count; ++i) {
    const tile t = tiles[i];
    double v[tile_blocks];
    tile_norms(w + t.block_row * b.br * b.ld + t.first * b.bc, b, t.nb, v);
    for (int64_t k = 0; k < t.nb; ++k) norms[t.block_row * tiles.block_cols + t.first + k] = (T)v[k];
  }
}

template <class T> void so_block_prox(const T* w, T* out, T* norms, const so_blocks& b, const so_prox& prox, int threads) {
  const tiling tiles(b, sizeof(T));
#pragma omp parallel for schedule(static) num_threads(thread_count(b, threads))
  for (int64_t i = 0; i < tiles.count; ++i) tile_prox(w, out, norms, b, prox, tiles[i]);
}

template void so_block_norms(const float*, float*, const so_blocks&, int);
template void so_block_norms(const double*, double*, const so_blocks&, int);
template void so_block_prox(const float*, float*, float*, const so_blocks&, const so_prox&, int);
template void so_block_prox(const double*, double*, double*, const so_blocks&, const so_prox&, int);

const char* so_isa_in_use() { return isa().name; }
int so_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

#ifndef SO_WITH_CUDA
template <class T> int so_block_prox_cuda(const T*, T*, T*, const so_blocks&, const so_prox&, so_stream) { return -1; }
template int so_block_prox_cuda(const float*, float*, float*, const so_blocks&, const so_prox&, so_stream);
template int so_block_prox_cuda(const double*, double*, double*, const so_blocks&, const so_prox&, so_stream);
const char* so_cuda_architectures() { return ""; }
#endif
