// Soft top-k: f_i = 1 / (1 + exp(-((x_i - pivot) / tau + shift))) with sum f = k. The interface of the compiled core, and the
// scalar steps of the search for the threshold, shared by the CPU and the CUDA kernels. Everything scalar is in double.
#pragma once
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "block.h"   // so_stream
#include "radial.h"  // SO_HD

// f = 1 / (1 + 2^u),  u = (x - pivot) slope + shift,  with x - pivot kept within [least, most], where |u| stays below the exponent
// range.
template <class T> struct so_logistic {
  T pivot, slope, shift, least, most;
};

template <class T> struct so_float_traits;
template <> struct so_float_traits<float> {
  static constexpr double largest_exponent = 125.95, largest = FLT_MAX;
};
template <> struct so_float_traits<double> {
  static constexpr double largest_exponent = 1019.95, largest = DBL_MAX;
};

template <class T> SO_HD T so_within_range(double a) {
  const double most = so_float_traits<T>::largest;
  return (T)(a < -most ? -most : a > most ? most : a);
}

// flipped: 1 - f instead of f.
template <class T> SO_HD so_logistic<T> so_make_logistic(double pivot, double shift, double tau, bool flipped) {
  const double log2e = 1.4426950408889634, sign = flipped ? 1.0 : -1.0, b = sign * log2e * shift;
  const T slope = (T)(sign * log2e / tau);
  const double limit = so_float_traits<T>::largest_exponent;
  const double p = (-limit - b) / (double)slope, q = (limit - b) / (double)slope;
  return {(T)pivot, slope, (T)b, so_within_range<T>(p < q ? p : q), so_within_range<T>(p < q ? q : p)};
}

// A threshold: f = 1 / (1 + exp(-((x - pivot) / tau + shift))). The pivot is a number of type T, the shift carries the rest.
struct so_threshold {
  double pivot, shift;
};

// The same threshold with a small shift: u is rounded, and the shift with it.
template <class T> SO_HD so_threshold so_recentred(so_threshold t, double tau) {
  if (!(fabs(t.shift) > 0.125)) return t;
  const double pivot = (double)so_within_range<T>(t.pivot - t.shift * tau);
  return {pivot, t.shift + (pivot - t.pivot) / tau};
}

// Root d of sum f(s + d) = target, from the power sums S_j = sum f^j, j = 1 ... order, by the Taylor polynomial in d; derivatives
// from d f^m / ds = m (f^m - f^(m+1)). Good for |d| < 1. Where the sum is far off, a Newton step on its logarithm.
SO_HD double so_taylor_step(const double* sums, int order, double target) {
  const double slope = sums[0] - sums[1];
  if (!(slope > 0.0)) return NAN;
  if (sums[0] > 2.0 * target || 2.0 * sums[0] < target) {
    const double step = log(target / sums[0]) * sums[0] / slope;
    return step > 4.0 ? 4.0 : step < -4.0 ? -4.0 : step;
  }
  double c[6] = {1.0, 0.0, 0.0, 0.0, 0.0, 0.0}, value[6], factorial = 1.0;
  for (int o = 0; o < order; ++o) {
    double v = 0.0;
    for (int i = 0; i < order; ++i) v += c[i] * sums[i];
    value[o] = v / factorial;
    factorial *= o + 1;
    for (int i = order - 1; i >= 0; --i) c[i] = (i + 1) * c[i] - (i ? i * c[i - 1] : 0.0);
  }
  double d = 0.0;
  for (int step = 0; step < 12; ++step) {
    double v = 0.0, dv = 0.0;
    for (int o = order - 1; o >= 0; --o) {
      dv = dv * d + v;
      v = v * d + value[o];
    }
    if (!(dv > 0.0) || fabs(d) > 2.0) return (target - sums[0]) / slope;
    const double change = (v - target) / dv;
    d -= change;
    if (fabs(change) <= 1e-16) break;
  }
  return d;
}

// Log-balance at a shift: h = log(sum of f over the rest) - log(sum of 1 - f over the top), increasing in the shift with slope
// between 1 and 2, 0 where sum f = k. `above` entries are in the top; where they are not k, because of ties, the difference is
// added to the smaller side. sums: {f over the rest, f (1 - f) there, 1 - f over the top, f (1 - f) there}.
struct so_balance {
  double h, slope;
  bool vanished;  // nothing left to balance
};
SO_HD so_balance so_log_balance(const double* sums, double above, double k, double smallest) {
  const double excess = above - k;
  const double rest = sums[0] + (excess > 0.0 ? excess : 0.0), top = sums[2] + (excess < 0.0 ? -excess : 0.0);
  if (!(rest > smallest) || !(top > smallest)) return {0.0, 1.0, true};
  return {log(rest / top), sums[1] / rest + sums[3] / top, false};
}

// The next shift: Newton on h, kept inside the bracket (lo, hi) of the root, which it narrows.
SO_HD double so_balance_step(so_balance b, double shift, double* lo, double* hi) {
  if (b.h > 0.0) *hi = shift;
  else *lo = shift;
  const double next = shift - b.h / (b.slope > 1e-9 ? b.slope : 1e-9);
  if (next >= *lo && next <= *hi) return next;
  return isfinite(*lo) && isfinite(*hi) ? 0.5 * (*lo + *hi) : shift - b.h;
}

// Floating-point numbers as integers of the same order, and back.
SO_HD int64_t so_key(double a) {
  int64_t i;
  memcpy(&i, &a, sizeof i);
  return i < 0 ? i ^ INT64_MAX : i;
}
SO_HD int64_t so_key(float a) {
  int32_t i;
  memcpy(&i, &a, sizeof i);
  return i < 0 ? i ^ INT32_MAX : i;
}
SO_HD void so_from_key(int64_t key, double* a) {
  const int64_t i = key < 0 ? key ^ INT64_MAX : key;
  memcpy(a, &i, sizeof i);
}
SO_HD void so_from_key(int64_t key, float* a) {
  const int32_t i = (int32_t)(key < 0 ? key ^ INT32_MAX : key);
  memcpy(a, &i, sizeof i);
}

// What came of a row.
enum so_topk_code { SO_TOPK_DONE = 0, SO_TOPK_NAN = 1, SO_TOPK_MANY_INFINITE = 2, SO_TOPK_FEW_FINITE = 3, SO_TOPK_CHANGED = 4 };

// What the special entries of a row of n settle: whether it can be solved, and whether `value` is f of every finite entry.
struct so_settled {
  int code;
  bool constant;
  double value;
};
SO_HD so_settled so_topk_settle(int64_t positive, int64_t negative, int64_t nan, int64_t n, int64_t k) {
  const int64_t finite = n - positive - negative;
  if (nan) return {SO_TOPK_NAN, false, 0.0};
  if (positive > k) return {SO_TOPK_MANY_INFINITE, false, 0.0};
  if (positive + finite < k) return {SO_TOPK_FEW_FINITE, false, 0.0};
  return {SO_TOPK_DONE, positive == k || positive + finite == k, positive == k ? 0.0 : 1.0};
}

struct so_topk_shape {
  int64_t rows, n, k;
  double tau;
};

template <class T> struct so_topk_state;  // the thresholds of the rows, and what their backward pass needs
template <class T> so_topk_state<T>* so_topk_new();
template <class T> void so_topk_delete(so_topk_state<T>* state);
template <class T> bool so_topk_fits(const so_topk_state<T>* state, int64_t rows, int64_t n);

// y = f for each row of x [rows, n]; warm: start from the thresholds in the state, which must fit. threads <= 0: OpenMP's choice;
// the result does not depend on it. Returns the code of the first row that failed, whose index goes to *row.
template <class T>
int so_topk_forward(so_topk_state<T>* state, const T* x, T* y, const so_topk_shape& shape, bool warm, int threads, int64_t* row);

// out = (v g - v (v'g) / sum v) / tau with v = f (1 - f), for the x of the forward pass and, which saves time, its y (or null).
// SO_TOPK_CHANGED when they are not what they were then. out may be g.
template <class T>
int so_topk_backward(const so_topk_state<T>* state, const T* x, const T* y, const T* g, T* out, const so_topk_shape& shape,
                     int threads, int64_t* row);

// pivots, shifts, spreads [rows]: the thresholds and sum f (1 - f); a shift of +-inf where all f of finite entries are 1 or 0.
template <class T> void so_topk_thresholds(const so_topk_state<T>* state, double* pivots, double* shifts, double* spreads);

// On a CUDA device, queued on a stream; all pointers there. work: so_topk_cuda_bytes, kept from forward to backward; codes [rows]:
// an so_topk_code each, and a row that is not SO_TOPK_DONE is NaN. out must not be x; in the backward pass it may be g.
// Returns as so_stream says.
int64_t so_topk_cuda_bytes(int64_t rows, int64_t n);
template <class T>
int so_topk_forward_cuda(const T* x, T* y, void* work, int32_t* codes, const so_topk_shape& shape, so_stream stream);
template <class T>
int so_topk_backward_cuda(const T* x, const T* g, T* out, void* work, const so_topk_shape& shape, so_stream stream);
