// Value, slope and block prox of the scalar penalties at a strength, beside the prox at unit strength in radial.h:
//   strength * rho(t), or strength^2 * rho(t / strength) where rho is flat beyond a multiple of the strength (MCP, SCAD).
#pragma once
#include "radial.h"

// s >= 0 with s e^(s^2) = t, by Newton's method on log s + s^2 = log t (as ExpMask in sparseopt/penalties/exp_mask.py)
SO_HD double so_mask_root(double t) {
  if (!(t > 0)) return 0;
  double s = t > 2.718281828459045 ? sqrt(log(t)) : (t < 1 ? t : 1);
  for (int i = 0; i < 9; ++i) s -= s * (log(s / t) + s * s) / (1 + 2 * s * s);
  return s;
}

// Whether the strength scales the argument as well.
SO_HD bool so_scales_argument(int kind) { return kind == SO_MCP || kind == SO_SCAD; }

SO_HD double so_unit_value(int kind, double parameter, double t) {
  switch (kind) {
    case SO_LINEAR: return t;
    case SO_POWER: return pow(t, parameter);
    case SO_LOG: return log1p(t / parameter);
    case SO_RATIO: return t / (1 + t);
    case SO_MCP: {
      const double u = t < parameter ? t : parameter;
      return u * (1 - u / (2 * parameter));
    }
    case SO_SCAD: {
      const double u = (t < 1 ? 1 : t > parameter ? parameter : t) - 1;
      return (t < 1 ? t : 1) + u * (1 - u / (2 * (parameter - 1)));
    }
    case SO_L0: return t > 0 ? 1 : 0;
    default: {
      const double s = so_mask_root(t), square = s * s;
      return square * (square + 1);
    }
  }
}

// rho'(t) for t > 0, rho'(0+) at 0
SO_HD double so_unit_slope(int kind, double parameter, double t) {
  switch (kind) {
    case SO_LINEAR: return 1;
    case SO_POWER: return t > 0 ? parameter * pow(t, parameter - 1) : INFINITY;
    case SO_LOG: return 1 / (parameter + t);
    case SO_RATIO: return 1 / ((1 + t) * (1 + t));
    case SO_MCP: return t < parameter ? 1 - t / parameter : 0;
    case SO_SCAD: return t <= 1 ? 1 : t < parameter ? (parameter - t) / (parameter - 1) : 0;
    case SO_L0: return t > 0 ? 0 : INFINITY;
    default: {
      const double s = so_mask_root(t);
      return 2 * s * exp(-s * s);
    }
  }
}

SO_HD double so_radial_value(int kind, double parameter, double t, double strength) {
  if (strength == 0 || t == 0) return 0;
  if (so_scales_argument(kind)) return strength * strength * so_unit_value(kind, parameter, t / strength);
  return strength * so_unit_value(kind, parameter, t);
}

SO_HD double so_radial_slope(int kind, double parameter, double t, double strength) {
  if (strength == 0) return 0;
  return strength * so_unit_slope(kind, parameter, so_scales_argument(kind) ? t / strength : t);
}

// argmin over r >= 0 of curvature (r - v)^2 / 2 + penalty(r)
SO_HD double so_block_prox_norm(int kind, double parameter, double v, double strength, double curvature) {
  if (strength == 0) return v;
  if (so_scales_argument(kind)) return strength * so_radial_prox(kind, parameter, v / strength, 1 / curvature);
  return so_radial_prox(kind, parameter, v, strength / curvature);
}
