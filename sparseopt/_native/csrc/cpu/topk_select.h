// Exact selection: the k-th largest entry and its neighbour by counting, and a bracket for it from a random sample.
#pragma once
#include "topk_passes.h"

namespace so_topk {

template <class T> T from_key(int64_t key) {
  T a;
  so_from_key(key, &a);
  return a;
}
// The next number below a: of 0, whose neighbour by key is -0, the one below that.
template <class T> T before(T a) { return from_key<T>(so_key(a == 0 ? -(T)0 : a) - 1); }

template <class T> struct finite_range {
  T least, most;
};
template <class T> finite_range<T> range_of(const entries<T>& e) {
  const T largest = (T)so_float_traits<T>::largest;
  return {neighbours(e, before(-largest)).above, neighbours(e, largest).below};
}

// The smallest cut in [low, high] with at most `wanted` entries above it, or any with |count - wanted| <= slack. Bisection on
// values first, then on the integers behind them, which ends.
template <class T> T cut_at(const entries<T>& e, double wanted, double slack, T low, T high) {
  int64_t a = so_key(low), b = so_key(high);
  for (int step = 0; a < b; ++step) {
    const T middle = from_key<T>(a) / 2 + from_key<T>(b) / 2;
    int64_t m = so_key(middle);
    if (step > 24 || m < a || m >= b) m = (a & b) + ((a ^ b) >> 1);  // their mean, where b - a overflows too
    const double count = (double)count_above(e, from_key<T>(m));
    if (fabs(count - wanted) <= slack) return from_key<T>(m);
    if (count > wanted) a = m + 1;
    else b = m;
  }
  return from_key<T>(b);
}

// The top of k entries: x > cut, `above` of them. Where the k-th entry is one of several equal ones, these are in the top or
// not, whatever makes the difference |above - k| smaller. pivot: between the k-th and the next entry, gap: their distance.
template <class T> struct selection {
  T cut, pivot;
  int64_t above;
  double gap;
};
// `above` entries are > cut, at most k, and cut is the k-th entry where they are fewer.
template <class T> selection<T> select_around(const entries<T>& e, int64_t k, T cut, int64_t above) {
  if (above == k) {
    const bounds<T> next = neighbours(e, cut);
    T pivot = next.above / 2 + next.below / 2;
    if (!isfinite(pivot)) pivot = isfinite(next.above) ? next.above : isfinite(next.below) ? next.below : cut;
    return {cut, pivot, above, (double)next.above - (double)next.below};
  }
  const int64_t with_ties = count_above(e, before(cut));
  if (with_ties == k) return select_around(e, k, before(cut), k);
  if (2 * (k - above) > with_ties - above) return {before(cut), cut, with_ties, 0.0};
  return {cut, cut, above, 0.0};
}
template <class T> selection<T> select(const entries<T>& e, int64_t k, finite_range<T> range) {
  const T cut = cut_at(e, (double)k, 0.0, before(range.least), range.most);
  return select_around(e, k, cut, count_above(e, cut));
}

const int64_t sample_lines = 4096, line_entries = 16;
const int64_t sampled_from = 4 * sample_lines * line_entries;  // a shorter vector is searched as it is

// One line of neighbours from each of sample_lines equal stretches, at pseudo-random places that are always the same.
template <class T> entries<T> sample(const entries<T>& e) {
  static thread_local std::vector<T> taken(sample_lines * line_entries);
  static thread_local std::vector<int64_t> places(sample_lines);
  uint64_t h = 88172645463325252ull;
  const int64_t stretch = e.n / sample_lines;
  for (int64_t i = 0; i < sample_lines; ++i) {
    h ^= h << 13, h ^= h >> 7, h ^= h << 17;
    places[i] = i * stretch + (int64_t)(h >> 11) % (stretch - line_entries + 1);
    __builtin_prefetch(e.x + places[i]);
    __builtin_prefetch(e.x + places[i] + line_entries - 1);
  }
  for (int64_t i = 0; i < sample_lines; ++i) memcpy(&taken[i * line_entries], e.x + places[i], line_entries * sizeof(T));
  return {taken.data(), sample_lines * line_entries, 1};
}

// Of the values of at least 16 among 256 entries at pseudo-random places, the one of the largest weight in all. false: none.
template <class T, class Weight> bool frequent(const entries<T>& e, Weight weight, T* value) {
  const int64_t taken = 256;
  if (e.n < 16 * taken) return false;
  T some[taken];
  uint64_t h = 88172645463325252ull;
  for (int64_t i = 0; i < taken; ++i) {
    h ^= h << 13, h ^= h >> 7, h ^= h << 17;
    some[i] = e.x[(int64_t)((h >> 11) % (uint64_t)e.n)];
  }
  std::sort(some, some + taken);
  double most = 0.0;
  for (int64_t i = 0, j = 0; i < taken; i = j) {
    for (j = i; j < taken && some[j] == some[i]; ++j) {}
    const double all = j - i < 16 ? 0.0 : (double)(j - i) * weight(some[i]);
    if (all > most) most = all, *value = some[i];
  }
  return most > 0.0;
}

// Where the k-th largest entry is, most likely (four standard deviations of a quantile of a random sample).
template <class T> struct estimate {
  T low, middle, high;
  double share;       // of the entries within `margin` of [low, high]
  bool tied;          // middle is the value of many entries
  bool alone;         // and few others are near it, within 16 tau
  entries<T> taken;   // the sample
  double wanted;      // how many of the sample are in the top
};
template <class T> estimate<T> estimate_cut(const entries<T>& e, int64_t k, double tau, double margin) {
  estimate<T> r;
  r.taken = sample(e);
  const double m = (double)r.taken.n, inf = INFINITY;
  r.wanted = (double)k * (m / (double)e.n);
  const double deviation = sqrt(std::max(1.0, r.wanted * (1.0 - (double)k / (double)e.n))), reach = 4.0 * deviation + 2.0;
  finite_range<T> range = range_of(r.taken);
  if (!(range.least <= range.most)) range = {0, 0};
  r.middle = cut_at(r.taken, r.wanted, 0.05 * deviation, before(range.least), range.most);
  r.high = r.wanted < reach + 0.5 ? (T)inf : cut_at(r.taken, r.wanted - reach, 0.25 * deviation, r.middle, range.most);
  r.low = r.wanted + reach > m - 0.5 ? -(T)inf : cut_at(r.taken, r.wanted + reach, 0.25 * deviation, before(range.least), r.middle);
  const int64_t beyond = count_above(r.taken, (T)((double)r.high + margin));
  r.share = ((double)count_above(r.taken, before((T)((double)r.low - margin))) - (double)beyond) / m;
  const int64_t equal = count_above(r.taken, before(r.middle)) - count_above(r.taken, r.middle);
  const T under = (T)((double)r.middle - 16.0 * tau), over = (T)((double)r.middle + 16.0 * tau);
  const int64_t near = count_above(r.taken, before(under)) - count_above(r.taken, over);
  r.tied = equal * 200 > r.taken.n;
  r.alone = r.tied && (near - equal) * 20 < equal;
  return r;
}

}  // namespace so_topk
