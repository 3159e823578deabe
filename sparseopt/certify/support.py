"""Which groups are zero, and which are not, at the minimisers of a group LASSO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem, checked_problem
from ..recentred import recentred
from .arithmetic import FloatArithmetic, Numbers, Undecided
from .ball import INFLATION, Ball, weighted_squares
from .duality_gap import GapBounds, is_group_lasso
from .enclosure import enclose
from .evaluation import EIGEN_LIMIT, EVALUATED, block_eigenvalue, strong_convexity, weighted_gram
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
    Non-zero: |w_g| > sqrt(2 gap / mu), where the loss is shown to be strongly convex with constant mu: on the way to
    every w* for Huber, logistic and Poisson losses, which are not elsewhere (`Loss.stiffness`).  No group is shown to
    be non-zero for multinomial and Cox losses, nor beyond EIGEN_LIMIT coefficients of an output.
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
    nonzero = Ball.exact(w).group_norms(problem.penalty.groups).lower > _radius(gap, mu)
    return _split(zero, nonzero, gap, mu)


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
    groups = problem.penalty.groups
    zero = _shown_zero(problem, a.upper(a.group_norms(gradient, groups)), gap, fit.loss.traces(fit.X, eta, gap))
    mu = _convexity_on_the_way(fit, eta, gap)
    nonzero = a.lower(a.group_norms(a.number(w), groups)) > _radius(gap, mu)
    return _split(zero, nonzero, gap, mu)


def _convexity_on_the_way(fit: LinearFit, eta: Numbers, gap: float) -> float:
    """mu >= 0 with mu |w - w*|^2 <= sum_i q_i |eta_i - eta*_i|^2 <= 2 gap; any intercept is in it by centring."""
    weights, p = fit.loss.stiffness(eta, gap), fit.X.shape[1]
    if p > EIGEN_LIMIT or not (np.isfinite(weights).all() and weights.any()):
        return 0.0
    lengths = np.sqrt(weighted_squares(fit.X, weights)) * INFLATION
    return block_eigenvalue(weighted_gram(fit.X, weights, np.arange(p), fit.datafit.fit_intercept, lengths))


def _radius(gap: float, mu: float) -> float:
    return float(np.sqrt(2 * gap / mu) * INFLATION) if mu > 0 else np.inf


def _split(zero: np.ndarray, nonzero: np.ndarray, gap: float, mu: float) -> Support:
    reason = f"gap at most {gap:g}" + ("" if mu > 0 else "; strong convexity is not shown, so nothing is non-zero")
    return Support(np.flatnonzero(zero), np.flatnonzero(nonzero), np.flatnonzero(~zero & ~nonzero), reason)


def _shown_zero(problem: Problem, norms: np.ndarray, gap: float, traces: np.ndarray) -> np.ndarray:
    """Which groups are zero [G], for gradients of at most these norms [G] at w, and traces of columns [p]."""
    groups, penalty = problem.penalty.groups, problem.penalty
    trace = np.bincount(groups.labels, weights=traces, minlength=groups.n_groups)
    reach = (norms + np.sqrt(2 * gap * trace) * INFLATION) * INFLATION
    strength = Ball.exact(penalty.weights).times(penalty.lam).lower
    return np.asarray(reach < strength)
