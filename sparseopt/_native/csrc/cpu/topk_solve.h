// The threshold of one vector: sum of f over its entries = k, and the entries of the output.
#pragma once
#include "topk_select.h"

namespace so_topk {

enum outcome { solved, not_found, found_nan };

// Tolerances: the largest Taylor step after which a pass is not needed (order 4 and 6: the remainder is below rounding), the
// log-balance taken for zero, and the error of the sum that is still rounding, relative to k.
template <class T> struct accuracy;
template <> struct accuracy<float> {
  static constexpr double step_4 = 0.03, step_6 = 0.3, balance = 2e-8, sum = 3e-8;
};
template <> struct accuracy<double> {
  static constexpr double step_4 = 1e-4, step_6 = 4e-3, balance = 4e-16, sum = 1e-15;
};

const double least_spread = 1e-2;  // below this part of k, sum f (1 - f) is too small for power sums

template <class T> struct threshold_search {
  entries<T> e;
  double k, tau, whole;  // k: the sum wanted; whole: k of the vector that e is part of
  so_threshold t;
  double spread = 0.0, total = 0.0;  // sum f (1 - f), sum f, after `write`
  bool flipped;

  threshold_search(entries<T> e, double k, double tau, double whole)
      : e(e), k(k), tau(tau), whole(whole), t{0.0, 0.0}, flipped(2.0 * k > (double)e.n) {}

  so_logistic<T> logistic(bool flip) const { return so_make_logistic<T>(t.pivot, t.shift, tau, flip); }

  // From t, by power sums of f, or of 1 - f where that is the smaller one.
  outcome by_powers(int order, int most_passes) {
    const double target = flipped ? (double)e.n - k : k, sign = flipped ? -1.0 : 1.0;
    const double enough = order == 4 ? accuracy<T>::step_4 : accuracy<T>::step_6;
    double low = -INFINITY, high = INFINITY;
    for (int pass = 0; pass < most_passes; ++pass) {
      const so_threshold before = t;
      t = so_recentred<T>(t, tau);
      const double moved = t.shift - before.shift;
      low += moved, high += moved;
      const so_logistic<T> l = logistic(flipped);
      double s[SO_TOPK_ORDER];
      sum_runs<SO_TOPK_ORDER>(e, s, [&](int64_t i, int64_t m, double* sums) { kernels<T>().powers(e.x + i, m, l, order, sums); });
      if (s[0] != s[0]) return found_nan;
      if (!(s[0] - s[1] > least_spread * target)) return not_found;
      ((s[0] > target) != flipped ? high : low) = t.shift;
      const double d = so_taylor_step(s, order, target), next = t.shift + sign * d;
      if (!(next > low && next < high)) return not_found;
      t.shift = next;
      // the terms of the polynomial cancel: what rounding leaves of them counts against the spread, which has many of them
      const double between = s[0] - s[1], clean = 4.0 * between / target * sqrt(1.0 + between);
      if (fabs(d) <= enough * std::min(1.0, clean)) return solved;
    }
    return not_found;
  }

  // From a selection, by log-balance: for every distribution and temperature.
  void by_balance(const selection<T>& top, double shift) {
    t = {(double)top.pivot, shift};
    double low = -INFINITY, high = INFINITY, last = INFINITY;
    const double smallest = (double)e.n * (sizeof(T) == 4 ? 1e-37 : 1e-305);
    const double eps = sizeof(T) == 4 ? FLT_EPSILON : DBL_EPSILON;
    for (int pass = 0; pass < 60; ++pass) {
      const so_logistic<T> l = logistic(false);
      double s[4];
      sum_runs<4>(e, s, [&](int64_t i, int64_t m, double* sums) { kernels<T>().balance(e.x + i, m, l, top.cut, sums); });
      const so_balance b = so_log_balance(s, (double)top.above, k, smallest);
      if (b.vanished) return;
      // logits at the boundary, gap / (2 tau) +- shift, are rounded
      const double enough = std::max(accuracy<T>::balance, 0.5 * eps * (0.5 * top.gap / tau + fabs(t.shift)));
      const double size = fabs(b.h), next = so_balance_step(b, t.shift, &low, &high);
      const bool rounding = size < 1e4 * accuracy<T>::balance && size > 0.5 * last;
      if (size <= enough || rounding || next == t.shift) return;
      last = size;
      t.shift = next;
    }
  }

  // By selection among all entries; k is above 0 and below the number of finite entries, +inf not counted.
  void by_selection(finite_range<T> range, double shift = 0.0) {
    const selection<T> top = select(e, (int64_t)k, range);
    t = {(double)top.pivot, shift};
    if (by_powers(6, 3) != solved) by_balance(top, shift);
  }

  void write_once(T* y, bool stream) {
    t = so_recentred<T>(t, tau);
    const so_logistic<T> l = logistic(flipped);
    double s[2];
    sum_runs<2>(e, s, [&](int64_t i, int64_t m, double* sums) { kernels<T>().output(e.x + i, y + i, m, l, flipped, stream, sums); });
    total = s[0];
    spread = s[1];
  }

  // Every entry computed in double and rounded once, the sum before rounding right.
  void write_in_double(T* y) {
    for (int pass = 0; pass < 6; ++pass) {
      const so_logistic<double> l = so_make_logistic<double>(t.pivot, t.shift, tau, flipped);
      double s[3];
      sum_runs<3>(e, s, [&](int64_t i, int64_t m, double* sums) { kernels<T>().output_double(e.x + i, y + i, m, l, flipped, sums); });
      total = s[0];
      spread = s[1];
      const double missing = k - s[2], fewer = std::min(k, (double)e.n - k);
      const double small = sizeof(T) == 4 ? std::max(1e-9 * fewer, 1e-15 * k) : 1e-15 * whole;
      if (!(fabs(missing) > small) || !(fabs(missing) < spread)) return;
      t.shift += missing / spread;
    }
  }

  // Many equal entries have the same rounding error, which adds up. Gives them what the others, as written, leave of the sum,
  // instead of f in type T. false: there are no such entries, or that differs from f by more than rounding does.
  bool write_level(T* y) {
    const auto respond = [&](T a) { return 1.0 / (1.0 + exp(-(((double)a - t.pivot) / tau + t.shift))); };
    T level;
    if (!frequent(e, [&](T a) { return respond(a) * (1.0 - respond(a)); }, &level)) return false;
    const double m = (double)(count_above(e, before(level)) - count_above(e, level));
    double s[2];
    T written;
    kernels<T>().output(&level, &written, 1, logistic(flipped), flipped, false, s);
    const double f = (double)written, wanted = (k - (total - m * f)) / m, exact = respond(level);
    if (!(fabs(wanted - f) <= 1e-5 * std::min(f, 1.0 - f))) return false;
    t.shift += m * (wanted - exact) / spread;
    const T value = (T)wanted, same = level;
    for_runs(e, [&](int64_t i, int64_t n) {
      for (int64_t j = i; j < i + n; ++j) y[j] = e.x[j] == same ? value : y[j];
    });
    total += m * ((double)value - f);
    return true;
  }

  // y = f; corrects the threshold where the sum of what was written is off by more than rounding.
  void write(T* y) {
    const bool stream = e.n * (int64_t)sizeof(T) >= stream_bytes;
    for (int pass = 0; pass < 2; ++pass) {
      write_once(y, stream);
      const double missing = k - total;
      if (!(fabs(missing) > accuracy<T>::sum * whole)) return;
      if (sizeof(T) == 4 && fabs(missing) < 1e-5 * spread && write_level(y)) return;
      if (!(fabs(missing) < 0.25 * spread && spread > least_spread * k)) break;  // the sum says nothing about the threshold
      t.shift += missing / spread;
    }
    write_in_double(y);
  }
};

}  // namespace so_topk
