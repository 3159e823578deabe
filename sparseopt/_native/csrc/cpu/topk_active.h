// Small temperatures: all but a few entries are 0 or 1. One pass writes the mask of a cut and keeps the entries near it; the rest
// happens on those.
#pragma once
#include "topk_solve.h"

#include <memory>

namespace so_topk {

const double largest_share = 0.1;  // of the entries near the cut; with more, dense passes are faster
template <class T> constexpr double margin() { return sizeof(T) == 4 ? 40.0 : 75.0; }   // in units of tau: f < e^-margin outside
template <class T> constexpr double closest() { return sizeof(T) == 4 ? 30.0 : 60.0; }  // of the threshold to what was left out

// The entries whose f is neither 0 nor 1.
template <class T> struct active_entries {
  std::vector<uint32_t> positions;
  std::vector<T> spread;  // f (1 - f)
};

// Room for the entries that a thread keeps; it is touched only as far as it is used, and kept for the next call.
template <class T> struct kept_entries {
  std::unique_ptr<T[]> values;
  std::unique_ptr<uint32_t[]> positions;
  int64_t room = 0, n = 0, above = 0;
  bool overflow = false, nan = false;

  void reset(int64_t wanted) {
    n = above = 0;
    overflow = nan = false;
    if (wanted <= room) return;
    values.reset(new T[wanted]);
    positions.reset(new uint32_t[wanted]);
    room = wanted;
  }
};

template <class T> struct near_cut {
  const T* x;
  T* y;
  int64_t n;
  T low, high, cut;

  // The pass over [first, last): y = (x > cut), entries in [low, high] into `kept`.
  void run(int64_t first, int64_t last, kept_entries<T>& kept) const {
    for (int64_t i = first; i < last && !kept.nan; i += run_length<T>()) {
      const int64_t m = std::min(run_length<T>(), last - i);
      if (kept.n + m + 2 * SO_TOPK_TILE > kept.room) {
        kept.overflow = true;
        return;
      }
      const so_compressed<T> to = {kept.values.get() + kept.n, kept.positions.get() + kept.n};
      const int64_t more = kernels<T>().compress(x + i, y + i, m, low, high, cut, (uint32_t)i, to, &kept.above);
      kept.nan = more < 0;
      kept.n += more < 0 ? 0 : more;
    }
  }

  // The same on threads; everything kept, in order, in `all`. not_found: too many entries for this to be worth it.
  outcome run_on(int threads, kept_entries<T>& all) const {
    const int64_t room = n / 8 + run_length<T>() + 2 * SO_TOPK_TILE, runs = (n + run_length<T>() - 1) / run_length<T>();
    const int parts = threads > 0 ? threads : so_threads();
    all.reset(room);
    if (parts == 1) {
      run(0, n, all);
      return all.nan ? found_nan : all.overflow || all.n > n / 8 ? not_found : solved;
    }
    std::vector<kept_entries<T>> each(parts);
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int i = 0; i < parts; ++i) {
      each[i].reset(room);
      run(i * runs / parts * run_length<T>(), std::min(n, (i + 1) * runs / parts * run_length<T>()), each[i]);
    }
    return gathered(each, n / 8, all);
  }

  static outcome gathered(const std::vector<kept_entries<T>>& each, int64_t room, kept_entries<T>& all) {
    for (const kept_entries<T>& part : each) {
      if (part.nan) return found_nan;
      if (part.overflow || all.n + part.n > room) return not_found;
      memcpy(all.values.get() + all.n, part.values.get(), part.n * sizeof(T));
      memcpy(all.positions.get() + all.n, part.positions.get(), part.n * sizeof(uint32_t));
      all.n += part.n;
      all.above += part.above;
    }
    return solved;
  }
};

// The entries of `kept` between the limits, to the front; those outside get their 0 or 1 in y. Returns how many are above.
template <class T> int64_t narrow(kept_entries<T>& kept, T low, T high, T cut, T old_cut, T* y) {
  int64_t n = 0, above = 0;
  for (int64_t i = 0; i < kept.n; ++i) {
    const T a = kept.values[i];
    const uint32_t at = kept.positions[i];
    if ((a > cut) != (a > old_cut)) y[at] = (T)(a > cut);
    above += a > high;
    kept.values[n] = a;
    kept.positions[n] = at;
    n += a >= low && a <= high;
  }
  kept.n = n;
  return above;
}

// y = f from a bracket [low, high] of the threshold, or not_found.
template <class T>
outcome write_active(const entries<T>& e, int64_t k, double tau, T low, T high, T cut, T* y, threshold_search<T>& whole,
                     active_entries<T>& active) {
  static thread_local kept_entries<T> kept;
  const near_cut<T> pass = {e.x, y, e.n, (T)((double)low - margin<T>() * tau), (T)((double)high + margin<T>() * tau), cut};
  const outcome compressed = pass.run_on(e.n < parallel_entries ? 1 : e.threads, kept);
  if (compressed != solved) return compressed;
  int64_t wanted = k - kept.above;
  if (wanted <= 0 || wanted >= kept.n) return not_found;
  entries<T> near = {kept.values.get(), kept.n, 1};
  const finite_range<T> range = range_of(near);
  if (!(count_above(near, range.most) < wanted && wanted < count_above(near, before(range.least)))) return not_found;
  selection<T> top = select(near, wanted, range);
  const double reach = top.gap + (margin<T>() + log((double)e.n)) * tau;
  const T from = (T)((double)top.pivot - reach), to = (T)((double)top.pivot + reach);
  const int64_t beyond = narrow(kept, from, to, top.cut, cut, y);
  near.n = kept.n;
  top.above -= beyond;
  threshold_search<T> search(near, wanted - beyond, tau, (double)k);
  search.t = {(double)top.pivot, 0.0};
  if (search.by_powers(6, 3) != solved) search.by_balance(top, 0.0);
  const double threshold = search.t.pivot - search.t.shift * tau, far = closest<T>() * tau;
  if (!(threshold - far > (double)pass.low || pass.low < -so_float_traits<T>::largest)) return not_found;
  if (!(threshold + far < (double)pass.high || pass.high > so_float_traits<T>::largest)) return not_found;
  static thread_local std::vector<T> f;
  f.resize(near.n);
  search.write(f.data());
  active.positions.assign(kept.positions.get(), kept.positions.get() + near.n);
  active.spread.resize(near.n);
  static thread_local std::vector<T> ones;
  ones.assign(near.n, (T)1);
  kernels<T>().spread(near.x, ones.data(), active.spread.data(), near.n, search.logistic(false), (T)0, (T)1, false);
  for (int64_t i = 0; i < near.n; ++i) y[active.positions[i]] = f[i];
  whole.t = search.t;
  whole.spread = search.spread;
  return solved;
}

}  // namespace so_topk
