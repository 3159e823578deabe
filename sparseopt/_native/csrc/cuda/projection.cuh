// CUDA kernels of the projections onto mask sets: a thread decides a window or a tile by the scalar source of projection.h.
// Compiled by nvcc for devices, and by the host compiler through emulator.h for tests.
#pragma once
#include "../projection.h"

#define SO_PROJECTION_THREADS 128

// One thread per window of m <= 64 entries of a row; the last one of a row may be shorter. finite [1] becomes 0 on NaN or inf.
template <class T> __global__ void so_nm_kernel(const T* w, T* out, so_plane p, int n, int m, int32_t* finite) {
  const int64_t across = (p.cols + m - 1) / m, window = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (window >= across * p.rows) return;
  const int64_t row = window / across, col = window % across * m;
  const int len = (int)(p.cols - col < m ? p.cols - col : m);
  const T* from = w + row * p.ld + col;
  T* to = out + row * p.ld_out + col;
  uint64_t kept = 0;
  for (int i = 0; i < len; ++i) {
    if (!so_finite(from[i])) *finite = 0;
    kept |= (uint64_t)(so_rank(from, 1, len, i) < n) << i;
  }
  for (int i = 0; i < len; ++i) to[i] = kept >> i & 1 ? from[i] : T(0);
}

// One thread per tile.
template <class T> __global__ void so_library_kernel(const T* w, T* out, so_plane p, so_library l, int32_t* finite) {
  const int64_t across = (p.cols + l.c - 1) / l.c, down = (p.rows + l.r - 1) / l.r;
  const int64_t tile = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (tile >= across * down) return;
  double x[SO_TILE];
  so_load_tile(w, p, l.r, l.c, tile / across, tile % across, x);
  const int best = so_best_mask(x, l.r * l.c, l.masks, l.count);
  if (best < 0) *finite = 0;
  so_store_tile(w, out, p, l.r, l.c, tile / across, tile % across, best < 0 ? 0 : l.masks[best]);
}

// One thread block per block of the matrix.
template <class T> __global__ void so_keep_kernel(const T* w, T* out, so_blocks b, const uint8_t* kept) {
  const int64_t across = b.cols / b.bc, i = blockIdx.x / across, j = blockIdx.x % across;
  const T* from = w + i * b.br * b.ld + j * b.bc;
  T* to = out + i * b.br * b.ld_out + j * b.bc;
  for (int64_t e = threadIdx.x; e < b.br * b.bc; e += blockDim.x) {
    const int64_t row = e / b.bc, col = e % b.bc;
    to[row * b.ld_out + col] = kept[blockIdx.x] ? from[row * b.ld + col] : T(0);
  }
}

SO_HD int64_t so_projection_blocks(int64_t threads) { return (threads + SO_PROJECTION_THREADS - 1) / SO_PROJECTION_THREADS; }
