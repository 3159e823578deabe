"""How far a point is from stationarity, enclosed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..penalties import GroupPenalty
from ..penalties import strength as at_strength
from ..problem import Problem, checked_problem
from .arithmetic import FloatArithmetic
from .ball import Ball
from .certificate import Certificate, verdict_of
from .duality_gap import checked_tolerance
from .evaluation import evaluate

FORMULA = 64 * 2.0**-52
"""Relative bound of the rounding error of a slope formula."""


def stationarity(problem: Problem, w: Any, *, tol: float = 1e-6) -> Certificate:
    """Enclose max_g dist(-gradient_g, subdifferential of the penalty at w_g), for radial penalties.

    Relative to max_g |gradient_g(0)|.  At a zero group the distance is max(|gradient_g| - slope at 0, 0), 0 where that
    slope is infinite; elsewhere |gradient_g + slope(|w_g|) w_g / |w_g||.  Stationary says nothing of the minimum.

    problem: LeastSquares or a quadratic with a group penalty.  w: [p].  Returns a Certificate of units of the gradient.
    Raises ValueError for other problems, a wrong shape, NaN, or tol < 0.
    """
    penalty = checked_problem(problem).penalty
    if not isinstance(penalty, GroupPenalty) or getattr(penalty, "positive", False):
        raise ValueError(f"{penalty!r} is not a radial group penalty: use duality_gap or global_gap")
    tol, w = checked_tolerance(tol), problem.check_coefficients(w)
    with FloatArithmetic().context():
        gradient = evaluate(problem, w).gradient
        norms = Ball.exact(w).group_norms(penalty.groups)
        zero = norms.mid == 0
        ends = [_slope(penalty, np.where(zero, 0.0, np.maximum(e, 0.0))) for e in (norms.lower, norms.upper)]
        low, high = np.minimum(*ends) * (1 - FORMULA), np.maximum(*ends) * (1 + FORMULA)
        if np.isinf(high[~zero]).any():
            return Certificate("refuted", np.inf, np.inf, 1.0, tol, "a group that is forced out is not zero")
        size = gradient.group_norms(penalty.groups)
        below, above = np.maximum(size.lower - high, 0.0), np.maximum(size.upper - low, 0.0)
        pull = Ball((low + high) / 2, (high - low) / 2 * (1 + 1e-6))
        labels = penalty.groups.labels
        safe = Ball(np.where(zero, 1.0, norms.mid), np.where(zero, 0.0, norms.rad))
        finite = Ball(np.where(zero, 0.0, pull.mid), np.where(zero, 0.0, pull.rad))
        moved = (gradient + finite[labels] * (Ball.exact(w) / safe[labels])).group_norms(penalty.groups)
        lower = float(np.where(zero, below, np.maximum(moved.lower, 0.0)).max())
        upper = float(np.where(zero, above, moved.upper).max())
        start = evaluate(problem, np.zeros_like(w)).gradient.group_norms(penalty.groups)
    scale = max(float(start.lower.max()), 0.0) or 1.0
    verdict = verdict_of(lower, upper, tol * scale)
    return Certificate(verdict, lower, upper, scale, tol, "the distance of -gradient to the subdifferential")


def _slope(penalty: GroupPenalty, norms: np.ndarray) -> np.ndarray:
    return np.asarray(at_strength.slope(penalty.rho, norms, penalty.strength))
