// CUDA kernels of the projections onto mask sets: a thread decides a window or a tile by the scalar source of projection.h.
// Compiled by nvcc for devices, and by the host compiler through emulator.h for tests.
#pragma once
#include "../projection.h"
#include "grid_layout.cuh"  // so_unit
#include "reduce.cuh"       // SO_UNROLL

#define SO_PROJECTION_THREADS 128
#define SO_PROJECTION_AHEAD 4  // windows that a thread reads before it writes

// A window with NaN or inf is kept as it is.
template <class T> __device__ uint64_t so_window_mask(const T* window, int len, int n) {
  uint64_t kept = 0;
  for (int i = 0; i < len; ++i) {
    if (!so_finite(window[i])) return ~(uint64_t)0;
    kept |= (uint64_t)(so_rank(window, 1, len, i) < n) << i;
  }
  return kept;
}

// Windows of M entries one after another, each in one or two units of 16 bytes, or half a unit.
template <class T, int M> __global__ void __launch_bounds__(SO_PROJECTION_THREADS)
so_nm_units_kernel(const T* w, T* out, int64_t windows, int n) {
  const int64_t first = (int64_t)blockIdx.x * (SO_PROJECTION_THREADS * SO_PROJECTION_AHEAD) + threadIdx.x;
  so_unit<T, M> x[SO_PROJECTION_AHEAD];
  SO_UNROLL
  for (int k = 0; k < SO_PROJECTION_AHEAD; ++k)
    if (first + k * SO_PROJECTION_THREADS < windows) x[k] = ((const so_unit<T, M>*)w)[first + k * SO_PROJECTION_THREADS];
  SO_UNROLL
  for (int k = 0; k < SO_PROJECTION_AHEAD; ++k) {
    if (first + k * SO_PROJECTION_THREADS >= windows) continue;
    so_working<T> a[M];
    int rank[M];
    bool all_finite = true;
    SO_UNROLL
    for (int i = 0; i < M; ++i) a[i] = so_wide(x[k].e[i]), all_finite = all_finite && so_finite(a[i]);
    SO_UNROLL
    for (int i = 0; i < M; ++i) rank[i] = so_rank(a, 1, M, i);
    SO_UNROLL
    for (int i = 0; i < M; ++i)
      if (all_finite && rank[i] >= n) x[k].e[i] = T{};
    ((so_unit<T, M>*)out)[first + k * SO_PROJECTION_THREADS] = x[k];
  }
}

// One thread per window of m <= 64 entries of a row; the last one of a row may be shorter.
template <class T> __global__ void so_nm_kernel(const T* w, T* out, so_plane p, int n, int m) {
  const int64_t across = (p.cols + m - 1) / m, window = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (window >= across * p.rows) return;
  const int64_t row = window / across, col = window % across * m;
  const int len = (int)(p.cols - col < m ? p.cols - col : m);
  const T* from = w + row * p.ld + col;
  T* to = out + row * p.ld_out + col;
  const uint64_t kept = so_window_mask(from, len, n);
  for (int i = 0; i < len; ++i) to[i] = kept >> i & 1 ? from[i] : T{};
}

// One thread per tile.
template <class T> __global__ void so_library_kernel(const T* w, T* out, so_plane p, so_library l) {
  const int64_t across = (p.cols + l.c - 1) / l.c, down = (p.rows + l.r - 1) / l.r;
  const int64_t tile = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (tile >= across * down) return;
  double x[SO_TILE];
  so_load_tile(w, p, l.r, l.c, tile / across, tile % across, x);
  const int best = so_best_mask(x, l.r * l.c, l.masks, l.count);
  so_store_tile(w, out, p, l.r, l.c, tile / across, tile % across, best < 0 ? ~(uint64_t)0 : l.masks[best]);
}

SO_HD int64_t so_projection_blocks(int64_t threads) { return (threads + SO_PROJECTION_THREADS - 1) / SO_PROJECTION_THREADS; }

// Queues the projection onto N:M: launch(kernel, thread blocks, arguments ...).
template <class T, int M, class Launch> bool so_queue_nm_units(const T* w, T* out, const so_plane& p, int n, Launch launch) {
  const bool in_a_row = p.rows == 1 || (p.ld == p.cols && p.ld_out == p.cols);
  if (!in_a_row || p.cols % M || (uintptr_t)w % sizeof(so_unit<T, M>) || (uintptr_t)out % sizeof(so_unit<T, M>)) return false;
  const int64_t windows = p.rows * (p.cols / M), each = SO_PROJECTION_THREADS * SO_PROJECTION_AHEAD;
  launch(so_nm_units_kernel<T, M>, (windows + each - 1) / each, w, out, windows, n);
  return true;
}
template <class T, class Launch> void so_queue_nm(const T* w, T* out, const so_plane& p, int n, int m, Launch launch) {
  if (m == 4 && so_queue_nm_units<T, 4>(w, out, p, n, launch)) return;
  if (m == 8 && so_queue_nm_units<T, 8>(w, out, p, n, launch)) return;
  launch(so_nm_kernel<T>, so_projection_blocks((p.cols + m - 1) / m * p.rows), w, out, p, n, m);
}
