// CUDA kernels of the grid passes with a sum over each block: a power of two of threads for each block, up to a warp, or a thread
// block. Compiled by nvcc for devices, and by the host compiler through emulator.h for tests.
#pragma once
#include "reduce.cuh"  // so_reduce
#include "grid_layout.cuh"

// Sums of squares in three ranges, so that none overflows or vanishes: large numbers by 2^-600, small ones by 2^600.
// Blue (1978). Numbers narrower than double need the one in the middle only.
struct so_squares {
  double large, middle, small;
};
SO_HD void so_add_square(so_squares& s, double x) {
  const double size = fabs(x);
  const double up = x * 0x1p600, down = x * 0x1p-600;
  const bool large = size > 0x1p480, small = size < 0x1p-511;
  s.large += large ? down * down : 0.0;
  s.small += small ? up * up : 0.0;
  s.middle += large || small ? 0.0 : x * x;
}
SO_HD double so_norm_of(so_squares s) {
  if (s.large > 0.0 || s.large != s.large)
    return sqrt(s.large + s.middle * 0x1p-600 * 0x1p-600) * 0x1p600;
  if (s.middle != 0.0) return sqrt(s.middle + s.small * 0x1p-600 * 0x1p-600);
  return sqrt(s.small) * 0x1p-600;
}

template <int P> struct so_reads {
  static constexpr int count = P == SO_PASS_PROX || P == SO_PASS_POWER ? 1 : 2;
};

// The block of a thread: its number, where it starts, how many rows and units of its rows are there; height 0: none.
struct so_tile {
  int64_t cell, start;
  uint32_t height, width;
};
template <int V, class T> __device__ so_tile so_thread_tile(const so_grid_launch<T>& a, int64_t block) {
  const so_grid& g = a.g;
  const int64_t base = block * (SO_GRID_THREADS / a.lanes), first = so_divide_long(base, a.per_row);
  const uint32_t n = (uint32_t)(base - first * a.per_row.by) + threadIdx.x / a.lanes, down = so_divide(n, a.per_row);
  const uint32_t b = so_divide(n - down * a.per_row.by, a.by_taps), tap = n - down * a.per_row.by - b * a.by_taps.by;
  const int64_t row = (first + down) * g.br, column = b * g.bc;
  if (row >= g.rows) return {0, 0, 0, 0};
  const int64_t height = g.rows - row < g.br ? g.rows - row : g.br, width = g.channels - column < g.bc ? g.channels - column : g.bc;
  return {base + threadIdx.x / a.lanes, row * g.ld + column * g.taps + tap, (uint32_t)height, (uint32_t)(width / V)};
}

// Where unit e of a block lies, or -1 beyond its border.
template <int V, class T> __device__ int64_t so_unit_in(const so_grid_launch<T>& a, const so_tile& t, uint32_t e) {
  const uint32_t row = so_divide(e, a.width), column = e - row * a.width.by;
  if (row >= t.height || column >= t.width) return -1;
  return t.start + row * a.g.ld + column * (V * a.g.taps);
}

template <int P, class T, int V> __device__ void so_add_unit(const so_unit<T, V>* x, bool second, so_squares& sums) {
  typedef so_working<T> A;
SO_UNROLL
  for (int v = 0; v < V; ++v) {
    const A one = so_wide(x[0].e[v]), other = so_reads<P>::count == 2 && second ? so_wide(x[so_reads<P>::count - 1].e[v]) : A(0);
    if (P == SO_PASS_DOTS || P == SO_PASS_VJP || P == SO_PASS_POWER_VJP) {
      sums.middle += (double)one * (double)other;
    } else {
      const double a = (double)(P == SO_PASS_NORMS && second ? one + other : one);
      if (sizeof(A) == 8) so_add_square(sums, a);
      else sums.middle += a * a;
    }
  }
}

// The sum over the threads of a block, for each of them.
__device__ inline double so_lanes_sum(double x, int lanes, double* shared) {
  if (lanes > SO_WARP) return so_reduce<SO_SUM>(x, shared);
  for (int d = lanes / 2; d; d /= 2) x += __shfl_xor_sync(SO_FULL_WARP, x, d);
  return x;
}

template <class T, int V, class A> __device__ void so_store_scaled(T* to, const so_unit<T, V>& x, A factor) {
  so_unit<T, V> result;
SO_UNROLL
  for (int v = 0; v < V; ++v) result.e[v] = so_narrow<T>(so_scaled((A)so_wide(x.e[v]), factor));
  *(so_unit<T, V>*)to = result;
}

// What PROX, POWER and POWER_VJP write: factor x[0]; factor x[1] + along x[0] for POWER_VJP.
template <class A> struct so_factors {
  A factor, along;
};
template <int P, class T, int V> __device__ void so_store_result(T* to, const so_unit<T, V>* x, so_factors<so_working<T>> f) {
  so_unit<T, V> result;
  SO_UNROLL
  for (int v = 0; v < V; ++v) {
    const so_working<T> w = so_wide(x[0].e[v]), g = so_wide(x[so_reads<P>::count - 1].e[v]);
    if (P == SO_PASS_POWER_VJP) result.e[v] = so_narrow<T>(so_added(so_scaled(g, f.factor), w, f.along));
    else result.e[v] = so_narrow<T>(so_scaled(w, f.factor));
  }
  *(so_unit<T, V>*)to = result;
}

// The sums over a block, the results that are sums, and what is left to do with its entries.
template <int P, class T> __device__ so_factors<so_working<T>> so_finish(const so_grid_launch<T>& a, const so_tile& t, bool first, so_squares sums, double* shared) {
  typedef so_working<T> A;
  sums.middle = so_lanes_sum(sums.middle, a.lanes, shared);
  if (P == SO_PASS_POWER_VJP) {
    const A norm = t.height ? ((const A*)a.values)[t.cell] : A(0);
    return {norm, norm > 0 ? (A)(sums.middle / (double)norm) : norm};
  }
  double result = sums.middle;
  if (P != SO_PASS_DOTS && P != SO_PASS_VJP) {
    if (sizeof(A) == 8) {
      sums.large = so_lanes_sum(sums.large, a.lanes, shared);
      sums.small = so_lanes_sum(sums.small, a.lanes, shared);
    }
    result = sizeof(A) == 8 ? so_norm_of(sums) : sqrt(sums.middle);
  }
  if (t.height == 0) return {A(0), A(0)};
  const T rounded = so_narrow<T>(result);
  if (first) a.results[t.cell] = rounded;
  if (P == SO_PASS_POWER) return {(A)so_wide(rounded), A(0)};
  if (P != SO_PASS_PROX) return {A(0), A(0)};
  return {(A)so_radial_scale(a.prox.kind, a.prox.parameter, result, a.prox.step[a.prox.per_block ? t.cell : 0]), A(0)};
}

template <int P, class T, int V>
__global__ void __launch_bounds__(SO_GRID_THREADS) so_blocks_kernel(SO_ARGUMENTS so_grid_batch<T> batch) {
  typedef so_working<T> A;
  typedef so_unit<T, V> unit;
  __shared__ double shared[SO_WARP];
  const so_share share = so_my_share(batch);
  const so_grid_launch<T>& a = batch.each[share.matrix];
  const so_tile t = so_thread_tile<V>(a, share.block);
  const uint32_t size = (uint32_t)a.size, lane = threadIdx.x & (a.lanes - 1), step = a.lanes;
  const bool second = a.m[1] != nullptr;
  const A scale = P == SO_PASS_VJP && t.height ? ((const A*)a.values)[t.cell] : A(0);
  unit x[SO_GRID_HELD][so_reads<P>::count];
  so_squares sums = {0.0, 0.0, 0.0};
  const auto read = [&](int64_t at, unit* to) {
    to[0] = *(const unit*)(a.m[0] + at);
    if (so_reads<P>::count == 2 && second) to[so_reads<P>::count - 1] = *(const unit*)(a.m[1] + at);
  };
  for (uint32_t first = lane; first < size; first += SO_GRID_HELD * step) {
    int64_t at[SO_GRID_HELD];
    SO_UNROLL
    for (int k = 0; k < SO_GRID_HELD; ++k) {
      at[k] = first + k * step < size ? so_unit_in<V>(a, t, first + k * step) : -1;
      if (at[k] >= 0) read(at[k], x[k]);
    }
    SO_UNROLL
    for (int k = 0; k < SO_GRID_HELD; ++k) {
      if (at[k] < 0) continue;
      so_add_unit<P, T, V>(x[k], second, sums);
      if (P == SO_PASS_VJP) so_store_scaled<T, V>(a.m[2] + at[k], x[k][so_reads<P>::count - 1], scale);
    }
  }
  const so_factors<A> f = so_finish<P>(a, t, lane == 0, sums, shared);
  if (P != SO_PASS_PROX && P != SO_PASS_POWER && P != SO_PASS_POWER_VJP) return;
  if (size <= SO_GRID_HELD * step) {
    SO_UNROLL
    for (int k = 0; k < SO_GRID_HELD; ++k) {
      const int64_t at = lane + k * step < size ? so_unit_in<V>(a, t, lane + k * step) : -1;
      if (at >= 0) so_store_result<P, T, V>(a.m[1] + at, x[k], f);
    }
    return;
  }
  for (uint32_t e = lane; e < size; e += step) {
    const int64_t at = so_unit_in<V>(a, t, e);
    if (at < 0) continue;
    read(at, x[0]);
    so_store_result<P, T, V>(a.m[1] + at, x[0], f);
  }
}

// Queues a block pass: launch(kernel, thread blocks, arguments).
template <class T, int V, class Launch> void so_queue_blocks(const so_grid_call* calls, int64_t count, Launch launch) {
  for (int64_t done = 0; done < count;) {
    const so_grid_batch<T> b = so_gather<T, V>(calls + done, count - done, [](const auto& a) { return so_block_blocks(a); });
    const int64_t blocks = b.first[b.count];
    done += b.count;
    switch (calls->pass) {
      case SO_PASS_DOTS: launch(so_blocks_kernel<SO_PASS_DOTS, T, V>, blocks, b); break;
      case SO_PASS_NORMS: launch(so_blocks_kernel<SO_PASS_NORMS, T, V>, blocks, b); break;
      case SO_PASS_VJP: launch(so_blocks_kernel<SO_PASS_VJP, T, V>, blocks, b); break;
      case SO_PASS_PROX: launch(so_blocks_kernel<SO_PASS_PROX, T, V>, blocks, b); break;
      case SO_PASS_POWER: launch(so_blocks_kernel<SO_PASS_POWER, T, V>, blocks, b); break;
      case SO_PASS_POWER_VJP: launch(so_blocks_kernel<SO_PASS_POWER_VJP, T, V>, blocks, b); break;
    }
  }
}
