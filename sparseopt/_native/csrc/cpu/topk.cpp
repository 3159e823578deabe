// Soft top-k of the rows of a matrix: forward, backward, and what is kept between them. This unit is compiled for the baseline,
// so everything but the leaf kernels is the same code on every machine.
#include "topk_active.h"

namespace so_topk {

// How a row was solved, which is how its gradient is computed. constant: every finite entry is 0, or every one is 1.
enum kind { unsolved, dense, sparse, constant };

template <class T> struct row_state {
  kind how = unsolved;
  so_threshold t = {0.0, 0.0};
  double spread = 0.0, total = 0.0;
  bool flipped = false;
  active_entries<T> active;
};

// A row of the forward pass.
template <class T> struct row_problem {
  entries<T> e;
  T* y;
  int64_t k;
  double tau;
  row_state<T>& state;

  // Where no entry is in between: 1 for +inf, 0 for -inf, and `value` for every finite one.
  int fill(double value) {
    for (int64_t i = 0; i < e.n; ++i) y[i] = (T)(e.x[i] == (T)INFINITY ? 1 : e.x[i] == -(T)INFINITY ? 0 : value);
    state.how = constant;
    state.t = {0.0, value > 0.5 ? (double)INFINITY : -(double)INFINITY};
    state.spread = state.total = 0.0;
    return SO_TOPK_DONE;
  }

  // SO_TOPK_DONE and how == constant: nothing was left to solve.  how == unsolved: go on.
  int settle_special() {
    return settle(count_special(e));
  }

  int settle(const special& s) {
    const so_settled found = so_topk_settle(s.positive, s.negative, s.nan, e.n, k);
    state.how = unsolved;
    return found.constant ? fill(found.value) : found.code;
  }

  int finish(threshold_search<T>& search) {
    search.write(y);
    state.how = dense;
    state.t = search.t;
    state.spread = search.spread;
    state.total = search.total;
    state.flipped = search.flipped;
    if (search.total != search.total) return SO_TOPK_NAN;
    // next to nothing in between: either a hard mask, or infinite entries have left nothing to solve, which must be exact
    if (search.spread <= 1e-6 * (double)(search.flipped ? e.n - k : k)) {
      const row_state<T> found = state;
      const int64_t positive = count_above(e, (T)so_float_traits<T>::largest), negative = e.n - count_above(e, -(T)INFINITY);
      const int code = settle({positive, negative, 0});
      if (code == SO_TOPK_DONE && state.how == unsolved) state = found;
      return code;
    }
    return SO_TOPK_DONE;
  }

  int from_selection(threshold_search<T>& search) {
    const int code = settle_special();
    if (code != SO_TOPK_DONE || state.how == constant) return code;
    search.by_selection(range_of(e));
    return finish(search);
  }

  // Where the k-th entry is likely one of many equal ones, it takes two counts to know, and two more where it is the next level.
  // false: it is not, or is next to inf.
  bool by_tie(threshold_search<T>& search, T value) {
    int64_t above = count_above(e, value), with_ties = count_above(e, before(value));
    for (int step = 0; step < 2 && (above > k || with_ties < k); ++step) {
      const bool higher = above > k;
      value = higher ? neighbours(e, value).above : neighbours(e, before(value)).below;
      if (!isfinite(value)) return false;
      (higher ? with_ties : above) = higher ? above : with_ties;
      if (higher) above = count_above(e, value);
      else with_ties = count_above(e, before(value));
    }
    if (above > k || with_ties < k) return false;
    const selection<T> top = select_around(e, k, value, above);
    if (!isfinite(top.gap)) return false;
    // the shift, and sum f (1 - f), where all others are 0 or 1
    const double inside = (double)(k - above), outside = (double)(with_ties - k), shift = top.gap > 0.0 ? 0.0 : log(inside / outside);
    const bool spread = top.gap == 0.0 && inside * outside > least_spread * (double)k * (inside + outside);
    search.t = {(double)top.pivot, shift};
    if (!spread || search.by_powers(6, 3) != solved) search.by_balance(top, shift);
    return true;
  }

  // A vector too short to be sampled: its range and two counts tell whether there is anything special.
  int short_row(threshold_search<T>& search) {
    const finite_range<T> range = range_of(e);
    const bool ordinary = range.least <= range.most && count_above(e, range.most) < k && count_above(e, before(range.least)) > k;
    if (!ordinary) return from_selection(search);
    search.by_selection(range);
    return finish(search);
  }

  int long_row(threshold_search<T>& search) {
    estimate<T> guess = estimate_cut(e, k, tau, margin<T>() * tau);
    if (guess.share < largest_share && e.n < (int64_t)UINT32_MAX) {
      const outcome o = write_active(e, k, tau, guess.low, guess.high, guess.middle, y, search, state.active);
      if (o == found_nan) return SO_TOPK_NAN;
      if (o == solved) {
        state.how = sparse;
        state.t = search.t;
        state.spread = search.spread;
        return SO_TOPK_DONE;
      }
    }
    if (guess.alone && by_tie(search, guess.middle)) return finish(search);
    search.t = {(double)guess.middle, 0.0};
    threshold_search<T> small(guess.taken, guess.wanted, tau, guess.wanted);
    small.t = search.t;
    if (small.by_powers(6, 12) == solved) search.t = small.t;
    const outcome o = search.by_powers(6, 4);
    if (o == found_nan) return SO_TOPK_NAN;
    return o == solved || (guess.tied && !guess.alone && by_tie(search, guess.middle)) ? finish(search) : from_selection(search);
  }

  int solve(bool warm) {
    if (k == 0 || k == e.n) return settle_special();
    threshold_search<T> search(e, (double)k, tau, (double)k);
    if (warm && state.how == dense) {
      search.t = state.t;
      const outcome o = search.by_powers(4, 3);
      if (o == found_nan) return SO_TOPK_NAN;
      if (o == solved) return finish(search);
    }
    return e.n < sampled_from ? short_row(search) : long_row(search);
  }
};

// A row of the backward pass; y may be null.
template <class T> struct row_gradient {
  const row_state<T>& state;
  entries<T> e;
  const T *y, *g;
  T* out;
  int64_t k;
  double tau;

  void zero() const {
    for_runs(e, [&](int64_t i, int64_t m) { memset(out + i, 0, m * sizeof(T)); });
  }

  int from_active() const {
    const active_entries<T>& a = state.active;
    const int64_t n = (int64_t)a.positions.size();
    double weighted = 0.0, total = 0.0;
    for (int64_t i = 0; i < n; ++i) {
      weighted += (double)a.spread[i] * (double)g[a.positions[i]];
      total += (double)a.spread[i];
    }
    static thread_local std::vector<T> result;
    result.resize(n);
    const double mean = weighted / total;
    for (int64_t i = 0; i < n; ++i)
      result[i] = total > 0.0 ? (T)((double)a.spread[i] * ((double)g[a.positions[i]] - mean) / tau) : (T)0;
    zero();  // only now: out may be g
    for (int64_t i = 0; i < n; ++i) out[a.positions[i]] = result[i];
    return SO_TOPK_DONE;
  }

  int compute() const {
    if (state.how == constant) return zero(), SO_TOPK_DONE;
    if (state.how == sparse) return from_active();
    // where hardly any entry is in between, 1 - y has no digits left, and f is computed again
    return y && state.spread > least_spread * (double)k ? from_y() : from_x();
  }

  int from_y() const {
    double s[3];
    sum_runs<3>(e, s, [&](int64_t i, int64_t m, double* sums) { kernels<T>().weigh_stored(y + i, g + i, m, sums); });
    return apply(s, [&](int64_t i, int64_t m, T mean, T inverse, bool stream) {
      kernels<T>().spread_stored(y + i, g + i, out + i, m, mean, inverse, stream);
    });
  }

  int from_x() const {
    const so_logistic<T> l = so_make_logistic<T>(state.t.pivot, state.t.shift, tau, state.flipped);
    double s[3];
    sum_runs<3>(e, s, [&](int64_t i, int64_t m, double* sums) { kernels<T>().weigh(e.x + i, g + i, m, l, state.flipped, sums); });
    return apply(s, [&](int64_t i, int64_t m, T mean, T inverse, bool stream) {
      kernels<T>().spread(e.x + i, g + i, out + i, m, l, mean, inverse, stream);
    });
  }

  // sums: {sum y, sum v g, sum v}; y must sum to what it did in the forward pass, up to rounding.
  template <class Spread> int apply(const double* sums, Spread spread) const {
    if (!(fabs(sums[0] - state.total) <= (sizeof(T) == 4 ? 1e-6 : 1e-13) * fabs(state.total))) return SO_TOPK_CHANGED;
    if (!(sums[2] > 0.0)) return zero(), SO_TOPK_DONE;
    const T mean = (T)(sums[1] / sums[2]), inverse = (T)(1.0 / tau);
    const bool stream = e.n * (int64_t)sizeof(T) >= stream_bytes && out != g;
    for_runs(e, [&](int64_t i, int64_t m) { spread(i, m, mean, inverse, stream); });
    return SO_TOPK_DONE;
  }
};

// task(row, threads of the row) for every row, on threads; the code of the first row that is not done.
template <class Task> int for_rows(int64_t rows, int64_t n, int threads, int64_t* failed, Task task) {
  if (rows == 1) {
    *failed = 0;
    return task((int64_t)0, threads);
  }
  std::vector<int> codes(rows, SO_TOPK_DONE);
  const int use = rows * n < parallel_entries ? 1 : threads > 0 ? threads : so_threads();
#pragma omp parallel for schedule(static) num_threads(use) if (use > 1)
  for (int64_t i = 0; i < rows; ++i) codes[i] = task(i, 1);
  for (int64_t i = 0; i < rows; ++i)
    if (codes[i] != SO_TOPK_DONE) return *failed = i, codes[i];
  return SO_TOPK_DONE;
}

}  // namespace so_topk

template <class T> struct so_topk_state {
  int64_t n = 0;
  std::vector<so_topk::row_state<T>> rows;
};

template <class T> so_topk_state<T>* so_topk_new() { return new so_topk_state<T>; }
template <class T> void so_topk_delete(so_topk_state<T>* state) { delete state; }
template <class T> bool so_topk_fits(const so_topk_state<T>* state, int64_t rows, int64_t n) {
  return state->n == n && (int64_t)state->rows.size() == rows;
}

template <class T>
int so_topk_forward(so_topk_state<T>* state, const T* x, T* y, const so_topk_shape& s, bool warm, int threads, int64_t* row) {
  state->n = s.n;
  state->rows.resize(s.rows);
  return so_topk::for_rows(s.rows, s.n, threads, row, [&](int64_t i, int use) {
    so_topk::row_problem<T> problem = {{x + i * s.n, s.n, use}, y + i * s.n, s.k, s.tau, state->rows[i]};
    return problem.solve(warm);
  });
}

template <class T>
int so_topk_backward(const so_topk_state<T>* state, const T* x, const T* y, const T* g, T* out, const so_topk_shape& s,
                     int threads, int64_t* row) {
  return so_topk::for_rows(s.rows, s.n, threads, row, [&](int64_t i, int use) {
    const int64_t first = i * s.n;
    const so_topk::entries<T> e = {x + first, s.n, use};
    return so_topk::row_gradient<T>{state->rows[i], e, y ? y + first : nullptr, g + first, out + first, s.k, s.tau}.compute();
  });
}

template <class T> void so_topk_thresholds(const so_topk_state<T>* state, double* pivots, double* shifts, double* spreads) {
  for (size_t i = 0; i < state->rows.size(); ++i) {
    pivots[i] = state->rows[i].t.pivot;
    shifts[i] = state->rows[i].t.shift;
    spreads[i] = state->rows[i].spread;
  }
}

#define SO_TOPK_FOR(T)                                                                                                  \
  template so_topk_state<T>* so_topk_new();                                                                             \
  template void so_topk_delete(so_topk_state<T>*);                                                                      \
  template bool so_topk_fits(const so_topk_state<T>*, int64_t, int64_t);                                                \
  template int so_topk_forward(so_topk_state<T>*, const T*, T*, const so_topk_shape&, bool, int, int64_t*);             \
  template int so_topk_backward(const so_topk_state<T>*, const T*, const T*, const T*, T*, const so_topk_shape&, int, int64_t*); \
  template void so_topk_thresholds(const so_topk_state<T>*, double*, double*, double*);
SO_TOPK_FOR(float)
SO_TOPK_FOR(double)

#ifndef SO_WITH_CUDA
int64_t so_topk_cuda_bytes(int64_t, int64_t) { return 0; }
template <class T> int so_topk_forward_cuda(const T*, T*, void*, int32_t*, const so_topk_shape&, so_stream) { return -1; }
template <class T> int so_topk_backward_cuda(const T*, const T*, T*, void*, const so_topk_shape&, so_stream) { return -1; }
template int so_topk_forward_cuda(const float*, float*, void*, int32_t*, const so_topk_shape&, so_stream);
template int so_topk_forward_cuda(const double*, double*, void*, int32_t*, const so_topk_shape&, so_stream);
template int so_topk_backward_cuda(const float*, const float*, float*, void*, const so_topk_shape&, so_stream);
template int so_topk_backward_cuda(const double*, const double*, double*, void*, const so_topk_shape&, so_stream);
#endif
