// Norms and radial prox of the blocks of a matrix: tiles outside (OpenMP), the leaf kernels of the chosen instruction set inside.
// A pipeline over the tiles: while a tile is read and summed, the one before it is scaled, still in the L2 cache, and one
// further on is fetched into that cache. Memory is never idle, and every entry comes from it once.
// This unit is compiled for the baseline, so everything but the leaf kernels is the same code on every machine.
#include "../block.h"
#include "../radial.h"
#include "careful_norm.h"
#include "isa.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {
const so_isa& isa();
}
template <> const so_row_kernels<float>& so_rows<float>() { return isa().f32; }
template <> const so_row_kernels<double>& so_rows<double>() { return isa().f64; }

namespace {

const int64_t tile_bytes = 64 << 10;       // four tiles fit into the L2 cache
const int64_t row_bytes = 2 << 10;         // of a tile, at most: 4 KiB on, a load looks like the store before it and waits
const int64_t tiles_ahead = 2;             // how far ahead a tile is fetched
const int64_t bytes_ahead = 2 << 10;       // the same where nothing is written: rows are read as they lie
const int64_t tile_blocks = 256;           // accumulators on the stack
const int64_t parallel_elements = 1 << 15; // below this a second thread costs more than it saves

#ifdef SO_MULTI_ISA
const so_isa& choose() { return so_isa_level() >= 4 ? so_isa_v4 : so_isa_level() >= 3 ? so_isa_v3 : so_isa_baseline; }
#else
const so_isa& choose() { return so_isa_baseline; }
#endif

const so_isa& isa() {
  static const so_isa& chosen = choose();
  return chosen;
}

// Norm of one block whose plain sum of squares is not safe.
template <class T> double careful_norm(const T* w, const so_blocks& b) {
  if (so_all_zero(w, b.br, b.bc, b.ld)) return 0;
  return so_careful_norm(b.br, b.bc, [=](int64_t i, int64_t j) { return (double)w[i * b.ld + j]; });
}

// A tile: nb neighbouring blocks of one row of blocks.
struct tile {
  int64_t block_row, first, nb;
};

struct tiling {
  int64_t across, count, width, block_cols;
  tiling(const so_blocks& b, int64_t itemsize, bool written) {
    block_cols = b.cols / b.bc;
    const int64_t row = tile_bytes / b.br < row_bytes ? tile_bytes / b.br : row_bytes;
    width = written ? row / (b.bc * itemsize) : tile_blocks;
    width = width < 1 ? 1 : width > tile_blocks ? tile_blocks : width;
    across = (block_cols + width - 1) / width;
    count = across * (b.rows / b.br);
  }
  tile operator[](int64_t t) const {
    const int64_t first = t % across * width;
    return {t / across, first, first + width < block_cols ? width : block_cols - first};
  }
};

template <class T> void norms_of(const T* lanes, const T* w, const so_blocks& b, int64_t nb, double* norms) {
  T sums[tile_blocks];
  so_rows<T>().fold(lanes, nb, sums);
  for (int64_t k = 0; k < nb; ++k) norms[k] = sqrt((double)sums[k]);  // a loop of its own: in vectors
  for (int64_t k = 0; k < nb; ++k)
    if (!so_safe(T(0), sums[k])) norms[k] = careful_norm(w + k * b.bc, b);
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

// One pass over the matrix. prox and out are null where only norms are asked for; norms may be null otherwise.
template <class T> struct pass {
  const T* w;
  T *out, *norms;
  const so_blocks& b;
  const so_prox* prox;
  tiling tiles;
  bool stream;

  pass(const T* w, T* out, T* norms, const so_blocks& b, const so_prox* prox)
      : w(w), out(out), norms(norms), b(b), prox(prox), tiles(b, sizeof(T), prox != nullptr),
        stream(w != out && b.rows * b.cols * (int64_t)sizeof(T) >= so_stream_bytes) {}

  const T* start(const tile& t) const { return w + t.block_row * b.br * b.ld + t.first * b.bc; }

  // The pipeline over the tiles last - 1, ..., first: the end of the matrix is what the pass before this one left in the cache.
  void run(int64_t first, int64_t last) const {
    T lanes[tile_blocks * SO_LANES], scale[tile_blocks];
    double v[tile_blocks];
    so_writing<T> writing = {};
    for (int64_t i = last - 1; i >= first; --i) {
      const tile t = tiles[i], ahead = tiles[i - tiles_ahead >= first ? i - tiles_ahead : i];
      const T* fetched = prox ? start(ahead) : start(t) + bytes_ahead / (int64_t)sizeof(T);
      const so_reading<T> reading = {start(t), b.ld, t.nb, lanes, fetched};
      memset(lanes, 0, t.nb * SO_LANES * sizeof(T));
      so_rows<T>().sweep(reading, writing, b.br, b.bc);
      const int64_t block = t.block_row * tiles.block_cols + t.first;
      norms_of(lanes, reading.w, b, t.nb, v);
      for (int64_t k = 0; norms && k < t.nb; ++k) norms[block + k] = (T)v[k];
      if (!prox) continue;
      scales(*prox, v, block, t.nb, scale);
      T* target = out + t.block_row * b.br * b.ld_out + t.first * b.bc;
      writing = {reading.w, target, b.ld, b.ld_out, t.nb, scale, stream};
    }
    so_rows<T>().sweep({}, writing, b.br, b.bc);
  }

  // Every thread has a pipeline of its own, over neighbouring tiles.
  void run_on(int threads) const {
    if (b.rows * b.cols < parallel_elements) return run(0, tiles.count);
    const int64_t n = threads > 0 ? threads : so_threads();
#pragma omp parallel for schedule(static, 1) num_threads(n)
    for (int64_t i = 0; i < n; ++i) run(i * tiles.count / n, (i + 1) * tiles.count / n);
  }
};

}  // namespace

template <class T> void so_block_norms(const T* w, T* norms, const so_blocks& b, int threads) {
  pass<T>(w, nullptr, norms, b, nullptr).run_on(threads);
}

template <class T> void so_block_prox(const T* w, T* out, T* norms, const so_blocks& b, const so_prox& prox, int threads) {
  pass<T>(w, out, norms, b, &prox).run_on(threads);
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
const char* so_cuda_architectures() { return ""; }
#endif
