"""A rigorous enclosure of the duality gap of a convex problem."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._array import checked_tolerance
from ..datafits import LeastSquares, Quadratic
from ..finer_fit import cancels
from ..penalties import GroupLasso, GroupPenalty, KSupport, Linear
from ..problem import Problem, checked_problem
from .arithmetic import BallArithmetic, FloatArithmetic, RationalArithmetic, Undecided
from .ball import UNIT, Ball
from .certificate import PROVED, REFUTED, UNDECIDED, Certificate, verdict_of
from .convex_bound import known_bound
from .enclosure import Enclosure, enclose
from .evaluation import QUADRATICS, Evaluation, evaluate
from .independence import ALMOST, depend_but_for_rounding
from .penalty_terms import PenaltyTerms

LARGEST_SCALE = 1e300
"""Beyond this the objective may leave the range of float64."""

LEVELS: dict[str, Any] = {"float": FloatArithmetic, "ball": BallArithmetic, "exact": RationalArithmetic}


def duality_gap(problem: Problem, w: Any, *, tol: float = 1e-6, level: str = "float") -> Certificate:
    """Enclose objective(w) - dual(theta) from the raw data alone, theta the best feasible multiple of the residual.

    Best up to rounding: theta depends on the level in the last digits, and upper with it; lower holds for every
    multiple, so that no level refutes what another one proves.

    problem: convex, with any datafit and GroupLasso, SparseGroupLasso, GroupElasticNet or KSupport; for
    `Problem.from_gram` the statistics are the raw data.  w: [p] or [p, T].
    level: "float", float64 with a-priori bounds of every rounding error (exp and log within 2 ulp); "ball", 256 bits
    (needs python-flint); "exact", rational numbers with enclosed square roots, for least squares, multi-response and
    quadratics.  The last two make dense copies and are slow.  The gap bounds objective(w) - minimum from above, so
    "proved" means that w is within tol * scale of the minimum, scale = max(|P(w)|, |P(w) - P(0)|), 1 where both vanish.
    Unpenalised groups and the intercept: theta is projected so that it is exactly orthogonal to them, and enclosed.
    Where their columns separate samples, only forces of exactly 0 there are: theta goes without the smallest ones.
    Columns count as they are given: where some are combinations of others but for rounding errors, these fit as well,
    by coefficients of 1 / eps.  A solver takes such columns for dependent, and its solution may be refuted, rightly.

    Returns a Certificate whose lower and upper enclose the absolute gap.  Raises ValueError for a nonconvex penalty, an
    unknown level or one that the datafit does not allow, a wrong shape, NaN, or tol < 0.
    """
    if not isinstance(level, str) or level not in LEVELS:
        raise ValueError(f"level is {level!r}: allowed are {', '.join(map(repr, LEVELS))}")
    if not checked_problem(problem).convex:
        raise ValueError(f"{problem.penalty!r} is not convex, so there is no duality gap: use certify.global_gap")
    if not (PenaltyTerms.fit(problem.penalty) or type(problem.penalty) is KSupport):
        allowed = "GroupLasso, SparseGroupLasso, GroupElasticNet and KSupport"
        raise ValueError(f"{problem.penalty!r} has no certificate: allowed are {allowed}")
    tol, w = checked_tolerance(tol), problem.check_coefficients(w)
    squares = type(problem.datafit) in (LeastSquares, Quadratic)
    bounds: GapBounds | Enclosure
    if level == "float" and squares and is_group_lasso(problem.penalty) and not cancels(problem, w):
        bounds = GapBounds.at(problem, w)
    else:
        arithmetic = LEVELS[level]()
        try:
            with np.errstate(all="ignore"), arithmetic.context():
                bounds = enclose(problem, w, arithmetic)
        except (Undecided, ZeroDivisionError) as reason:
            return Certificate(UNDECIDED, 0.0, np.inf, 0.0, tol, ALMOST if _almost_dependent(problem) else f"{reason}")
    if not bounds.scale < LARGEST_SCALE:
        return Certificate(
            UNDECIDED, bounds.lower, bounds.upper, bounds.scale, tol, "the objective overflows: rescale y"
        )
    verdict = verdict_of(bounds.lower, bounds.upper, tol * bounds.scale, tol * bounds.largest_scale)
    why = ALMOST if verdict != PROVED and _almost_dependent(problem) else _reason(verdict, bounds)
    return Certificate(verdict, bounds.lower, bounds.upper, bounds.scale, tol, why)


@dataclass(frozen=True)
class GapBounds:
    """What the verdicts are made of, for least squares and quadratics with the plain group LASSO.

    A tenth of the time of `enclose`, which holds for every pair; supports and uniqueness use the gradient norms.
    lower, upper: enclosure of the duality gap, lower >= 0 by weak duality.  scale, largest_scale: bounds of the scale
    of the objective.  evaluation: the smooth part.  gradient_norms: [G].
    """

    lower: float
    upper: float
    scale: float
    largest_scale: float
    evaluation: Evaluation
    gradient_norms: Ball

    reason = ""

    @classmethod
    def at(cls, problem: Problem, w: np.ndarray) -> GapBounds:
        """The bounds at w [p], from the raw data."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            bounds = cls._at(problem, w)
            if np.isfinite(bounds.upper) or type(problem.datafit) not in QUADRATICS:
                return bounds
            with suppress(Undecided, ZeroDivisionError):  # singular, with a dual point in the range of H
                return replace(bounds, upper=enclose(problem, w, FloatArithmetic()).upper)
            return bounds

    @classmethod
    def _at(cls, problem: Problem, w: np.ndarray) -> GapBounds:
        groups, penalty = problem.penalty.groups, problem.penalty
        evaluation = evaluate(problem, w)
        strength = Ball.exact(penalty.weights).times(penalty.lam)
        norms = evaluation.gradient.group_norms(groups)
        primal = evaluation.loss + (strength * Ball.exact(w).group_norms(groups)).sum()
        gap = primal - evaluation.dual(feasible_multiple(norms, strength))
        descent = abs(primal - evaluation.loss_at_zero)
        sizes = abs(primal), descent
        scale = float(np.nanmax([*(size.lower for size in sizes), 0.0]))
        largest = known_bound(float(np.max([size.upper for size in sizes])))
        vanishes = evaluation.zero_at_zero and not w.any()
        best = Ball.exact(primal.lower) - Ball.exact(evaluation.dual_ceiling(infeasible_multiple(norms, strength)))
        lower = float(np.nanmax([best.lower, 0.0]))
        upper = known_bound(float(gap.upper))
        scales = (1.0, 1.0) if vanishes else (scale, largest)
        return cls(lower, upper, *scales, evaluation, norms)


def is_group_lasso(penalty: Any) -> bool:
    """Whether this is the plain group LASSO: the class itself, no sign constraint, weights positive and finite."""
    plain = type(penalty) is GroupLasso or (type(penalty) is GroupPenalty and type(penalty.rho) is Linear)
    if not plain or getattr(penalty, "positive", False):
        return False
    return bool(((penalty.strength > 0) & (penalty.strength < np.inf)).all())


def feasible_multiple(norms: Ball, strength: Ball) -> float:
    """Largest float alpha known to satisfy alpha * norms[g] <= strength[g] for every group; inf for a zero gradient."""
    ratios = np.where(norms.upper > 0, strength.lower / norms.upper, np.inf)
    return max(float(ratios.min()) * (1 - 4 * UNIT), 0.0)


def infeasible_multiple(norms: Ball, strength: Ball) -> float:
    """A float above every such alpha."""
    ratios = np.where(norms.lower > 0, strength.upper / norms.lower, np.inf)
    return float(ratios.min()) * (1 + 4 * UNIT)


def _almost_dependent(problem: Problem) -> bool:
    """Whether unpenalised columns, and that of an intercept, depend on each other but for rounding errors."""
    columns = problem.unpenalised[1]
    ones = np.ones((len(columns), 1 if problem.datafit.fit_intercept else 0))
    return columns.shape[1] > 0 and depend_but_for_rounding(np.concatenate([ones, columns], axis=1))


def _reason(verdict: str, bounds: GapBounds | Enclosure) -> str:
    if verdict == PROVED:
        return "the rescaled residual is a dual point with this gap"
    if verdict == REFUTED:
        return "the gap to the rescaled residual exceeds the tolerance: solve more accurately"
    if bounds.reason:
        return bounds.reason
    if not np.isfinite(bounds.upper):
        return "no dual point with a finite value is known: the quadratic is singular, or squares overflow"
    return "the rounding-error bound is larger than the tolerance leaves room for: use a larger tol"
