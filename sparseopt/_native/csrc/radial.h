// Prox of the scalar penalties at unit strength, shared by the CPU and the CUDA kernels:
//   so_radial_prox(kind, parameter, v, s) = argmin_{r >= 0} (r - v)^2 / 2 + s rho(r),  v >= 0, s >= 0, always a global minimiser;
// ties go to 0. Everything in double. The formulas stand once in Python, in sparseopt/penalties; tests/native/test_twin.py
// pins this file to them.
#pragma once
#include <math.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define SO_HD __host__ __device__ __forceinline__
#else
#define SO_HD static inline
#endif

enum so_penalty { SO_LINEAR = 0, SO_POWER = 1, SO_LOG = 2, SO_RATIO = 3, SO_EXP_MASK = 4, SO_MCP = 5, SO_SCAD = 6, SO_L0 = 7 };

// Newton on a convex function from above its largest root descends without overshooting; near a double root it halves the
// distance, so 60 steps reach the last bit.
#define SO_NEWTON_STEPS 60

SO_HD double so_prox_linear(double v, double s) { return v > s ? v - s : 0.0; }

// rho(t) = t^q, 0 < q < 1.  Largest root of h(r) = r - v + s q r^(q-1), convex in r.  Zero is at least as good as a stationary
// point r exactly when s q (1-q) r^(q-2) >= q/2, which also ends the descent where no root exists.
SO_HD double so_prox_power(double v, double s, double q) {
  double r = v;
  for (int i = 0; i < SO_NEWTON_STEPS; ++i) {
    const double slope = s * q * pow(r, q - 1.0), curvature = (1.0 - q) * slope / r;
    if (!(curvature < 0.5 * q * (1.0 + 1e-9))) return 0.0;
    const double next = r - (r - v + slope) / (1.0 - curvature);
    if (!(next > 0.0)) return 0.0;
    if (!(next < r)) break;
    r = next;
  }
  return s * pow(r, q - 1.0) < v - 0.5 * r ? r : 0.0;
}

// rho(t) = log(1 + t / eps).  Larger root of (r - v)(r + eps) + s = 0 against 0.
SO_HD double so_prox_log(double v, double s, double eps) {
  const double m = 2.0 * sqrt(s), near = v + eps - m, far = v + eps + m;
  if (near < 0.0) return 0.0;
  const double root = near * far < 1e308 ? sqrt(near * far) : sqrt(near) * sqrt(far);
  // the second form has no cancellation where v < eps
  const double r = v >= eps ? 0.5 * (v - eps + root) : 2.0 * (v * eps - s) / (root + eps - v);
  if (!(r > 0.0)) return 0.0;
  if (s <= eps * eps) return r;  // convex prox problem: the only stationary point
  return s * log1p(r / eps) < r * (v - 0.5 * r) ? r : 0.0;
}

// rho(t) = t / (1 + t).  Largest root of u^3 - (1 + v) u^2 + s with u = 1 + r, as h(r) = r - v + s / (1 + r)^2, convex in r.
SO_HD double so_prox_ratio(double v, double s) {
  double r = v;
  for (int i = 0; i < SO_NEWTON_STEPS; ++i) {
    const double u = 1.0 + r, slope = s / (u * u), rise = 1.0 - 2.0 * slope / u;
    if (!(rise > 0.0)) return 0.0;
    const double next = r - (r - v + slope) / rise;
    if (!(next > 0.0)) return 0.0;
    if (!(next < r)) break;
    r = next;
  }
  if (2.0 * s <= 1.0) return r;  // convex prox problem
  return s / (1.0 + r) < v - 0.5 * r ? r : 0.0;
}

// Stationarity of the exp mask in w, r = sqrt(w) e^w:  G(w) = sqrt(w) (e^w + 2 s e^-w) = v.  Returns its root between lo and hi,
// where G rises, by safeguarded Newton on x = log w.
SO_HD double so_exp_mask_root(double v, double s, double lo, double hi) {
  const double log_v = log(v);
  double a = log(lo), b = log(hi), x = 0.5 * (a + b);
  for (int i = 0; i < 2 * SO_NEWTON_STEPS; ++i) {
    const double w = exp(x), tail = 2.0 * s * exp(-2.0 * w);
    const double value = 0.5 * x + w + log1p(tail) - log_v;
    if (value > 0.0) b = x;
    else a = x;
    const double rise = 0.5 + w * (1.0 - tail) / (1.0 + tail);
    double next = x - value / rise;
    if (!(next > a && next < b)) next = 0.5 * (a + b);
    if (next == x || !(a < b)) break;
    const bool settled = fabs(next - x) <= 4e-16 * fabs(x);
    x = next;
    if (settled) break;
  }
  return exp(x);
}

// Where G turns:  (1 + 2w) e^(2w) = 2 s (2w - 1), the turn in (lo, hi), by bisection on an interval of length at most log(s).
SO_HD double so_exp_mask_turn(double s, double lo, double hi, bool falls) {
  for (int i = 0; i < 2 * SO_NEWTON_STEPS; ++i) {
    const double w = 0.5 * (lo + hi);
    if (!(w > lo && w < hi)) break;
    const bool below = log1p(2.0 * w) + 2.0 * w > log(2.0 * s) + log(2.0 * w - 1.0);
    if (below == falls) lo = w;
    else hi = w;
  }
  return 0.5 * (lo + hi);
}

SO_HD double so_exp_mask_norm(double v, double s, double w) { return v / (1.0 + 2.0 * s * exp(-2.0 * w)); }

// value at r minus v^2 / 2
SO_HD double so_exp_mask_gain(double v, double s, double w) {
  const double r = so_exp_mask_norm(v, s, w);
  return s * (w * w + w) - r * (v - 0.5 * r);
}

// rho(a) = w^2 + w with a = sqrt(w) e^w (the Lambert penalty of exponentiated masks).  No dead zone.  One stationary point for
// s <= 10.547, where the prox problem is convex; beyond, the two local minima are compared by value.
SO_HD double so_prox_exp_mask(double v, double s) {
  const double convex_up_to = 10.547211136714845;  // e^sqrt(3) / (2 (2 - sqrt(3)))
  const double widest = 0.8660254037844386;        // sqrt(3) / 2, where the two turns meet
  const double t = v / (1.0 + 2.0 * s), t2 = t * t;
  if (t2 < 1e-18) return t;  // w < 1e-18: e^-2w is 1
  const double lo = t2 < 0.5 ? t2 * exp(-2.0 * t2) : 0.1;
  const double log_v = log(v), hi = v * v < 1.0 ? v * v : (log_v > 1.0 ? log_v : 1.0);
  if (s <= convex_up_to) return so_exp_mask_norm(v, s, so_exp_mask_root(v, s, lo, hi));
  const double first = so_exp_mask_turn(s, 0.5, widest, true);
  const double second = so_exp_mask_turn(s, widest, log(2.0 * s) + 1.0, false);
  const double at_first = 0.5 * log(first) + first + log1p(2.0 * s * exp(-2.0 * first));
  const double at_second = 0.5 * log(second) + second + log1p(2.0 * s * exp(-2.0 * second));
  if (log_v >= at_first) return so_exp_mask_norm(v, s, so_exp_mask_root(v, s, second, hi > second ? hi : second));
  const double small = so_exp_mask_root(v, s, lo < first ? lo : first, hi < first ? hi : first);
  if (log_v <= at_second) return so_exp_mask_norm(v, s, small);
  const double large = so_exp_mask_root(v, s, second, hi > second ? hi : second);
  const bool larger = so_exp_mask_gain(v, s, large) < so_exp_mask_gain(v, s, small);
  return so_exp_mask_norm(v, s, larger ? large : small);
}

// rho(t) = t - t^2 / (2 gamma) up to gamma, gamma / 2 beyond.  Firm threshold, or 0 against v where it is concave.
SO_HD double so_prox_mcp(double v, double s, double gamma) {
  if (s >= gamma) return v > sqrt(s * gamma) ? v : 0.0;
  if (v >= gamma) return v;
  return v > s ? fmin((v - s) * (gamma / (gamma - s)), v) : 0.0;
}

// slope 1 up to 1, (a - t) / (a - 1) up to a, 0 beyond.  Three pieces, or the soft threshold against v where it is concave.
SO_HD double so_prox_scad(double v, double s, double a) {
  const double soft = v > s ? v - s : 0.0;
  if (s < a - 1.0) {
    if (v <= 1.0 + s) return soft;
    return v - s * fmin(fmax((a - v) / (a - 1.0 - s), 0.0), 1.0);
  }
  const double equal = s <= a + 1.0 ? 0.5 * (a + 1.0 + s) : sqrt(s * (a + 1.0));
  return v > equal ? v : fmin(soft, 1.0);
}

SO_HD double so_radial_prox(int kind, double parameter, double v, double s) {
  if (s == 0.0 || v == 0.0) return v;
  switch (kind) {
    case SO_LINEAR: return so_prox_linear(v, s);
    case SO_POWER: return so_prox_power(v, s, parameter);
    case SO_LOG: return so_prox_log(v, s, parameter);
    case SO_RATIO: return so_prox_ratio(v, s);
    case SO_MCP: return so_prox_mcp(v, s, parameter);
    case SO_SCAD: return so_prox_scad(v, s, parameter);
    case SO_L0: return v > sqrt(2.0 * s) ? v : 0.0;
    default: return so_prox_exp_mask(v, s);
  }
}

// Factor of a block of norm v: prox(v) / v; 0 for the zero block; NaN where the norm is not finite.
SO_HD double so_radial_scale(int kind, double parameter, double v, double s) {
  if (!(v <= 1.7976931348623157e308)) return NAN;
  return v > 0.0 ? so_radial_prox(kind, parameter, v, s) / v : 0.0;
}
