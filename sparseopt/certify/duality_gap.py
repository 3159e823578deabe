"""A rigorous enclosure of the duality gap of a convex problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..penalties import Linear
from ..problem import Problem
from .ball import UNIT, Ball
from .certificate import PROVED, REFUTED, Certificate, verdict_of
from .evaluation import Evaluation, evaluate

LEVELS = ("float",)


def duality_gap(problem: Problem, w: Any, *, tol: float = 1e-6, level: str = "float") -> Certificate:
    """Enclose objective(w) - dual(theta), theta the best feasible multiple of the residual, from the raw data alone.

    problem: convex, with LeastSquares or a quadratic.  w: [p].  level: "float", float64 with a-priori bounds of every
    rounding error.  The gap bounds objective(w) - minimum from above, so "proved" means that w is within
    tol * scale of the minimum, scale = max(|P(w)|, |P(w) - P(0)|), 1 where both vanish.

    Returns a Certificate whose lower and upper enclose the absolute gap.  Raises ValueError for a nonconvex penalty, an
    unknown level, a wrong shape, NaN, or tol < 0.
    """
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}: allowed are {', '.join(map(repr, LEVELS))}")
    if not problem.convex:
        raise ValueError(f"{problem.penalty!r} is not convex, so there is no duality gap: use certify.global_gap")
    if type(problem.penalty.rho) is not Linear:
        raise ValueError(f"{problem.penalty!r} has no certificate: allowed is the group LASSO")
    tol = checked_tolerance(tol)
    bounds = GapBounds.at(problem, problem.check_coefficients(w))
    verdict = verdict_of(bounds.lower, bounds.upper, tol * bounds.scale)
    return Certificate(verdict, bounds.lower, bounds.upper, bounds.scale, tol, _reason(verdict, bounds))


@dataclass(frozen=True)
class GapBounds:
    """What the verdicts are made of.

    lower, upper: enclosure of the duality gap, lower >= 0 by weak duality.  scale: lower bound of the scale of the
    objective.  evaluation: the smooth part.  gradient_norms: [G].
    """

    lower: float
    upper: float
    scale: float
    evaluation: Evaluation
    gradient_norms: Ball

    @classmethod
    def at(cls, problem: Problem, w: np.ndarray) -> GapBounds:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return cls._at(problem, w)

    @classmethod
    def _at(cls, problem: Problem, w: np.ndarray) -> GapBounds:
        groups, penalty = problem.penalty.groups, problem.penalty
        evaluation = evaluate(problem, w)
        strength = Ball.exact(penalty.weights).times(penalty.lam)
        norms = evaluation.gradient.group_norms(groups)
        primal = evaluation.loss + (strength * Ball.exact(w).group_norms(groups)).sum()
        gap = primal - evaluation.dual(feasible_multiple(norms, strength))
        descent = abs(primal - evaluation.loss_at_zero)
        scale = float(np.nanmax([abs(primal).lower, descent.lower, 0.0]))
        vanishes = evaluation.zero_at_zero and not w.any()
        best = Ball.exact(primal.lower) - Ball.exact(evaluation.dual_ceiling(infeasible_multiple(norms, strength)))
        lower = float(np.nanmax([best.lower, 0.0]))
        upper = np.inf if np.isnan(gap.upper) else float(gap.upper)
        return cls(lower, upper, 1.0 if vanishes else scale, evaluation, norms)


def feasible_multiple(norms: Ball, strength: Ball) -> float:
    """Largest float alpha known to satisfy alpha * norms[g] <= strength[g] for every group; inf for a zero gradient."""
    ratios = np.where(norms.upper > 0, strength.lower / norms.upper, np.inf)
    return max(float(ratios.min()) * (1 - 4 * UNIT), 0.0)


def infeasible_multiple(norms: Ball, strength: Ball) -> float:
    """A float above every such alpha."""
    ratios = np.where(norms.lower > 0, strength.upper / norms.lower, np.inf)
    return float(ratios.min()) * (1 + 4 * UNIT)


def checked_tolerance(tol: Any) -> float:
    """tol as a float; ValueError unless 0 <= tol < inf."""
    if isinstance(tol, int | float) and 0 <= tol < np.inf:
        return float(tol)
    raise ValueError(f"tol is {tol!r}: give a finite number >= 0, e.g. 1e-6")


def _reason(verdict: str, bounds: GapBounds) -> str:
    if verdict == PROVED:
        return "the rescaled residual is a dual point with this gap"
    if verdict == REFUTED:
        return "the gap to the rescaled residual exceeds the tolerance: solve more accurately"
    if not np.isfinite(bounds.upper):
        return "no dual point with a finite value is known: the quadratic is singular, or squares overflow"
    return "the rounding-error bound is larger than the tolerance leaves room for: use a larger tol"
