"""The strengths at which the group LASSO certainly has exactly one active group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._array import checked_seconds
from ..deadline import deadline, past
from ..problem import Problem, checked_problem
from .ball import Ball
from .duality_gap import is_group_lasso
from .evaluation import Evaluation, block_eigenvalue, evaluate, spectral_norm


@dataclass(frozen=True)
class LambdaWindow:
    """For every lam with lower < lam < upper the solution has exactly one active group, `group`.

    lower, upper: floats, upper is lambda_max to rounding.  Empty (lower == upper) where nothing could be shown, for
    which `reason` gives the cause.
    """

    lower: float
    upper: float
    group: int
    reason: str

    @property
    def empty(self) -> bool:
        """Whether no strength is in the window."""
        return not self.lower < self.upper


def lambda_window(problem: Problem, *, time_limit: float | None = None) -> LambdaWindow:
    """A rigorous window of strengths below lambda_max in which the group LASSO has exactly one active group.

    With tau_g = |gradient_g(0)| / w_g, 1 the group of the largest tau, mu_1 the smallest eigenvalue of its block of the
    Hessian and H_h1 the blocks beside it, the window is (tau_1 - d, tau_1),
    d = min_h (tau_1 - tau_h) mu_1 w_h / (mu_1 w_h + |H_h1|_2 w_1).
    Proof: inside, |u_1| <= w_1 (tau_1 - lam) / mu_1 for the minimiser u_1 over group 1 alone, so every other gradient
    stays below |gradient_h(0)| + |H_h1| |u_1| < lam w_h.  Rounding errors are accounted for.

    problem: group LASSO with LeastSquares, a quadratic or `Problem.from_gram`, of any lam.  Convexity
    beyond mu_1 > 0 is not needed.
    time_limit: seconds, after which the window is empty; a pass over X, or the norm of a block, is not interrupted.
    Raises ValueError for other penalties and limits.  Source: ledger A11, S2'; it makes the remark after Theorem 1.1 of
    SequentialAttention++ (arXiv 2402.17902) explicit.
    """
    penalty, late = checked_problem(problem).penalty, past(deadline(checked_seconds(time_limit)))
    if not is_group_lasso(penalty):
        raise ValueError(f"{penalty!r} is not the group LASSO: use problem.with_penalty(penalty.companion)")
    at_zero = evaluate(problem, np.zeros(problem.n_features))
    tau = at_zero.gradient.group_norms(penalty.groups) / Ball.exact(penalty.weights)
    group = int(np.argmax(tau.mid))
    upper = float(tau.lower[group])
    others = np.delete(np.arange(len(tau.mid)), group)
    if not upper > 0:
        return LambdaWindow(0.0, 0.0, group, "the gradient at 0 is not shown to differ from 0")
    if len(others) == 0:
        return LambdaWindow(0.0, upper, group, "there is only one group")
    if tau.upper[others].max() >= upper:
        tie = int(others[np.argmax(tau.upper[others])])
        return LambdaWindow(upper, upper, group, f"groups {group} and {tie} tie for the largest gradient")
    width = _width(problem, at_zero, group, upper - tau.upper[others], others, late)
    if not width > 0 and late():
        return LambdaWindow(upper, upper, group, "the time limit was over before the window was found: raise it")
    if not width > 0:
        return LambdaWindow(upper, upper, group, f"the columns of group {group} are not shown to be independent")
    lower = float(np.nextafter(tau.upper[group] - width, np.inf))
    return LambdaWindow(min(lower, upper), upper, group, "one group, by the explicit window")


def _width(
    problem: Problem, at_zero: Evaluation, group: int, lead: np.ndarray, others: np.ndarray, late: Callable[[], bool]
) -> float:
    """Lower bound of d, for the leads tau_1 - tau_h [G - 1] of the group over the others.

    0 if mu_1 > 0 is unshown, and where time is up.
    """
    groups, weights = problem.penalty.groups, problem.penalty.weights
    if late():
        return 0.0
    columns = at_zero.hessian_columns(groups.members(group))
    mu = block_eigenvalue(columns[groups.members(group)])
    if mu == 0:
        return 0.0
    coupling = np.full(len(others), np.inf)
    for i, h in enumerate(others):
        if late():
            return 0.0
        coupling[i] = spectral_norm(columns[groups.members(h)])
    ratio = mu * weights[others] / (mu * weights[others] + coupling * weights[group])
    return float((lead * ratio).min()) * (1 - 1e-12)
