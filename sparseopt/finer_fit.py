"""Sums X w whose terms cancel: fits with more digits than coefficients can give them, as dual points are made of.

Where columns have a large common part, X w is small beside its terms, and a rounding error of one coefficient moves all
of it.  To the objective that is nothing, but the gradient, with columns as large again, is off by the square of their
size.  So a dual point is taken at a z next to X w, which is moved by steps that are small and lose no digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ._native.mapped import product
from .problem import Problem

SAMPLED = 8
"""First rows of X that tell whether terms cancel."""

CANCELLED = 100.0
"""Size of the terms over that of their sum from which on they are said to."""

FEW_ROWS = 200
"""Coefficients up to which looking at all costs less than finding those that are not 0."""

MOST_ROWS = 5000
"""Coefficients that are not 0 up to which it is looked at; beyond, that would cost a pass over X."""

MOST_ENTRIES = 400
"""Coefficients that are not 0 up to which their Newton system is formed."""

STEPS = 4
"""Newton steps allowed; the first one leaves rounding errors where the loss is quadratic."""


def cancels(problem: Problem, w: np.ndarray, z: np.ndarray | None = None) -> bool:
    """Whether the terms of X w cancel, for w [p] or [p, T], seen in a few rows of a dense X.

    z: X w [n] or [n, T], where it is known.  Not looked at under an intercept, since columns far from 0 are `recentred`
    then.
    """
    return bool(each_cancels(problem, w[None], None if z is None else z[None])[0])


def each_cancels(problem: Problem, w: np.ndarray, z: np.ndarray | None) -> np.ndarray:
    """`cancels` [L] for each of several w [L, p] or [L, p, T], with z [L, n] or [L, n, T], or None for one alone."""
    X = problem.X
    none = np.zeros(len(w), dtype=bool)
    if sparse.issparse(X) or problem.datafit.fit_intercept:
        return none
    if problem.n_features <= (MOST_ROWS if len(w) > 1 else FEW_ROWS):
        sample, used = X[:SAMPLED], w
        if "sizes" not in problem.kept:
            problem.kept["sizes"] = np.abs(sample.astype(np.float64))
        sizes = problem.kept["sizes"]
    else:
        rows = np.flatnonzero(w[0] if w.shape[:-1] == (1,) else w.any(axis=(0, *range(2, w.ndim))))
        if len(rows) > MOST_ROWS:
            return none
        sample, used = X[:SAMPLED, rows].astype(np.float64, copy=False), w[:, rows]
        sizes = np.abs(sample)
    with np.errstate(all="ignore"):
        sums = product(sample, used[0])[None] if z is None else z[:, :SAMPLED]
        terms = np.abs(used).swapaxes(1, -1) @ sizes.T
        largest = np.abs(sums).reshape(len(w), -1).max(axis=1)
        return terms.reshape(len(w), -1).max(axis=1) > CANCELLED * largest


def finer_fit(problem: Problem, w: np.ndarray) -> np.ndarray | None:
    """z [n] or [n, T] next to X w, w [p] or [p, T], where the gradient fits the penalty on the coefficients not 0.

    By Newton's method on the loss, in the span of their columns.  None where no terms cancel, where there are too many,
    where the slope of the penalty is not known, and where the first step does not help.
    """
    support = w != 0
    pull = _pull(problem.penalty, w)
    if pull is None or not 0 < np.count_nonzero(support) <= MOST_ENTRIES or not cancels(problem, w):
        return None
    from .solvers.support_newton import hessian_of_loss

    rows = np.flatnonzero(support if w.ndim == 1 else support.any(axis=1))
    columns, inside, pull = problem.X[:, rows].astype(np.float64, copy=False), support[rows], pull[rows]
    datafit, z, found = problem.datafit, problem.product(w), None
    with np.errstate(all="ignore"):
        gradient = np.where(inside, columns.T @ datafit.gradient(z) + pull, 0.0)
        for _ in range(STEPS):
            hessian = hessian_of_loss(datafit, columns, z)[np.ix_(inside.ravel(), inside.ravel())]
            if not np.isfinite(hessian).all() or not np.isfinite(gradient).all():
                break
            step = np.zeros(inside.shape)
            step[inside] = _solved(hessian, gradient[inside])
            moved = z - columns @ step
            left = np.where(inside, columns.T @ datafit.gradient(moved) + pull, 0.0)
            if not np.abs(left).max() < np.abs(gradient).max() / 2:
                break
            z = found = moved
            gradient = left
    return found


def finer_gap(problem: Problem, w: np.ndarray) -> float:
    """Duality gap at w [p] or [p, T] with the dual point at `finer_fit`; inf where there is none."""
    z = finer_fit(problem, w)
    if z is None:
        return np.inf
    datafit, penalty = problem.datafit, problem.penalty
    with np.errstate(all="ignore"):
        force = datafit.gradient(z)
        c = -problem.transposed_product(force)
        primal = datafit.value(problem.product(w)) + float(penalty.value(w))
        if hasattr(penalty, "conjugate"):
            return primal + datafit.conjugate(force) + penalty.conjugate(c)
        return primal - datafit.dual(z, penalty.dual_limit(c))


def _pull(penalty: Any, w: np.ndarray) -> np.ndarray | None:
    """Gradient of the penalty [p] or [p, T] where w is not 0; None where no formula is known, or a group is free."""
    strength = getattr(penalty, "strength", None)
    if strength is None or not penalty.convex or (strength + getattr(penalty, "l1", 0.0) <= 0).any():
        return None
    norms = penalty.groups.norms(w)
    slopes = np.divide(strength, norms, out=np.zeros_like(norms), where=norms > 0)
    ridge, l1 = getattr(penalty, "l2", 0.0), getattr(penalty, "l1", 0.0)
    return penalty.groups.scale(w, slopes) + ridge * w + l1 * np.sign(w)


def _solved(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """hessian^+ gradient, each entry in its own unit."""
    unit = 1 / np.sqrt(np.where(hessian.diagonal() > 0, hessian.diagonal(), 1.0))
    scaled = hessian * np.outer(unit, unit)
    if not np.isfinite(scaled).all():
        return np.zeros_like(gradient)
    return unit * (np.linalg.lstsq(scaled, unit * gradient, rcond=None)[0])
