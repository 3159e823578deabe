"""Global gaps of group-l0, MCP and SCAD problems, by branch and bound."""

from __future__ import annotations

import numpy as np

from ..problem import Problem
from .arithmetic import FloatArithmetic
from .ball import Ball
from .certificate import UNDECIDED, Certificate, verdict_of
from .evaluation import evaluate
from .interval import Interval

GROUP_LIMIT = 80
"""Groups up to which a search is tried."""

SECONDS = 60.0
"""Wall-clock time that it may take."""


def gap_by_branching(problem: Problem, w: np.ndarray, tol: float, seconds: float | None = None) -> Certificate:
    """Enclose objective(w) - global minimum: below by a point that the search finds, above by its rigorous bound.

    w: [p].  Undecided, with the reason, beyond GROUP_LIMIT groups, and where SECONDS, or `seconds`, do not suffice.
    """
    from ..solvers.branch_and_bound import BranchAndBound
    from ..solvers.relaxation import ConcaveModel

    groups = problem.penalty.groups.n_groups
    if groups > GROUP_LIMIT:
        reason = f"{groups} groups are too many for branch and bound, which is tried up to {GROUP_LIMIT}"
        return Certificate(UNDECIDED, 0.0, np.inf, 1.0, tol, reason)
    here = _objective(problem, w)
    zero = _objective(problem, np.zeros_like(w))
    low, high = float(here.lo), float(here.hi)
    scale = max(low, -high, low - float(zero.hi), float(zero.lo) - high, 0.0)
    scale = 1.0 if not w.any() and scale == 0 else scale
    relative_to = max(
        scale, ConcaveModel(problem).smallest_full
    )  # in the search, where penalties may exceed objectives
    accuracy = max(tol / 2 * (scale / relative_to), 1e-12)
    optimum = BranchAndBound(tol=accuracy, time_limit=min(SECONDS, seconds or SECONDS)).prove(problem, w)
    upper = float((here - optimum.lower).hi)
    lower = max(float((here - _objective(problem, optimum.w)).lo), 0.0)
    upper = max(upper, lower)
    return Certificate(
        verdict_of(lower, upper, tol * scale), lower, upper, scale, tol, f"branch and bound: {optimum.reason}"
    )


def _objective(problem: Problem, w: np.ndarray) -> Interval:
    """Enclosure of the objective at w [p]; penalties are evaluated at both ends of the enclosed norms (increasing)."""
    penalty = problem.penalty
    arithmetic = FloatArithmetic()
    with arithmetic.context():
        norms = Ball.exact(w).group_norms(penalty.groups)
        from ..penalties import strength as at_strength

        ends = [
            np.asarray(at_strength.value(penalty.rho, np.maximum(end, 0.0) * (norms.mid > 0), penalty.strength))
            for end in (norms.lower, norms.upper)
        ]
        slack = 64 * 2.0**-52
        low, high = np.minimum(*ends), np.maximum(*ends)
        total = arithmetic.sum(Interval(low - slack * np.abs(low), high + slack * np.abs(high)))
        return Interval.from_ball(evaluate(problem, w).loss) + total
