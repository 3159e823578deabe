"""Which groups are zero, and which are not, at the minimisers of a group LASSO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem, checked_problem
from ..recentred import recentred
from .arithmetic import FloatArithmetic, Undecided
from .ball import INFLATION, Ball
from .duality_gap import GapBounds, is_group_lasso
from .enclosure import enclose
from .evaluation import EVALUATED, strong_convexity
from .linear_fit import LinearFit
from .losses import loss_of


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
    sqrt(2 gap trace_g) (strict dual feasibility at w*, ledger D3).  With f the forces (the gradient in X w),
    P(w) - P(w*) is at least L(eta) - L(eta*) - <f*, eta - eta*>, by optimality of w*.  For least squares that is
    |w - w*|_H^2 / 2, for every smooth loss at least sum_i |f_i - f*_i|^2 / (2 s_i c_i), s the shares of the samples and
    c bounds of their curvature, so that trace_g = sum_i s_i c_i |x_ig|^2; `Loss.traces` has c for each loss.
    Non-zero: |w_g| > sqrt(2 gap / mu), where least squares or a quadratic is shown to be strongly convex with constant
    mu.  For the other losses, which are not strongly convex in w, no group is shown to be non-zero.
    The gap is that of `duality_gap`, enclosed.  A better w decides more groups.

    problem: plain group LASSO with any loss of the package, a quadratic or `Problem.from_gram`.  w: [p] or [p, T].
    Raises ValueError for other problems.
    """
    if not is_group_lasso(checked_problem(problem).penalty):
        raise ValueError(f"{problem.penalty!r} is not a plain group LASSO, for which alone support is certified")
    w = problem.check_coefficients(w)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _of_constant_hessian(problem, w) if type(problem.datafit) in EVALUATED else _of_smooth_loss(problem, w)


def _of_constant_hessian(problem: Problem, w: np.ndarray) -> Support:
    bounds = GapBounds.at(problem, w)
    gap = max(bounds.upper, 0.0)
    zero = _shown_zero(problem, bounds.gradient_norms.upper, gap, bounds.evaluation.curvatures)
    mu = strong_convexity(bounds.evaluation) if np.isfinite(gap) else 0.0
    radius = np.sqrt(2 * gap / mu) * INFLATION if mu > 0 else np.inf
    nonzero = Ball.exact(w).group_norms(problem.penalty.groups).lower > radius
    reason = f"gap at most {gap:g}" + ("" if mu > 0 else "; strong convexity is not shown, so nothing is non-zero")
    return Support(np.flatnonzero(zero), np.flatnonzero(nonzero), np.flatnonzero(~zero & ~nonzero), reason)


def _of_smooth_loss(problem: Problem, w: np.ndarray) -> Support:
    a, near = FloatArithmetic(), recentred(problem)[0]
    nothing = np.empty(0, dtype=np.intp)
    fit = LinearFit(near, loss_of(problem.datafit, a), a)
    try:
        gap = max(enclose(problem, w, a).upper, 0.0)
        eta = fit.balanced(w)
        gradient = fit.adjoint(fit.loss.force(eta), w)
    except (Undecided, ZeroDivisionError) as why:
        return Support(nothing, nothing, np.arange(problem.penalty.groups.n_groups), f"no gap is shown: {why}")
    norms = a.upper(a.group_norms(gradient, problem.penalty.groups))
    zero = _shown_zero(problem, norms, gap, fit.loss.traces(fit.X, eta, gap))
    reason = f"gap at most {gap:g}; this loss is not strongly convex, so nothing is shown to be non-zero"
    return Support(np.flatnonzero(zero), nothing, np.flatnonzero(~zero), reason)


def _shown_zero(problem: Problem, norms: np.ndarray, gap: float, traces: np.ndarray) -> np.ndarray:
    """Which groups are zero [G], for gradients of at most these norms [G] at w, and traces of columns [p]."""
    groups, penalty = problem.penalty.groups, problem.penalty
    trace = np.bincount(groups.labels, weights=traces, minlength=groups.n_groups)
    reach = (norms + np.sqrt(2 * gap * trace) * INFLATION) * INFLATION
    strength = Ball.exact(penalty.weights).times(penalty.lam).lower
    return np.asarray(reach < strength)
