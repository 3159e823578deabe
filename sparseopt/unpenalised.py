"""The fit of the coefficients that no penalty touches, to rounding: what dual points and lambda_max start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from .datafits import Datafit
from .span_fit import fit_span

LINEAR_STEPS = 200
"""Steps allowed where each costs little and the error falls by a constant factor."""

COUPLED_LIMIT = 400
"""Unpenalised coefficients (times outputs) up to which coupled outputs are fitted by Newton's method."""


def unpenalised_columns(X: Any, penalty: Any) -> tuple[np.ndarray, np.ndarray]:
    """Indices [k] of the coefficients in unpenalised groups, and their columns of X as a dense array [n, k]."""
    groups = getattr(penalty, "unpenalised", np.empty(0, dtype=np.int64))
    if len(groups) == 0:
        return np.empty(0, dtype=np.int64), np.empty((X.shape[0], 0))
    chosen = np.flatnonzero(np.isin(penalty.groups.labels, groups))
    columns = X[:, chosen]
    return chosen, np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)


def movable(datafit: Datafit, penalty: Any, w: np.ndarray) -> np.ndarray:
    """Which of these unpenalised coefficients, w [k] or [k, T], the gradient has to vanish at, bool as w.

    All, but where w >= 0 is asked for those that are positive alone; at the others the gradient may not be negative.
    Where a constant in all outputs changes nothing (`reference`) again all: those gradients sum to 0 over the outputs.
    """
    if not getattr(penalty, "positive", False) or getattr(datafit, "reference", False):
        return np.ones(w.shape, dtype=bool)
    return np.asarray(w > 0)


def refit(
    datafit: Datafit,
    columns: np.ndarray,
    z: np.ndarray,
    late: Callable[[], bool] = lambda: False,
    moved: np.ndarray | None = None,
) -> tuple[np.ndarray, bool]:
    """z [n] or [n, T] moved within the span of the columns A [n, k] until the gradient is orthogonal to them.

    Newton's method with a trust region (`fit_span`).  With several outputs that are not coupled, too many for a Newton
    system, or of which some coefficients stay, the steps z - A (A' C A)^+ A' gradient with C the curvature bound,
    exact for quadratics, else with an error that falls by a constant factor.
    Returns the new z, and whether A' gradient vanishes up to rounding, which a singular or ill-conditioned A does not
    prevent.  late: asked before each step, ends the fit where it is.
    moved: bool [k] or [k, T], the coefficients this is about (`movable`), the others stay; default all.
    """
    if moved is not None:
        some = moved.reshape(len(moved), -1).any(axis=1)
        columns, moved = columns[:, some], moved[some]
    moved = np.ones((columns.shape[1], *z.shape[1:]), dtype=bool) if moved is None else moved
    columns = of_unit_size(columns)
    if moved.size == 0:
        return z, True
    if moved.all() and (z.ndim == 1 or (not hasattr(datafit, "hessian_weights") and moved.size <= COUPLED_LIMIT)):
        return fit_span(datafit, columns, z, late)
    rounding = 8 * np.finfo(float).eps * np.abs(columns).sum(axis=0)[:, None]
    start = np.abs(datafit.gradient(np.zeros_like(z))).max()
    for _ in range(LINEAR_STEPS):
        gradient = datafit.gradient(z)
        slope = np.where(moved, columns.T @ gradient, 0.0)
        if (np.abs(slope) <= rounding * (np.abs(gradient).max() + start)).all():
            return z, True
        if late():
            break
        z = z - columns @ _by_bound(datafit, columns, slope, moved)
    return z, False


def of_unit_size(columns: np.ndarray) -> np.ndarray:
    """The columns [n, k] times powers of two, so that their largest entries are in [1/2, 1); their span is the same."""
    return columns / sizes_of(columns)


def column_norms(X: Any) -> np.ndarray:
    """Norms [p] of the columns of X [n, p], with the precision and the range of their squares."""
    squares = X.power(2).sum(axis=0) if sparse.issparse(X) else np.einsum("ij,ij->j", X, X)
    return np.sqrt(np.asarray(squares, dtype=np.float64).ravel())


def beyond_rounding(gradient: np.ndarray, X: Any, force: np.ndarray) -> np.ndarray:
    """X' force with zeros for columns that are orthogonal to it up to rounding, as those that unpenalised ones span."""
    lengths = (column_norms(X) * len(force) * 16 * np.finfo(float).eps).reshape(-1, *[1] * (gradient.ndim - 1))
    return np.where(np.abs(gradient) <= lengths * np.linalg.norm(force, axis=0), 0.0, gradient)


def held_at_zero(X: Any, datafit: Datafit, penalty: Any, w: np.ndarray) -> np.ndarray:
    """Where a dual point is to be orthogonal to columns of unpenalised groups, bool as w [p] or [p, T].

    What is `movable`, and where w >= 0 is asked for what is at 0 with a gradient of 0 to rounding, whose sign no
    arithmetic shows: columns that the others span.
    """
    held, (chosen, columns) = np.zeros(w.shape, dtype=bool), unpenalised_columns(X, penalty)
    moved = movable(datafit, penalty, w[chosen])
    if not moved.all():
        force = datafit.gradient(refit(datafit, columns, X @ w, moved=moved)[0])
        moved = moved | (beyond_rounding(columns.T @ force, columns, force) == 0)
    held[chosen] = moved
    return held


def coefficients_of(columns: np.ndarray, z: np.ndarray, moved: np.ndarray | None = None) -> np.ndarray:
    """The shortest c [k] or [k, T], each entry in the unit of its column, with A c nearest to z [n] or [n, T].

    moved: bool as c, the entries that may differ from 0; default all.
    """
    if moved is not None and not moved.all():
        return _by_output(lambda some, t: coefficients_of(columns[:, some], z[(..., *t)]), moved)
    units = sizes_of(columns)
    return (np.linalg.lstsq(columns / units, z, rcond=None)[0].T / units).T


def sizes_of(columns: np.ndarray) -> np.ndarray:
    """The powers of two [k] above the largest entries of columns [n, k], 1 for zero columns."""
    return np.ldexp(1.0, np.clip(np.frexp(np.abs(columns).max(axis=0, initial=0.0))[1], -1022, 1023))


def _by_output(solved: Callable[..., np.ndarray], moved: np.ndarray) -> np.ndarray:
    """solved(some, t), the entries of output t (a tuple, empty without outputs) that move, as floats like `moved`."""
    result = np.zeros(moved.shape)
    for t in np.ndindex(moved.shape[1:]):
        some = moved[(slice(None), *t)]
        if some.any():
            result[(some, *t)] = solved(some, t)
    return result


def _by_bound(datafit: Datafit, columns: np.ndarray, slope: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(A' C A)^+ slope for the coefficients that move, C the curvature bound."""
    system = columns.T @ datafit.curvature(columns)
    if moved.all():
        return np.linalg.pinv(system, hermitian=True) @ slope
    return _by_output(
        lambda some, t: np.linalg.pinv(system[np.ix_(some, some)], hermitian=True) @ slope[(some, *t)], moved
    )
