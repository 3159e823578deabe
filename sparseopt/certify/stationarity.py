"""How far a point is from stationarity, enclosed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..penalties import GroupPenalty
from ..penalties import strength as at_strength
from ..problem import Problem, checked_problem
from .arithmetic import FloatArithmetic, Undecided
from .ball import SMALLEST
from .certificate import UNDECIDED, Certificate, verdict_of
from .convex_bound import known_bound
from .duality_gap import checked_tolerance
from .evaluation import EVALUATED, evaluate
from .interval import Interval
from .linear_fit import enclosed_gradient

FORMULA = 64 * 2.0**-52
"""Bound of the rounding error of a slope formula, relative to the slope and, where it is finite, to that at 0."""


def stationarity(problem: Problem, w: Any, *, tol: float = 1e-6) -> Certificate:
    """Enclose max_g dist(-gradient_g, subdifferential of the penalty at w_g), for radial penalties.

    Relative to max_g |gradient_g(0)|.  At a zero group the distance is max(|gradient_g| - slope at 0, 0), 0 where that
    slope is infinite; elsewhere |gradient_g + slope(|w_g|) w_g / |w_g||.  Stationary says nothing of the minimum.
    The gradient is that at the exact optimal intercept, which is enclosed.

    problem: any loss of the package, a quadratic or `Problem.from_gram`, with a group penalty.  w: [p] or [p, T].
    Returns a Certificate of units of the gradient, undecided where the intercept or the gradient is not enclosed.
    Raises ValueError for other problems, a wrong shape, NaN, or tol < 0.
    """
    penalty = checked_problem(problem).penalty
    if not isinstance(penalty, GroupPenalty) or getattr(penalty, "positive", False):
        raise ValueError(f"{penalty!r} is not a radial group penalty: use duality_gap or global_gap")
    tol, w = checked_tolerance(tol), problem.check_coefficients(w)
    a = FloatArithmetic()
    with np.errstate(all="ignore"), a.context():
        try:
            gradient, start = (_gradient(problem, point, a) for point in (w, np.zeros_like(w)))
        except (Undecided, ZeroDivisionError) as reason:
            return Certificate(UNDECIDED, 0.0, np.inf, 1.0, tol, f"{reason}")
        lower, upper = _distance(penalty, w, gradient)
        scale = max(float(a.group_norms(start, penalty.groups).lo.max()), 0.0) or 1.0
    if np.isinf(lower):
        return Certificate("refuted", np.inf, np.inf, 1.0, tol, "a group that is forced out is not zero")
    verdict = verdict_of(lower, upper, tol * scale)
    return Certificate(verdict, lower, upper, scale, tol, "the distance of -gradient to the subdifferential")


def _gradient(problem: Problem, w: np.ndarray, a: FloatArithmetic) -> Interval:
    """Of least squares and quadratics by `evaluate`, whose residuals are centred: large means of y cancel exactly."""
    if type(problem.datafit) in EVALUATED:
        return Interval.from_ball(evaluate(problem, w).gradient)
    return enclosed_gradient(problem, w, a)


def _distance(penalty: GroupPenalty, w: np.ndarray, gradient: Interval) -> tuple[float, float]:
    """Bounds of the largest distance; both inf where a group that is forced out is not zero."""
    a, groups = FloatArithmetic(), penalty.groups
    norms = a.group_norms(a.number(w), groups)
    zero = norms.hi == 0
    norms = Interval(np.where(zero, 1.0, np.maximum(norms.lo, SMALLEST)), np.where(zero, 1.0, norms.hi))
    pull = _slopes(penalty, np.where(zero, 0.0, norms.lo), np.where(zero, 0.0, norms.hi))
    if np.isinf(pull.hi[~zero]).any():
        return np.inf, np.inf
    size = a.group_norms(gradient, groups)
    below, above = np.maximum(size.lo - pull.hi, 0.0), np.maximum(size.hi - pull.lo, 0.0)
    rows = (groups.labels,) if w.ndim == 1 else (groups.labels, None)
    moved = gradient + (a.where(zero, 0.0, pull))[rows] * (a.number(w) / norms[rows])
    shifted = a.group_norms(moved, groups)
    lower = float(np.where(zero, below, shifted.lo).max())
    return max(lower, 0.0), known_bound(float(np.where(zero, above, shifted.hi).max()))


def _slopes(penalty: GroupPenalty, low: np.ndarray, high: np.ndarray) -> Interval:
    """The slopes [G] over the norms in [low, high], between which they are monotone up to rounding."""
    at_zero, *ends = (
        np.asarray(at_strength.slope(penalty.rho, norms, penalty.strength)) for norms in (np.zeros_like(low), low, high)
    )
    error = FORMULA * np.maximum(np.where(np.isfinite(at_zero), at_zero, 0.0), np.maximum(*ends))
    least = np.maximum(np.minimum(*ends) - error, 0.0)
    return Interval(np.where(np.isinf(np.minimum(*ends)), np.inf, least), np.maximum(*ends) + error)
