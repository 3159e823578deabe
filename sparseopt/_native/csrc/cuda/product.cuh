// CUDA kernels of the block-sparse product: a thread block for a row of blocks of the result and some rows of x. Sums run over
// the blocks in their order: the same result in every run. Compiled by nvcc for devices, and by the host compiler through
// emulator.h for tests.
#pragma once
#include "../product.h"
#include "grid_layout.cuh"  // so_unit
#include "matrix_units.cuh"

#define SO_PRODUCT_ROWS 64    // rows of x of a tile
#define SO_PRODUCT_DEPTH 16   // columns of x at a time, by multiply-adds
#define SO_VECTOR_THREADS 256
#define SO_VECTOR_ROWS 4      // up to as many rows of x are multiplied one by one

template <class T> struct so_product_launch {
  const T *values, *x, *bias;
  T* y;
  const int32_t *starts, *at, *order;
  int64_t n, outputs, inputs, rows, parts, count;  // rows: of blocks of the result; parts: of x
  bool in_units;                                   // of 16 bytes, in x
};
template <class T> so_product_launch<T> so_product_arguments(const so_product_call& c) {
  const int64_t unit = 16 / sizeof(T);
  const bool in_units = c.inputs % unit == 0 && (uintptr_t)c.x % 16 == 0;
  return {(const T*)c.values, (const T*)c.x, (const T*)c.bias, (T*)c.y, c.starts, c.at, c.order, c.n, c.outputs, c.inputs,
          (c.outputs + c.b - 1) / c.b, (c.inputs + c.b - 1) / c.b, c.count, in_units};
}

// The blocks of a row of them, never beyond those that are there.
struct so_span {
  int64_t first, last;
};
template <class T> __device__ so_span so_blocks_of(const so_product_launch<T>& a, int64_t row) {
  const int64_t first = a.starts[row], last = a.starts[row + 1];
  return {first < 0 ? 0 : first, last > a.count ? a.count : last};
}
template <class T> __device__ const T* so_block_at(const so_product_launch<T>& a, int64_t p, int b) {
  return a.values + (int64_t)(a.order ? a.order[p] : p) * b * b;
}

template <class T> __device__ T so_number_at(const so_product_launch<T>& a, int64_t row, int64_t part, int64_t column) {
  if (part < 0 || part >= a.parts) return so_narrow<T>((so_working<T>)NAN);
  if (row >= a.n || column >= a.inputs) return so_narrow<T>((so_working<T>)0);
  return a.x[row * a.inputs + column];
}

SO_HD float so_multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
SO_HD double so_multiply_add(double a, double b, double c) { return fma(a, b, c); }

// One part of x and of a block on its way from memory: what a thread of 4 B carries.
template <class T, int B, bool turned> struct so_carried {
  enum { threads = 4 * B, of_x = SO_PRODUCT_ROWS * SO_PRODUCT_DEPTH / threads, of_block = SO_PRODUCT_DEPTH * B / threads };
  T x[of_x], block[of_block];
  SO_DEVICE_MEMBER void read(const so_product_launch<T>& a, int64_t first_row, int64_t p, int k) {
    const T* block_at = so_block_at(a, p, B);
    const int64_t part = a.at[p];
    SO_UNROLL
    for (int i = 0; i < of_x; ++i) {
      const int e = i * threads + threadIdx.x;
      const int64_t column = k + e % SO_PRODUCT_DEPTH;
      x[i] = so_number_at(a, first_row + e / SO_PRODUCT_DEPTH, part, part * B + column);
    }
    SO_UNROLL
    for (int i = 0; i < of_block; ++i) {
      const int e = i * threads + threadIdx.x;
      block[i] = turned ? block_at[e / SO_PRODUCT_DEPTH * B + k + e % SO_PRODUCT_DEPTH] : block_at[k * B + e];
    }
  }
  SO_DEVICE_MEMBER void write(T (*xs)[SO_PRODUCT_ROWS + 4], T (*blocks)[B + 4]) const {
    SO_UNROLL
    for (int i = 0; i < of_x; ++i) {
      const int e = i * threads + threadIdx.x;
      xs[e % SO_PRODUCT_DEPTH][e / SO_PRODUCT_DEPTH] = x[i];
    }
    SO_UNROLL
    for (int i = 0; i < of_block; ++i) {
      const int e = i * threads + threadIdx.x;
      if (turned) blocks[e % SO_PRODUCT_DEPTH][e / SO_PRODUCT_DEPTH] = block[i];
      else blocks[e / B][e % B] = block[i];
    }
  }
};

// By multiply-adds, 4 x 4 entries of the result for each of 4 B threads.
template <class T, int B, bool turned> __global__ void __launch_bounds__(4 * B) so_product_kernel(so_product_launch<T> a) {
  alignas(32) __shared__ T xs[SO_PRODUCT_DEPTH][SO_PRODUCT_ROWS + 4], blocks[SO_PRODUCT_DEPTH][B + 4];
  const int64_t row = blockIdx.x % a.rows, first_row = blockIdx.x / a.rows * SO_PRODUCT_ROWS;
  const so_span span = so_blocks_of(a, row);
  const int i = threadIdx.x / (B / 4) * 4, j = threadIdx.x % (B / 4) * 4;
  T sum[4][4] = {};
  so_carried<T, B, turned> next;
  if (span.first < span.last) next.read(a, first_row, span.first, 0);
  for (int64_t p = span.first; p < span.last; ++p)
    for (int k = 0; k < B; k += SO_PRODUCT_DEPTH) {
      __syncthreads();  // what was there may still be read
      next.write(xs, blocks);
      __syncthreads();
      if (k + SO_PRODUCT_DEPTH < B) next.read(a, first_row, p, k + SO_PRODUCT_DEPTH);
      else if (p + 1 < span.last) next.read(a, first_row, p + 1, 0);
      SO_UNROLL_SOME
      for (int d = 0; d < SO_PRODUCT_DEPTH; ++d) {
        const so_unit<T, 4> u = *(const so_unit<T, 4>*)&xs[d][i], v = *(const so_unit<T, 4>*)&blocks[d][j];
        SO_UNROLL
        for (int r = 0; r < 4; ++r)
          SO_UNROLL
          for (int c = 0; c < 4; ++c) sum[r][c] = so_multiply_add(u.e[r], v.e[c], sum[r][c]);
      }
    }
  SO_UNROLL
  for (int r = 0; r < 4; ++r)
    SO_UNROLL
    for (int c = 0; c < 4; ++c) {
      const int64_t column = row * B + j + c;
      if (first_row + i + r >= a.n || column >= a.outputs) continue;
      a.y[(first_row + i + r) * a.outputs + column] = sum[r][c] + (a.bias ? a.bias[column] : T(0));
    }
}

// By tensor cores, for half types: four warps, each 16 rows of x.
template <class T, int B> struct alignas(32) so_half_tiles {
  enum { ld = B + 8, ld_out = B + 4 };
  union {
    struct {
      T x[SO_PRODUCT_ROWS * ld], block[B * ld];
    } in;
    float out[SO_PRODUCT_ROWS * ld_out];
  };
};
template <class T, int B> struct so_carried_halves {
  typedef so_unit<T, 8> unit;
  enum { threads = 128, across = B / 8, of_x = SO_PRODUCT_ROWS * across / threads, blocks = B * across,
         of_block = (blocks + threads - 1) / threads };
  unit x[of_x], block[of_block];
  SO_DEVICE_MEMBER void read(const so_product_launch<T>& a, int64_t first_row, int64_t p) {
    const T* block_at = so_block_at(a, p, B);
    const int64_t part = a.at[p];
    SO_UNROLL
    for (int i = 0; i < of_x; ++i) {
      const int e = i * threads + threadIdx.x;
      const int64_t row = first_row + e / across, column = part * B + e % across * 8;
      if (a.in_units && part >= 0 && row < a.n && column < a.inputs) x[i] = *(const unit*)(a.x + row * a.inputs + column);
      else
        for (int v = 0; v < 8; ++v) x[i].e[v] = so_number_at(a, row, part, column + v);
    }
    SO_UNROLL
    for (int i = 0; i < of_block; ++i)
      if (i * threads + threadIdx.x < blocks) block[i] = ((const unit*)block_at)[i * threads + threadIdx.x];
  }
  SO_DEVICE_MEMBER void write(so_half_tiles<T, B>& to) const {
    SO_UNROLL
    for (int i = 0; i < of_x; ++i) {
      const int e = i * threads + threadIdx.x;
      *(unit*)(to.in.x + e / across * to.ld + e % across * 8) = x[i];
    }
    SO_UNROLL
    for (int i = 0; i < of_block; ++i) {
      const int e = i * threads + threadIdx.x;
      if (e < blocks) *(unit*)(to.in.block + e / across * to.ld + e % across * 8) = block[i];
    }
  }
};
template <class T, int B, bool turned> __global__ void __launch_bounds__(128) so_product_halves_kernel(so_product_launch<T> a) {
  __shared__ so_half_tiles<T, B> tiles;
  const int64_t row = blockIdx.x % a.rows, first_row = blockIdx.x / a.rows * SO_PRODUCT_ROWS;
  const so_span span = so_blocks_of(a, row);
  const int ld = tiles.ld, own = threadIdx.x / SO_WARP * 16;
  so_matrix_sum sum[B / 16];
  SO_UNROLL
  for (int j = 0; j < B / 16; ++j) sum[j].clear();
  so_carried_halves<T, B> next;
  if (span.first < span.last) next.read(a, first_row, span.first);
  for (int64_t p = span.first; p < span.last; ++p) {
    __syncthreads();  // what was there may still be read
    next.write(tiles);
    __syncthreads();
    if (p + 1 < span.last) next.read(a, first_row, p + 1);
    SO_UNROLL
    for (int k = 0; k < B; k += 16)
      SO_UNROLL
      for (int j = 0; j < B; j += 16)
        so_matrix_add<turned>(sum[j / 16], tiles.in.x + own * ld + k, ld, tiles.in.block + (turned ? j * ld + k : k * ld + j), ld);
  }
  __syncthreads();
  SO_UNROLL
  for (int j = 0; j < B / 16; ++j) sum[j].store(tiles.out + own * tiles.ld_out + 16 * j, tiles.ld_out);
  __syncthreads();
  for (int e = threadIdx.x; e < SO_PRODUCT_ROWS * B; e += 128) {
    const int64_t i = first_row + e / B, column = row * B + e % B;
    if (i >= a.n || column >= a.outputs) continue;
    const float bias = a.bias ? so_wide(a.bias[column]) : 0.0f;
    a.y[i * a.outputs + column] = so_narrow<T>(tiles.out[e / B * tiles.ld_out + e % B] + bias);
  }
}
