"""Where to start under penalties whose slope at 0 is infinite, for which 0 itself is always stationary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from ..deadline import deadline, past, seconds_until
from ..penalties import GroupPenalty
from ..problem import Problem
from ..solve import solve
from ..unpenalised import coefficients_of, column_norms, refit
from .block_penalty import scalar_part
from .columns import as_least_squares
from .descent import GroupDescent
from .group_bcd import GroupBCD

MOST_FITTED = 16
"""Groups that are fitted alone, those whose gradient at 0 is largest relative to their columns."""

MOST_ROUNDS = 20
"""Rounds of descent that a fit of one group is given; from the fit without a penalty it takes one or two."""


def everything_stays(penalty: Any) -> bool:
    """Whether every group that is 0 may stay so: a scalar penalty of infinite slope at 0, as of GroupL0 and GroupLq."""
    rho = scalar_part(penalty) if isinstance(penalty, GroupPenalty) and not penalty.convex else None
    return rho is not None and float(rho.slope0) == np.inf and not getattr(penalty, "positive", False)


def first_groups(problem: Problem, options: Any) -> np.ndarray:
    """Coefficients [p] or [p, T] not above 0 in objective: the best group alone by its own fit, and what descent adds.

    The groups of largest gradient are fitted alone, to rounding (with those of weight 0), and compared by the objective
    there; then blocks are lowered one by one, candidates by value, over the groups that come next.
    """
    problem = as_least_squares(problem)
    end, zero = deadline(options.time_limit), np.zeros(problem.w_shape)
    ranked = _ranked(problem)
    free = np.flatnonzero(problem.penalty.strength == 0)
    best, lowest = zero, problem.objective(zero)
    for g in [None, *ranked[:MOST_FITTED]]:
        if past(end)():
            return best
        w = _alone(problem, np.union1d(free, [] if g is None else [g]).astype(np.int64), end)
        value = problem.objective(w)
        if value < lowest:
            best, lowest = w, value
    run = GroupDescent(problem, best, replace(options, time_limit=seconds_until(end)))
    run.working = np.union1d(run.working, ranked[: options.working_set]).astype(np.int64)
    run.round()
    return run.w if problem.objective(run.w) < lowest else best


def _ranked(problem: Problem) -> np.ndarray:
    """Penalised groups that may be active, by decreasing |gradient_g(0)| / |X_g|_F."""
    groups = problem.penalty.groups
    pull = groups.norms(problem.gradient_at_zero)
    lengths = groups.norms(column_norms(problem.X))
    share = np.divide(pull, lengths, out=np.zeros_like(pull), where=lengths > 0)
    share[(problem.penalty.strength == 0) | np.isinf(problem.penalty.strength)] = 0.0
    order = np.argsort(-share, kind="stable")
    return order[: np.count_nonzero(share)]


def _alone(problem: Problem, groups: np.ndarray, end: float) -> np.ndarray:
    """A fit of these groups [k], the others 0, until `end`: descent from the fit without a penalty."""
    full = np.zeros(problem.w_shape)
    chosen = np.flatnonzero(np.isin(problem.penalty.groups.labels, groups))
    if len(chosen) > 0:
        part = Problem(problem.X[:, chosen], problem.datafit, problem.penalty.restrict(groups))
        dense = np.asarray(part.X.todense() if sparse.issparse(part.X) else part.X, dtype=np.float64)
        zero = np.zeros((problem.datafit.n_samples, *problem.w_shape[1:]))
        start = coefficients_of(dense, refit(problem.datafit, dense, zero, past(end))[0])
        limit = seconds_until(end)
        full[chosen] = solve(part, GroupBCD(), w0=start, max_iter=MOST_ROUNDS, time_limit=limit, throw=False).latent
    return full
