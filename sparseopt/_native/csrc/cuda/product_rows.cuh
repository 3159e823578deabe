// CUDA kernels of the block-sparse product with few rows of x, which wait for the blocks: they are read once, in units of 16
// bytes, by the warps of a thread block in turn.
#pragma once
#include "product.cuh"

// How a warp reads a block: `across` units make a row of it, `at_once` rows are read together, in `passes`.
template <class T, int B> struct so_vector_plan {
  enum { unit = 16 / (int)sizeof(T), across = B / unit, at_once = SO_WARP / across, passes = B / at_once,
         warps = SO_VECTOR_THREADS / SO_WARP };
};

// y = sum over the warps, in their order, plus the bias.
template <class T, int B> __device__ void so_store_row(const so_product_launch<T>& a, int64_t i, int64_t row, float (*sums)[B]) {
  __syncthreads();
  const int64_t column = row * B + threadIdx.x;
  if (threadIdx.x >= B || column >= a.outputs) return;
  float sum = 0.0f;
  for (int warp = 0; warp < so_vector_plan<T, B>::warps; ++warp) sum += sums[warp][threadIdx.x];
  a.y[i * a.outputs + column] = so_narrow<T>(sum + (a.bias ? so_wide(a.bias[column]) : 0.0f));
}

// turned: a unit holds neighbouring entries of x, and each of its rows adds to a number of y; else x is along the rows.
template <class T, int B, bool turned> __global__ void __launch_bounds__(SO_VECTOR_THREADS) so_vector_kernel(so_product_launch<T> a) {
  typedef so_vector_plan<T, B> plan;
  typedef so_unit<T, plan::unit> unit;
  __shared__ float sums[plan::warps][B];
  const int64_t row = blockIdx.x % a.rows, i = blockIdx.x / a.rows;
  const so_span span = so_blocks_of(a, row);
  const int warp = threadIdx.x / SO_WARP, lane = threadIdx.x % SO_WARP, down = lane / plan::across, first = lane % plan::across;
  float sum[turned ? plan::passes : plan::unit] = {};
  for (int64_t p = span.first + warp; p < span.last; p += plan::warps) {
    const unit* block = (const unit*)so_block_at(a, p, B) + lane;
    const int64_t part = a.at[p];
    float x[turned ? plan::unit : 1];
    SO_UNROLL
    for (int u = 0; turned && u < plan::unit; ++u) x[u] = so_wide(so_number_at(a, i, part, part * B + first * plan::unit + u));
    SO_UNROLL
    for (int k = 0; k < plan::passes; ++k) {
      const unit v = block[k * SO_WARP];
      if (!turned) x[0] = so_wide(so_number_at(a, i, part, part * B + k * plan::at_once + down));
      SO_UNROLL
      for (int u = 0; u < plan::unit; ++u) sum[turned ? k : u] = fmaf(x[turned ? u : 0], so_wide(v.e[u]), sum[turned ? k : u]);
    }
  }
  SO_UNROLL
  for (int r = 0; r < (turned ? plan::passes : plan::unit); ++r) {
    for (int d = (turned ? plan::across : SO_WARP) / 2; d >= (turned ? 1 : plan::across); d /= 2)
      sum[r] += __shfl_xor_sync(SO_FULL_WARP, sum[r], d);
    if ((turned ? first : down) == 0) sums[warp][turned ? r * plan::at_once + down : lane * plan::unit + r] = sum[r];
  }
  so_store_row<T, B>(a, i, row, sums);
}

// Queues a product: launch(kernel, thread blocks, threads, arguments).
template <class T, int B, bool turned, class Launch> void so_queue_tiles(const so_product_launch<T>& a, Launch launch) {
  const int64_t blocks = (a.n + SO_PRODUCT_ROWS - 1) / SO_PRODUCT_ROWS * a.rows;
  if constexpr (sizeof(T) == 2) launch(so_product_halves_kernel<T, B, turned>, blocks, 128, a);
  else launch(so_product_kernel<T, B, turned>, blocks, 4 * B, a);
}
template <class T, int B, class Launch> void so_queue_product(const so_product_call& c, Launch launch) {
  const so_product_launch<T> a = so_product_arguments<T>(c);
  if constexpr (sizeof(T) <= 4)
    if (a.n <= SO_VECTOR_ROWS) {
      if (c.transposed) return launch(so_vector_kernel<T, B, true>, a.n * a.rows, SO_VECTOR_THREADS, a);
      return launch(so_vector_kernel<T, B, false>, a.n * a.rows, SO_VECTOR_THREADS, a);
    }
  if (c.transposed) so_queue_tiles<T, B, true>(a, launch);
  else so_queue_tiles<T, B, false>(a, launch);
}
template <class T, class Launch> void so_queue_sides(const so_product_call& c, Launch launch) {
  if (c.b == 16) so_queue_product<T, 16>(c, launch);
  if (c.b == 32) so_queue_product<T, 32>(c, launch);
  if (c.b == 64) so_queue_product<T, 64>(c, launch);
}
template <class Launch> void so_queue_products(const so_product_call& c, Launch launch) {
  if (c.type == SO_FLOAT32) so_queue_sides<float>(c, launch);
  if (c.type == SO_FLOAT64) so_queue_sides<double>(c, launch);
  if (c.type == SO_BFLOAT16) so_queue_sides<so_bfloat>(c, launch);
  if (c.type == SO_FLOAT16) so_queue_sides<so_half>(c, launch);
}
inline bool so_product_fits(const so_product_call& c) {
  return c.n > 0 && c.outputs > 0 && (c.n + SO_VECTOR_ROWS) * ((c.outputs + c.b - 1) / c.b) < 0x7fffffff &&
         (uintptr_t)c.values % 16 == 0;
}
