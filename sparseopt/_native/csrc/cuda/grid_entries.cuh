// CUDA kernels of the grid passes that treat every entry by itself: threads take units along the rows, whatever the blocks.
// Compiled by nvcc for devices, and by the host compiler through emulator.h for tests.
#pragma once
#include "reduce.cuh"  // so_reduce
#include "grid_layout.cuh"

// What a pass does with an entry x[0], x[1], ... of its matrices; s: the value of its block; matrix `target` becomes the result.
struct so_scale_entries {
  static constexpr int pass = SO_PASS_SCALE, reads = 1, target = 1, bytes = 0;
  template <class A> SO_MEMBER A apply(const A* x, A s, A) { return so_scaled(x[0], s); }
};
struct so_mask_entries {
  static constexpr int pass = SO_PASS_MASK, reads = 1, target = 1, bytes = 1;
};
struct so_add_entries {
  static constexpr int pass = SO_PASS_ADD, reads = 2, target = 1, bytes = 0;
  template <class A> SO_MEMBER A apply(const A* x, A s, A) { return so_added(x[1], x[0], s); }
};
struct so_decay_entries {
  static constexpr int pass = SO_PASS_DECAY, reads = 2, target = 1, bytes = 1;
  template <class A> SO_MEMBER A apply(const A* x, A s, A pull) { return so_added(x[1], x[0], so_decay_factor(pull, s)); }
};
struct so_augment_entries {
  static constexpr int pass = SO_PASS_AUGMENT, reads = 4, target = 3, bytes = 0;
  template <class A> SO_MEMBER A apply(const A* x, A, A rho) { return so_augmented(x[3], x[0], x[1], x[2], rho); }
};
struct so_admm_entries {
  static constexpr int pass = SO_PASS_ADMM, reads = 3, target = 1, bytes = 1;
};

// A unit of a row: its address in every matrix, and its first column.
struct so_place {
  int64_t row, at;
  uint32_t column;
  bool there;
};
template <int V, class T> __device__ so_place so_unit_place(const so_grid_launch<T>& a, int64_t block, int k) {
  const int64_t base = block * (SO_GRID_THREADS * SO_GRID_AHEAD), first = so_divide_long(base, a.row);
  const uint32_t n = (uint32_t)(base - first * a.row.by) + k * SO_GRID_THREADS + threadIdx.x, down = so_divide(n, a.row);
  const uint32_t column = (n - down * a.row.by) * V;
  const int64_t row = first + down;
  return {row, row * a.g.ld + column, column, row < a.g.rows};
}

// Index of the block, and tap, of a column.
template <class T> __device__ int64_t so_cell(const so_grid_launch<T>& a, int64_t row, uint32_t column) {
  const uint32_t down = so_divide((uint32_t)row, a.by_height), b = so_divide(column, a.by_block);
  const uint32_t tap = a.g.taps == 1 ? 0 : column - so_divide(column, a.by_taps) * a.by_taps.by;
  return ((int64_t)down * a.across + b) * a.g.taps + tap;
}

// The values of the blocks of a unit.
template <class Pass, class A, int V, class T> __device__ void so_values(const so_grid_launch<T>& a, so_place p, A* s) {
  for (int v = 0; v < V; ++v) {
    if (v && a.whole) {
      s[v] = s[0];
      continue;
    }
    const int64_t cell = so_cell(a, p.row, p.column + v);
    s[v] = Pass::bytes ? (A)((const uint8_t*)a.values)[cell] : ((const A*)a.values)[cell];
  }
}

template <class Pass, class T, int V>
__global__ void __launch_bounds__(SO_GRID_THREADS) so_entries_kernel(SO_ARGUMENTS so_grid_batch<T> batch) {
  const so_share share = so_my_share(batch);
  const so_grid_launch<T>& a = batch.each[share.matrix];
  typedef so_working<T> A;
  so_unit<T, V> x[SO_GRID_AHEAD][Pass::reads];
  so_place p[SO_GRID_AHEAD];
SO_UNROLL
  for (int k = 0; k < SO_GRID_AHEAD; ++k) {
    p[k] = so_unit_place<V>(a, share.block, k);
SO_UNROLL
    for (int m = 0; m < Pass::reads; ++m)
      if (p[k].there) x[k][m] = *(const so_unit<T, V>*)(a.m[m] + p[k].at);
  }
SO_UNROLL
  for (int k = 0; k < SO_GRID_AHEAD; ++k) {
    if (!p[k].there) continue;
    A s[V];
    if (Pass::pass != SO_PASS_AUGMENT) so_values<Pass, A, V>(a, p[k], s);
    so_unit<T, V> result;
SO_UNROLL
    for (int v = 0; v < V; ++v) {
      A of[Pass::reads];
SO_UNROLL
      for (int m = 0; m < Pass::reads; ++m) of[m] = so_wide(x[k][m].e[v]);
      result.e[v] = so_narrow<T>(Pass::apply(of, s[v], a.number));
    }
    *(so_unit<T, V>*)(a.m[Pass::target] + p[k].at) = result;
  }
}

// Kept entries are copied as they are, or left alone; the others are not read.
template <class T, int V>
__global__ void __launch_bounds__(SO_GRID_THREADS) so_mask_entries_kernel(SO_ARGUMENTS so_grid_batch<T> batch) {
  const so_share share = so_my_share(batch);
  const so_grid_launch<T>& a = batch.each[share.matrix];
  const bool in_place = a.m[0] == a.m[1];
SO_UNROLL
  for (int k = 0; k < SO_GRID_AHEAD; ++k) {
    const so_place p = so_unit_place<V>(a, share.block, k);
    if (!p.there) continue;
    float s[V];
    so_values<so_mask_entries, float, V>(a, p, s);
    bool any = false, all = true;
    for (int v = 0; v < V; ++v) any = any || s[v] != 0, all = all && s[v] != 0;
    if (all && in_place) continue;
    so_unit<T, V> x;
    memset(&x, 0, sizeof x);
    if (any) x = *(const so_unit<T, V>*)(a.m[0] + p.at);
    for (int v = 0; v < V; ++v)
      if (s[v] == 0) memset(&x.e[v], 0, sizeof(T));
    *(so_unit<T, V>*)(a.m[1] + p.at) = x;
  }
}

template <class T, int V> SO_HD bool so_any_bits(const so_unit<T, V>& x) {
  unsigned char bytes[sizeof x], any = 0;
  memcpy(bytes, &x, sizeof x);
  for (unsigned char byte : bytes) any |= byte;
  return any != 0;
}

// The update of ADMM; work[2 + 2 i, 3 + 2 i] = residuals of thread block i.
template <class T, int V>
__global__ void __launch_bounds__(SO_GRID_THREADS) so_admm_entries_kernel(SO_ARGUMENTS so_grid_batch<T> batch) {
  const so_share share = so_my_share(batch);
  const so_grid_launch<T>& a = batch.each[share.matrix];
  typedef so_working<T> A;
  __shared__ double shared[SO_WARP];
  so_unit<T, V> x[SO_GRID_AHEAD][3];
  so_place p[SO_GRID_AHEAD];
SO_UNROLL
  for (int k = 0; k < SO_GRID_AHEAD; ++k) {
    p[k] = so_unit_place<V>(a, share.block, k);
SO_UNROLL
    for (int m = 0; m < 3; ++m)
      if (p[k].there) x[k][m] = *(const so_unit<T, V>*)(a.m[m] + p[k].at);
  }
  double primal = 0.0, dual = 0.0;
SO_UNROLL
  for (int k = 0; k < SO_GRID_AHEAD; ++k) {
    if (!p[k].there) continue;
    A s[V];
    so_values<so_admm_entries, A, V>(a, p[k], s);
    so_unit<T, V> z, u;
SO_UNROLL
    for (int v = 0; v < V; ++v) {
      const A w = so_wide(x[k][0].e[v]), before = so_wide(x[k][1].e[v]);
      so_admm_step<A> step = so_admm(w, before, so_wide(x[k][2].e[v]), s[v]);
      z.e[v] = so_narrow<T>(step.z);
      if (sizeof(T) == 2) step = so_admm_from(w, before, so_wide(x[k][2].e[v]), (A)so_wide(z.e[v]));  // u holds the rounding of z
      u.e[v] = so_narrow<T>(step.u);
      primal += (double)step.apart * (double)step.apart;
      dual += (double)step.moved * (double)step.moved;
    }
    *(so_unit<T, V>*)(a.m[2] + p[k].at) = u;
    if (so_any_bits(z) || so_any_bits(x[k][1])) *(so_unit<T, V>*)(a.m[1] + p[k].at) = z;  // most of a sparse z is 0, and stays so
  }
  primal = so_reduce<SO_SUM>(primal, shared);
  dual = so_reduce<SO_SUM>(dual, shared);
  if (threadIdx.x) return;
  a.work[2 + 2 * share.block] = primal;
  a.work[3 + 2 * share.block] = dual;
}

// work[0, 1] = sums of the residuals of all thread blocks of a matrix. One thread block for each.
template <class T> __global__ void __launch_bounds__(SO_GRID_THREADS) so_residuals_kernel(SO_ARGUMENTS so_grid_batch<T> batch) {
  double* work = batch.each[blockIdx.x].work;
  const int64_t parts = batch.first[blockIdx.x + 1] - batch.first[blockIdx.x];
  __shared__ double shared[SO_WARP];
  double primal = 0.0, dual = 0.0;
  for (int64_t i = threadIdx.x; i < parts; i += SO_GRID_THREADS) primal += work[2 + 2 * i], dual += work[3 + 2 * i];
  primal = so_reduce<SO_SUM>(primal, shared);
  dual = so_reduce<SO_SUM>(dual, shared);
  if (threadIdx.x) return;
  work[0] = primal;
  work[1] = dual;
}

// Queues an entry pass: launch(kernel, thread blocks, arguments).
template <class T, int V, class Launch> void so_queue_entries(const so_grid_call* calls, int64_t count, Launch launch) {
  for (int64_t done = 0; done < count;) {
    const so_grid_batch<T> b = so_gather<T, V>(calls + done, count - done, [](const auto& a) { return so_entry_blocks<V>(a); });
    const int64_t blocks = b.first[b.count];
    done += b.count;
    switch (calls->pass) {
      case SO_PASS_SCALE: launch(so_entries_kernel<so_scale_entries, T, V>, blocks, b); break;
      case SO_PASS_ADD: launch(so_entries_kernel<so_add_entries, T, V>, blocks, b); break;
      case SO_PASS_DECAY: launch(so_entries_kernel<so_decay_entries, T, V>, blocks, b); break;
      case SO_PASS_AUGMENT: launch(so_entries_kernel<so_augment_entries, T, V>, blocks, b); break;
      case SO_PASS_MASK: launch(so_mask_entries_kernel<T, V>, blocks, b); break;
      case SO_PASS_ADMM:
        launch(so_admm_entries_kernel<T, V>, blocks, b);
        launch(so_residuals_kernel<T>, b.count, b);
    }
  }
}
