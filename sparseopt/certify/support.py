"""Which groups are zero, and which are not, at the minimisers of a group LASSO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem, checked_problem
from .ball import INFLATION, Ball
from .duality_gap import GapBounds, is_group_lasso
from .evaluation import strong_convexity


@dataclass(frozen=True)
class Support:
    """zero, nonzero, undecided: indices of groups, increasing; shown for every minimiser.  reason: one sentence."""

    zero: np.ndarray
    nonzero: np.ndarray
    undecided: np.ndarray
    reason: str


def support(problem: Problem, w: Any) -> Support:
    """Groups shown to be zero, and shown to be non-zero, at every minimiser, from any point w.

    Zero: |gradient_g(w)| + sqrt(2 gap trace_g) < strength_g, since |gradient_g(w) - gradient_g(w*)| <=
    sqrt(trace_g) |w - w*|_H and |w - w*|_H^2 <= 2 gap (strict dual feasibility at w*, ledger D3).
    Non-zero: |w_g| > sqrt(2 gap / mu), where the loss is shown to be strongly convex with constant mu.  The gap is that
    of `duality_gap`, enclosed.  A better w decides more groups.

    problem: plain group LASSO with LeastSquares, a quadratic or `Problem.from_gram`.  w: [p].  Raises
    ValueError for other problems.
    """
    if not is_group_lasso(checked_problem(problem).penalty):
        raise ValueError(f"{problem.penalty!r} is not a plain group LASSO, for which alone support is certified")
    w = problem.check_coefficients(w)
    groups, penalty = problem.penalty.groups, problem.penalty
    bounds = GapBounds.at(problem, w)
    gap = max(bounds.upper, 0.0)
    trace = np.bincount(groups.labels, weights=bounds.evaluation.curvatures, minlength=groups.n_groups)
    with np.errstate(over="ignore", invalid="ignore"):
        reach = (bounds.gradient_norms.upper + np.sqrt(2 * gap * trace) * INFLATION) * INFLATION
        strength = Ball.exact(penalty.weights).times(penalty.lam).lower
        zero = reach < strength
        mu = strong_convexity(bounds.evaluation) if np.isfinite(gap) else 0.0
        radius = np.sqrt(2 * gap / mu) * INFLATION if mu > 0 else np.inf
        nonzero = Ball.exact(w).group_norms(groups).lower > radius
    reason = f"gap at most {gap:g}" + ("" if mu > 0 else "; strong convexity is not shown, so nothing is non-zero")
    return Support(np.flatnonzero(zero), np.flatnonzero(nonzero), np.flatnonzero(~zero & ~nonzero), reason)
