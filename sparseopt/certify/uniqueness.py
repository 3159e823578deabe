"""Whether the minimiser of a group LASSO is unique."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem import Problem, checked_problem
from .ball import INFLATION, Ball, length
from .certificate import PROVED, UNDECIDED, Certificate
from .duality_gap import GapBounds, is_group_lasso
from .evaluation import EVALUATED, block_eigenvalue
from .support import support


def uniqueness(problem: Problem, w: Any) -> Certificate:
    """ "proved" if the group LASSO is shown to have exactly one minimiser, from any accurate point w, else "undecided".

    The fit is unique, so w*_g = -c_g gradient_g(w*) with c_g >= 0, and w*_g = 0 off the equicorrelation set E.  If the
    vectors X_g gradient_g(w*), g in E, are independent, the c_g are unique (ledger D6).  E is enlarged to all groups
    not shown to be zero by `support`; the gradients are enclosed within sqrt(2 gap trace_g), and independence is shown
    by a positive lower bound (`lower`) of the smallest eigenvalue of the scaled Gram matrix of these vectors.

    problem: plain group LASSO with LeastSquares, a quadratic or `Problem.from_gram`.  w: [p].  Raises
    ValueError for other problems.
    """
    if not is_group_lasso(checked_problem(problem).penalty):
        raise ValueError(f"{problem.penalty!r} is not a plain group LASSO, for which alone uniqueness is certified")
    if type(problem.datafit) not in EVALUATED:
        name = type(problem.datafit).__name__
        raise ValueError(
            f"{name} is not treated: allowed are LeastSquares, Quadratic and from_gram; `support` takes it"
        )
    w = problem.check_coefficients(w)
    groups = problem.penalty.groups
    candidates = np.setdiff1d(np.arange(groups.n_groups), support(problem, w).zero)
    if len(candidates) == 0:
        return Certificate(PROVED, 1.0, 1.0, 1.0, 0.0, "every group is shown to be zero")
    bounds = GapBounds.at(problem, w)
    if not np.isfinite(bounds.upper):
        return Certificate(UNDECIDED, 0.0, np.inf, 1.0, 0.0, "the duality gap at w is not bounded")
    smallest = _smallest(problem, bounds, candidates)
    if smallest > 0:
        reason = f"{len(candidates)} directions that may carry the solution are independent"
        return Certificate(PROVED, smallest, np.inf, 1.0, 0.0, reason)
    reason = f"the directions of {len(candidates)} groups that may be active are not shown to be independent"
    return Certificate(UNDECIDED, 0.0, np.inf, 1.0, 0.0, reason)


def _smallest(problem: Problem, bounds: GapBounds, candidates: np.ndarray) -> float:
    """Lower bound of the smallest eigenvalue of V'HV, V the directions with unit norms (in floats)."""
    groups = problem.penalty.groups
    columns = np.concatenate([groups.members(g) for g in candidates])
    evaluation = bounds.evaluation
    hessian = evaluation.hessian_columns(columns)
    block = Ball(hessian.mid[columns], hessian.rad[columns])
    V = np.zeros((len(columns), len(candidates)))
    moved = 0.0
    for k, g in enumerate(candidates):
        rows = np.flatnonzero(groups.labels[columns] == g)
        members = columns[rows]
        gradient = evaluation.gradient[members]
        size = float(np.linalg.norm(gradient.mid))
        if not size > 0:
            return 0.0
        V[rows, k] = gradient.mid / size
        trace = float(evaluation.curvatures[members].sum())
        off = np.sqrt(2 * max(bounds.upper, 0.0) * trace) + length(gradient.rad)
        moved += (off / size * INFLATION + 4e-16 * len(columns)) ** 2
    change = float(np.sqrt(moved)) * INFLATION
    size = length(block.mid) + length(block.rad)
    gram = V.T @ block.mid @ V
    reach = length(V)
    rounding = 4 * (len(columns) + 8) * 2.3e-16 * size * reach**2
    rad = length(block.rad) * reach**2 + rounding + 2 * size * reach * change + size * change**2
    return max(block_eigenvalue(Ball((gram + gram.T) / 2, np.zeros_like(gram))) - rad * INFLATION, 0.0)
