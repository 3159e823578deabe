// Projections onto mask sets: rows shared out between threads (OpenMP), vector kernels where there are some, else the scalar
// source of projection.h. Every decision is exact, so results do not depend on the instruction set or on the threads.
#include "../projection.h"

#include "isa.h"
#include "projection_table.h"

#include <string.h>

#include <atomic>
#include <vector>

namespace {

const int64_t parallel_entries = 1 << 16;  // below this a second thread costs more than it saves
const int64_t stream_bytes = 4 << 20;      // larger matrices are zeroed past the cache
const uint32_t largest_finite = 0x7f7fffff;

const so_projections& table() {
#ifdef SO_MULTI_ISA
  return so_isa_level() >= 4 ? so_projections_v4 : so_isa_level() >= 3 ? so_projections_v3 : so_projections_baseline;
#else
  return so_projections_baseline;
#endif
}

// body(first, last) for ranges of 0, ..., count - 1.
template <class Body> void share(int64_t count, int64_t entries, int threads, Body body) {
  const int64_t wanted = threads > 0 ? threads : so_threads(), n = entries < parallel_entries ? 1 : wanted < count ? wanted : count;
#pragma omp parallel for schedule(static, 1) num_threads(n) if (n > 1)
  for (int64_t i = 0; i < n; ++i) body(i * count / n, (i + 1) * count / n);
}

template <class T> bool nm_window(const T* w, T* out, int len, int n) {
  T kept[SO_TILE];
  bool finite = true;
  for (int i = 0; i < len; ++i) {
    finite &= so_finite(w[i]);
    kept[i] = so_rank(w, 1, len, i) < n ? w[i] : T(0);
  }
  memcpy(out, kept, len * sizeof(T));
  return finite;
}

template <class T> bool nm_row(const T* w, T* out, int64_t cols, int n, int m) {
  bool finite = true;
  for (int64_t j = 0; j < cols; j += m) finite &= nm_window(w + j, out + j, (int)(cols - j < m ? cols - j : m), n);
  return finite;
}

template <> bool nm_row(const float* w, float* out, int64_t cols, int n, int m) {
  const so_projections& t = table();
  const auto kernel = 0 < n && n < m ? (m == 4 ? t.nm4 : m == 8 ? t.nm8 : nullptr) : nullptr;
  const int64_t whole = kernel ? cols / t.step * t.step : 0;
  bool finite = !whole || kernel(w, out, whole, n) <= largest_finite;
  for (int64_t j = whole; j < cols; j += m) finite &= nm_window(w + j, out + j, (int)(cols - j < m ? cols - j : m), n);
  return finite;
}

// Decides one 4 x 4 tile for the vector kernels.
struct decision {
  const so_library& library;
  bool finite;
  static uint32_t decide(const float* w, int64_t ld, void* context) {
    decision& d = *(decision*)context;
    double x[SO_TILE];
    so_load_tile(w, so_plane{4, 4, ld, ld}, 4, 4, 0, 0, x);
    const int best = so_best_mask(x, 16, d.library.masks, d.library.count);
    d.finite &= best >= 0;
    return best < 0 ? 0 : (uint32_t)d.library.masks[best];
  }
};

template <class T> bool scalar_tiles(const T* w, T* out, const so_plane& p, const so_library& l, int64_t row, int64_t first) {
  bool finite = true;
  double x[SO_TILE];
  for (int64_t j = first; j < (p.cols + l.c - 1) / l.c; ++j) {
    so_load_tile(w, p, l.r, l.c, row, j, x);
    const int best = so_best_mask(x, l.r * l.c, l.masks, l.count);
    finite &= best >= 0;
    so_store_tile(w, out, p, l.r, l.c, row, j, best < 0 ? 0 : l.masks[best]);
  }
  return finite;
}

template <class T> bool tile_row(const T* w, T* out, const so_plane& p, const so_library& l, const uint32_t*, int64_t row) {
  return scalar_tiles(w, out, p, l, row, 0);
}

template <>
bool tile_row(const float* w, float* out, const so_plane& p, const so_library& l, const uint32_t* masks, int64_t row) {
  const so_projections& t = table();
  if (!masks || row * 4 + 4 > p.rows) return scalar_tiles(w, out, p, l, row, 0);
  decision d = {l, true};
  const so_patterns44 patterns = {l.count, masks, decision::decide, &d};
  const int64_t width = 4 * t.step, whole = p.cols / width * width;
  (l.transposable24 ? t.transposable24 : t.library)(w + row * 4 * p.ld, out + row * 4 * p.ld_out, p.ld, p.ld_out, whole, patterns);
  return scalar_tiles(w, out, p, l, row, whole / 4) && d.finite;
}

// Blocks of one row of the matrix, neighbours of the same fate together.
template <class T> void keep_row(const T* w, T* out, const so_blocks& b, const uint8_t* kept, bool past_cache) {
  const auto zeros = past_cache && sizeof(T) == sizeof(float) ? table().zeros : nullptr;
  const int64_t across = b.cols / b.bc;
  for (int64_t first = 0, last = 1; first < across; first = last++) {
    while (last < across && !kept[last] == !kept[first]) ++last;
    const int64_t at = first * b.bc, n = (last - first) * b.bc;
    if (kept[first]) {
      if (w != out) memcpy(out + at, w + at, n * sizeof(T));
    } else if (zeros) {
      zeros((float*)out + at, n);
    } else {
      memset((void*)(out + at), 0, n * sizeof(T));
    }
  }
}

}  // namespace

template <class T> bool so_project_nm(const T* w, T* out, const so_plane& p, int n, int m, int threads) {
  std::atomic<bool> finite(true);
  share(p.rows, p.rows * p.cols, threads, [&](int64_t first, int64_t last) {
    bool all = true;
    for (int64_t i = first; i < last; ++i) all &= nm_row(w + i * p.ld, out + i * p.ld_out, p.cols, n, m);
    if (!all) finite = false;
  });
  return finite;
}

template <class T> bool so_project_library(const T* w, T* out, const so_plane& p, const so_library& library, int threads) {
  const bool vectors = sizeof(T) == sizeof(float) && library.r == 4 && library.c == 4 && table().library;
  std::vector<uint32_t> masks(library.masks, library.masks + (vectors ? library.count : 0));
  std::atomic<bool> finite(true);
  share((p.rows + library.r - 1) / library.r, p.rows * p.cols, threads, [&](int64_t first, int64_t last) {
    bool all = true;
    for (int64_t i = first; i < last; ++i) all &= tile_row(w, out, p, library, vectors ? masks.data() : nullptr, i);
    if (!all) finite = false;
  });
  return finite;
}

template <class T> void so_keep_blocks(const T* w, T* out, const so_blocks& b, const uint8_t* kept, int threads) {
  const bool past_cache = b.rows * b.cols * (int64_t)sizeof(T) >= stream_bytes;
  share(b.rows / b.br, b.rows * b.cols, threads, [&](int64_t first, int64_t last) {
    for (int64_t i = first * b.br; i < last * b.br; ++i)
      keep_row(w + i * b.ld, out + i * b.ld_out, b, kept + i / b.br * (b.cols / b.bc), past_cache);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // after streaming stores
  });
}

template bool so_project_nm(const float*, float*, const so_plane&, int, int, int);
template bool so_project_nm(const double*, double*, const so_plane&, int, int, int);
template bool so_project_library(const float*, float*, const so_plane&, const so_library&, int);
template bool so_project_library(const double*, double*, const so_plane&, const so_library&, int);
template void so_keep_blocks(const float*, float*, const so_blocks&, const uint8_t*, int);
template void so_keep_blocks(const double*, double*, const so_blocks&, const uint8_t*, int);

#ifndef SO_WITH_CUDA
template <class T> int so_project_nm_cuda(const T*, T*, const so_plane&, int, int, so_stream) { return -1; }
template <class T> int so_project_library_cuda(const T*, T*, const so_plane&, const so_library&, so_stream) { return -1; }
#define SO_ABSENT(T)                                                                                        \
  template int so_project_nm_cuda(const T*, T*, const so_plane&, int, int, so_stream);            \
  template int so_project_library_cuda(const T*, T*, const so_plane&, const so_library&, so_stream);
SO_ABSENT(float)
SO_ABSENT(double)
SO_ABSENT(so_bfloat)
SO_ABSENT(so_half)
#endif
