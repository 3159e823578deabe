// CUDA kernels of the soft top-k: the k-th entry of each row by counting its digits, then Newton on the log-balance, then f.
// The state of a row stays on the device and a kernel with nothing left to do returns at once, so the host only queues. Thread
// blocks take runs of SO_TOPK_CHUNK entries; what they find is combined in a fixed order: the same result in every run.
// Compiled by nvcc for devices, and by the host compiler through emulator.h for tests.
#pragma once
#include "../topk.h"
#include "reduce.cuh"  // so_reduce

#ifndef SO_TOPK_THREADS  // the emulator takes fewer, because each of its threads is dear
#define SO_TOPK_THREADS 256
#define SO_TOPK_CHUNK 32768
#endif
#define SO_TOPK_DIGIT 11         // bits
#define SO_TOPK_BALANCES 12      // Newton steps queued; three to five are taken
#define SO_TOPK_NEAR 1e-2        // from here on the sums are over f in double

typedef unsigned long long so_counter;

SO_HD int64_t so_topk_chunks(int64_t n) { return (n + SO_TOPK_CHUNK - 1) / SO_TOPK_CHUNK; }

// What is known of a row, at the start of the workspace.
struct so_topk_row {
  int32_t code, constant, in_double, done, with_ties, flat;
  double value;                           // of every finite entry, if constant
  so_counter positive, negative, nan;     // infinite entries and NaN
  int64_t wanted, above, equal;           // rank of the k-th entry among those with its digits; entries > it, and equal to it
  uint64_t digits;                        // of its key, so far
  double kth, mean, low, high;            // low, high: bracket of the shift
  so_threshold t;
};

template <class T> struct so_topk_launch {
  so_topk_shape shape;
  const T *x, *g;
  T* out;
  so_topk_row* rows;
  double* parts;   // [rows, chunks, 4]
  unsigned* bins;  // [rows, 2^SO_TOPK_DIGIT]
  int32_t* codes;  // [rows]
};

SO_HD int64_t so_topk_workspace(int64_t rows, int64_t n) {
  const int64_t parts = 4 * sizeof(double) * so_topk_chunks(n), bins = sizeof(unsigned) << SO_TOPK_DIGIT;
  return rows * ((int64_t)sizeof(so_topk_row) + parts + bins);
}
template <class T>
SO_HD so_topk_launch<T> so_topk_arguments(const T* x, const T* g, T* out, void* work, int32_t* codes, const so_topk_shape& s) {
  so_topk_row* rows = (so_topk_row*)work;
  double* parts = (double*)(rows + s.rows);
  return {s, x, g, out, rows, parts, (unsigned*)(parts + 4 * s.rows * so_topk_chunks(s.n)), codes};
}

// The entries of this thread block: every blockDim.x-th one from `first`, below `last`.
struct so_topk_span {
  int64_t row, first, last;
};
template <class T> __device__ so_topk_span so_topk_mine(const so_topk_launch<T>& a) {
  const int64_t chunks = so_topk_chunks(a.shape.n), row = blockIdx.x / chunks, from = blockIdx.x % chunks * SO_TOPK_CHUNK;
  const int64_t most = a.shape.n - from < SO_TOPK_CHUNK ? a.shape.n - from : SO_TOPK_CHUNK, start = row * a.shape.n + from;
  return {row, start + threadIdx.x, start + most};
}
SO_HD bool so_topk_idle(const so_topk_row& r) { return r.code != SO_TOPK_DONE || r.constant; }

// 0 and -0 have one key.
template <class T> SO_HD uint64_t so_topk_digits_of(T a) {
  const int bits = 8 * (int)sizeof(T);
  return ((uint64_t)so_key(a + T(0)) ^ (uint64_t)1 << (bits - 1)) & (~(uint64_t)0 >> (64 - bits));
}
// The digit of pass p: `width` bits from `shift` on.
struct so_topk_digit {
  int shift, width;
};
template <class T> SO_HD so_topk_digit so_topk_place(int pass) {
  const int above = 8 * (int)sizeof(T) - SO_TOPK_DIGIT * pass;
  return above > SO_TOPK_DIGIT ? so_topk_digit{above - SO_TOPK_DIGIT, SO_TOPK_DIGIT} : so_topk_digit{0, above};
}
template <class T> SO_HD int so_topk_passes() { return (8 * (int)sizeof(T) + SO_TOPK_DIGIT - 1) / SO_TOPK_DIGIT; }

// One thread block per row.
template <class T> __global__ void so_topk_begin_kernel(so_topk_launch<T> a, int) {
  so_topk_row* r = a.rows + blockIdx.x;
  if (threadIdx.x == 0) {
    *r = so_topk_row();
    r->wanted = a.shape.k;
    r->low = -INFINITY, r->high = INFINITY;
  }
  unsigned* bins = a.bins + ((int64_t)blockIdx.x << SO_TOPK_DIGIT);
  for (int i = threadIdx.x; i < 1 << SO_TOPK_DIGIT; i += blockDim.x) bins[i] = 0;
}

// How often each value of digit `pass` occurs among the entries that have the digits before it.
template <class T> __global__ void so_topk_count_kernel(so_topk_launch<T> a, int pass) {
  __shared__ unsigned bins[1 << SO_TOPK_DIGIT];
  const so_topk_span s = so_topk_mine(a);
  so_topk_row& r = a.rows[s.row];
  if (so_topk_idle(r)) return;
  for (int i = threadIdx.x; i < 1 << SO_TOPK_DIGIT; i += blockDim.x) bins[i] = 0;
  __syncthreads();
  const so_topk_digit place = so_topk_place<T>(pass);
  const uint64_t wanted = r.digits, mask = ((uint64_t)1 << place.width) - 1;
  so_counter positive = 0, negative = 0, nan = 0;
  unsigned last = 0, count = 0;  // equal neighbours are added at once: tied rows would queue for one bin
  for (int64_t i = s.first; i < s.last; i += blockDim.x) {
    const T v = a.x[i];
    if (pass == 0) positive += v == (T)INFINITY, negative += v == -(T)INFINITY, nan += v != v;
    const uint64_t key = so_topk_digits_of(v);
    if (pass > 0 && key >> (place.shift + place.width) != wanted) continue;
    const unsigned digit = (unsigned)(key >> place.shift & mask);
    if (digit != last && count) atomicAdd(&bins[last], count), count = 0;
    last = digit;
    ++count;
  }
  if (count) atomicAdd(&bins[last], count);
  if (positive) atomicAdd(&r.positive, positive);
  if (negative) atomicAdd(&r.negative, negative);
  if (nan) atomicAdd(&r.nan, nan);
  __syncthreads();
  unsigned* total = a.bins + (s.row << SO_TOPK_DIGIT);
  for (int i = threadIdx.x; i < 1 << SO_TOPK_DIGIT; i += blockDim.x)
    if (bins[i]) atomicAdd(&total[i], bins[i]);
}

// The digit of the k-th entry; after the last one, that entry. One thread block per row.
template <class T> __global__ void so_topk_choose_kernel(so_topk_launch<T> a, int pass) {
  __shared__ int64_t sums[SO_TOPK_THREADS];
  so_topk_row& r = a.rows[blockIdx.x];
  if (so_topk_idle(r)) return;
  unsigned* bins = a.bins + ((int64_t)blockIdx.x << SO_TOPK_DIGIT);
  const int each = (1 << SO_TOPK_DIGIT) / SO_TOPK_THREADS, first = each * threadIdx.x;
  int64_t sum = 0;
  for (int i = first; i < first + each; ++i) sum += bins[i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    const so_settled s = so_topk_settle((int64_t)r.positive, (int64_t)r.negative, (int64_t)r.nan, a.shape.n, a.shape.k);
    r.code = s.code, r.constant = s.constant, r.value = s.value;
    if (!so_topk_idle(r)) {
      int group = SO_TOPK_THREADS - 1;
      for (; group > 0 && sums[group] < r.wanted; --group) r.wanted -= sums[group], r.above += sums[group];
      int i = each * group + each - 1;
      for (; i > each * group && bins[i] < r.wanted; --i) r.wanted -= bins[i], r.above += bins[i];
      r.digits = r.digits << so_topk_place<T>(pass).width | (uint64_t)i;
      r.equal = bins[i];
      const int bits = 8 * (int)sizeof(T);
      T kth;
      so_from_key((int64_t)(r.digits ^ (uint64_t)1 << (bits - 1)) << (64 - bits) >> (64 - bits), &kth);
      r.kth = (double)kth;
    }
  }
  __syncthreads();
  for (int i = first; i < first + each; ++i) bins[i] = 0;
}

// The largest entry below the k-th, of a chunk; not needed where others equal to the k-th are outside the top.
template <class T> __global__ void so_topk_below_kernel(so_topk_launch<T> a, int) {
  __shared__ double shared[SO_WARP];
  const so_topk_span s = so_topk_mine(a);
  const so_topk_row& r = a.rows[s.row];
  if (so_topk_idle(r) || r.equal > r.wanted) return;
  double below = -INFINITY;
  for (int64_t i = s.first; i < s.last; i += blockDim.x) {
    const double v = (double)a.x[i];
    if (v < r.kth && v > below) below = v;
  }
  below = so_reduce<SO_LARGEST>(below, shared);
  if (threadIdx.x == 0) a.parts[4 * blockIdx.x] = below;
}

// The top of the row and where the search for the shift starts. One thread block per row.
template <class T> __global__ void so_topk_start_kernel(so_topk_launch<T> a, int) {
  __shared__ double shared[SO_WARP];
  so_topk_row& r = a.rows[blockIdx.x];
  if (so_topk_idle(r)) return;
  const bool apart = r.equal <= r.wanted;
  double below = -INFINITY;
  for (int64_t i = threadIdx.x; apart && i < so_topk_chunks(a.shape.n); i += blockDim.x)
    below = so_combine<SO_LARGEST>(a.parts[4 * (blockIdx.x * so_topk_chunks(a.shape.n) + i)], below);
  below = so_reduce<SO_LARGEST>(below, shared);
  if (threadIdx.x) return;
  r.in_double = sizeof(T) == 8;
  if (apart) {
    r.t = {(double)(T)(0.5 * r.kth + 0.5 * below), 0.0};
    r.with_ties = 1;
    r.above += r.equal;
    return;
  }
  // the shift where all others are 0 or 1; the tied entries are in the top or not, whichever is nearer to k
  r.t = {r.kth, log((double)r.wanted / (double)(r.equal - r.wanted))};
  r.with_ties = 2 * r.wanted > r.equal;
  r.above += r.with_ties ? r.equal : 0;
}

// f and 1 - f, in E.
template <class E> struct so_response {
  E f, rest;
};
SO_HD float so_exp2(float u) { return exp2f(u); }
SO_HD double so_exp2(double u) { return exp2(u); }
template <class E, class T> SO_HD so_response<E> so_respond(const so_logistic<E>& l, T x) {
  const E d = (E)x - l.pivot, inside = d < l.least ? l.least : d > l.most ? l.most : d;
  const E u = inside * l.slope + l.shift, e = so_exp2(u), f = E(1) / (E(1) + e);
  const E end = (E)(so_float_traits<E>::largest_exponent - 0.05);  // beyond it lies what was clipped
  return {u > end ? E(0) : f, u < -end ? E(0) : e * f};
}

// f (1 - f); 0 for entries whose f is 0 or 1.
template <class T> SO_HD T so_spread_at(const so_logistic<T>& l, T x) {
  const so_response<T> p = so_respond(l, x);
  return p.f * p.rest;
}

// What the log-balance sums over a chunk.
template <class E, class T> __device__ void so_topk_balance_sums(const so_topk_launch<T>& a, const so_topk_row& r, so_topk_span s, double* sums) {
  const so_logistic<E> l = so_make_logistic<E>(r.t.pivot, r.t.shift, a.shape.tau, false);
  const T kth = (T)r.kth;
  for (int64_t i = s.first; i < s.last; i += blockDim.x) {
    const T v = a.x[i];
    const so_response<E> p = so_respond(l, v);
    const bool top = r.with_ties ? v >= kth : v > kth;
    const double spread = (double)(p.f * p.rest);
    sums[0] += top ? 0.0 : (double)p.f;
    sums[1] += top ? 0.0 : spread;
    sums[2] += top ? (double)p.rest : 0.0;
    sums[3] += top ? spread : 0.0;
  }
}
template <class T> __global__ void so_topk_balance_kernel(so_topk_launch<T> a, int) {
  __shared__ double shared[SO_WARP];
  const so_topk_span s = so_topk_mine(a);
  const so_topk_row& r = a.rows[s.row];
  if (so_topk_idle(r) || r.done) return;
  double sums[4] = {0.0, 0.0, 0.0, 0.0};
  if (r.in_double) so_topk_balance_sums<double>(a, r, s, sums);
  else so_topk_balance_sums<T>(a, r, s, sums);
  for (int m = 0; m < 4; ++m) {
    const double total = so_reduce<SO_SUM>(sums[m], shared);
    if (threadIdx.x == 0) a.parts[4 * blockIdx.x + m] = total;
  }
}

// parts [chunks, 4] of a row, the first M of each summed; every thread gets the sums.
template <int M, class T> __device__ void so_topk_gather(const so_topk_launch<T>& a, double* sums, double* shared) {
  for (int m = 0; m < M; ++m) {
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < so_topk_chunks(a.shape.n); i += blockDim.x) sum += a.parts[4 * (blockIdx.x * so_topk_chunks(a.shape.n) + i) + m];
    sums[m] = so_reduce<SO_SUM>(sum, shared);
  }
}

// A Newton step. The error after it is that of h squared, so one from below the root of the accuracy is the last.
template <class T> __global__ void so_topk_step_kernel(so_topk_launch<T> a, int) {
  __shared__ double shared[SO_WARP];
  so_topk_row& r = a.rows[blockIdx.x];
  if (so_topk_idle(r) || r.done) return;
  double sums[4];
  so_topk_gather<4>(a, sums, shared);
  if (threadIdx.x) return;
  const double smallest = (double)a.shape.n * (r.in_double ? 1e-305 : 1e-37), enough = sizeof(T) == 4 ? 1e-5 : 1e-8;
  const so_balance b = so_log_balance(sums, (double)r.above, (double)a.shape.k, smallest);
  if (b.vanished) {
    if (r.in_double) r.done = 1;
    r.in_double = 1;
    return;
  }
  const double next = so_balance_step(b, r.t.shift, &r.low, &r.high);
  r.done = r.in_double && (fabs(b.h) <= enough || next == r.t.shift);
  if (!r.in_double && fabs(b.h) <= SO_TOPK_NEAR) {  // rounding in float may have moved the bracket past the root
    r.in_double = 1;
    r.low = -INFINITY, r.high = INFINITY;
  }
  const so_threshold t = r.in_double ? so_threshold{r.t.pivot, next} : so_recentred<T>({r.t.pivot, next}, a.shape.tau);
  r.low += t.shift - next, r.high += t.shift - next;
  r.t = t;
}

// out = f, computed in double and rounded once; NaN in a row that cannot be solved.
template <class T> __global__ void so_topk_output_kernel(so_topk_launch<T> a, int) {
  const so_topk_span s = so_topk_mine(a);
  const so_topk_row& r = a.rows[s.row];
  if (s.first == s.row * a.shape.n) a.codes[s.row] = r.code;
  const so_logistic<double> l = so_make_logistic<double>(r.t.pivot, r.t.shift, a.shape.tau, false);
  for (int64_t i = s.first; i < s.last; i += blockDim.x) {
    const T v = a.x[i];
    if (r.code != SO_TOPK_DONE) a.out[i] = (T)NAN;
    else if (r.constant) a.out[i] = v == (T)INFINITY ? T(1) : v == -(T)INFINITY ? T(0) : (T)r.value;
    else a.out[i] = (T)so_respond(l, v).f;
  }
}

template <class T> SO_HD so_logistic<T> so_topk_backward_logistic(const so_topk_launch<T>& a, const so_topk_row& r) {
  const so_threshold t = so_recentred<T>(r.t, a.shape.tau);
  return so_make_logistic<T>(t.pivot, t.shift, a.shape.tau, false);
}

// sum v g and sum v of a chunk, v = f (1 - f).
template <class T> __global__ void so_topk_weigh_kernel(so_topk_launch<T> a, int) {
  __shared__ double shared[SO_WARP];
  const so_topk_span s = so_topk_mine(a);
  const so_topk_row& r = a.rows[s.row];
  if (so_topk_idle(r)) return;
  const so_logistic<T> l = so_topk_backward_logistic(a, r);
  double weighted = 0.0, spread = 0.0;
  for (int64_t i = s.first; i < s.last; i += blockDim.x) {
    const T v = so_spread_at(l, a.x[i]);
    weighted += (double)v * (double)a.g[i];
    spread += (double)v;
  }
  weighted = so_reduce<SO_SUM>(weighted, shared);
  spread = so_reduce<SO_SUM>(spread, shared);
  if (threadIdx.x) return;
  a.parts[4 * blockIdx.x] = weighted;
  a.parts[4 * blockIdx.x + 1] = spread;
}

// One thread block per row.
template <class T> __global__ void so_topk_mean_kernel(so_topk_launch<T> a, int) {
  __shared__ double shared[SO_WARP];
  so_topk_row& r = a.rows[blockIdx.x];
  if (so_topk_idle(r)) return;
  double sums[2];
  so_topk_gather<2>(a, sums, shared);
  if (threadIdx.x) return;
  r.flat = !(sums[1] > 0.0);
  r.mean = r.flat ? 0.0 : sums[0] / sums[1];
}

// out = v (g - mean) / tau.
template <class T> __global__ void so_topk_spread_kernel(so_topk_launch<T> a, int) {
  const so_topk_span s = so_topk_mine(a);
  const so_topk_row& r = a.rows[s.row];
  const bool zero = r.constant || r.flat;
  const so_logistic<T> l = so_topk_backward_logistic(a, r);
  const T mean = (T)r.mean, inverse = (T)(1.0 / a.shape.tau);
  for (int64_t i = s.first; i < s.last; i += blockDim.x)
    a.out[i] = r.code != SO_TOPK_DONE ? (T)NAN : zero ? T(0) : so_spread_at(l, a.x[i]) * inverse * (a.g[i] - mean);
}

// The kernels in their order: launch(kernel, thread blocks, arguments, pass).
template <class T, class Launch> void so_topk_queue_forward(const so_topk_launch<T>& a, Launch launch) {
  const int64_t rows = a.shape.rows, all = rows * so_topk_chunks(a.shape.n);
  launch(so_topk_begin_kernel<T>, rows, a, 0);
  for (int pass = 0; pass < so_topk_passes<T>(); ++pass) {
    launch(so_topk_count_kernel<T>, all, a, pass);
    launch(so_topk_choose_kernel<T>, rows, a, pass);
  }
  launch(so_topk_below_kernel<T>, all, a, 0);
  launch(so_topk_start_kernel<T>, rows, a, 0);
  for (int step = 0; step < SO_TOPK_BALANCES; ++step) {
    launch(so_topk_balance_kernel<T>, all, a, step);
    launch(so_topk_step_kernel<T>, rows, a, step);
  }
  launch(so_topk_output_kernel<T>, all, a, 0);
}
template <class T, class Launch> void so_topk_queue_backward(const so_topk_launch<T>& a, Launch launch) {
  const int64_t rows = a.shape.rows, all = rows * so_topk_chunks(a.shape.n);
  launch(so_topk_weigh_kernel<T>, all, a, 0);
  launch(so_topk_mean_kernel<T>, rows, a, 0);
  launch(so_topk_spread_kernel<T>, all, a, 0);
}
