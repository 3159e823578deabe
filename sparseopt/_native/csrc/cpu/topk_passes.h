// Passes over a long vector: runs that fit into the L1 cache, on OpenMP threads, with sums that do not depend on their number.
#pragma once
#include "../block.h"
#include "../topk.h"
#include "isa.h"
#include "topk_table.h"

#include <algorithm>
#include <vector>

namespace so_topk {

const int64_t parallel_entries = 1 << 16;  // below this a second thread costs more than it saves
const int64_t stream_bytes = 4 << 20;      // a larger output is written past the cache

template <class T> constexpr int64_t run_length() { return 16384 / (int64_t)sizeof(T); }

#ifdef SO_MULTI_ISA
inline const so_topk_isa& isa() { return so_isa_level() >= 4 ? so_topk_isa_v4 : so_isa_level() >= 3 ? so_topk_isa_v3 : so_topk_isa_baseline; }
#else
inline const so_topk_isa& isa() { return so_topk_isa_baseline; }
#endif
template <class T> const so_topk_kernels<T>& kernels();
template <> inline const so_topk_kernels<float>& kernels<float>() {
  static const so_topk_kernels<float>& k = isa().f32;
  return k;
}
template <> inline const so_topk_kernels<double>& kernels<double>() {
  static const so_topk_kernels<double>& k = isa().f64;
  return k;
}

// Entries to pass over. Passes alternate their direction: what one read last is still in the cache.
template <class T> struct entries {
  const T* x;
  int64_t n;
  int threads;
  mutable bool backwards = false;

  int64_t runs() const { return (n + run_length<T>() - 1) / run_length<T>(); }
};

// a + b with the rounding error of the sum added to `lost`.
inline double add_exactly(double a, double b, double* lost) {
  const double s = a + b, t = s - a;
  *lost += (a - (s - t)) + (b - t);
  return s;
}

// task(first, count) for every run.
template <class T, class Task> void for_runs(const entries<T>& e, Task task) {
  const int64_t runs = e.runs(), length = run_length<T>();
  const bool backwards = e.backwards;
  e.backwards = !backwards;
  const auto one = [&](int64_t i) {
    const int64_t first = (backwards ? runs - 1 - i : i) * length;
    task(first, std::min(length, e.n - first));
  };
  if (e.threads == 1 || e.n < parallel_entries) {
    for (int64_t i = 0; i < runs; ++i) one(i);
    return;
  }
  const int threads = e.threads > 0 ? e.threads : so_threads();
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < runs; ++i) one(i);
}

// totals[m] = sum over the runs of what task(first, count, sums) writes into sums [M], added in the order of the runs.
template <int M, class T, class Task> void sum_runs(const entries<T>& e, double* totals, Task task) {
  if (e.runs() == 1) return task((int64_t)0, e.n, totals);
  static thread_local std::vector<double> buffer;
  buffer.resize(e.runs() * M);
  double* sums = buffer.data();
  for_runs(e, [&, sums](int64_t first, int64_t count) { task(first, count, sums + first / run_length<T>() * M); });
  for (int m = 0; m < M; ++m) {
    double total = 0.0, lost = 0.0;
    for (int64_t i = 0; i < e.runs(); ++i) total = add_exactly(total, sums[i * M + m], &lost);
    totals[m] = total + lost;
  }
}

template <class T> int64_t count_above(const entries<T>& e, T cut) {
  double total;
  sum_runs<1>(e, &total, [&](int64_t i, int64_t m, double* sum) { *sum = (double)kernels<T>().count(e.x + i, m, cut); });
  return (int64_t)total;
}

template <class T> struct bounds {
  T above, below;  // the smallest entry > cut, the largest <= cut; inf and -inf where there is none
};
template <class T> bounds<T> neighbours(const entries<T>& e, T cut) {
  bounds<T> all = {(T)INFINITY, -(T)INFINITY};
  for (int64_t i = 0; i < e.n; i += run_length<T>())
    kernels<T>().neighbours(e.x + i, std::min(run_length<T>(), e.n - i), cut, &all.above);
  return all;
}

// How many entries are +inf, -inf and NaN.
struct special {
  int64_t positive, negative, nan;
};
template <class T> special count_special(const entries<T>& e) {
  double sums[3];
  sum_runs<3>(e, sums, [&](int64_t i, int64_t m, double* sum) {
    int64_t positive = 0, above = 0, ordered = 0;
    for (int64_t j = i; j < i + m; ++j) {
      positive += e.x[j] == (T)INFINITY;
      above += e.x[j] > -(T)INFINITY;
      ordered += e.x[j] == e.x[j];
    }
    sum[0] = (double)positive;
    sum[1] = (double)(ordered - above);
    sum[2] = (double)(m - ordered);
  });
  return {(int64_t)sums[0], (int64_t)sums[1], (int64_t)sums[2]};
}

}  // namespace so_topk
