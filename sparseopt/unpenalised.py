"""The fit of the coefficients that no penalty touches, to rounding: what dual points and lambda_max start from."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from .datafits import Datafit

STEPS = 200
"""Steps allowed.  Least squares and quadratics need two (the second removes rounding), other losses a few."""

COUPLED_LIMIT = 400
"""Unpenalised coefficients (times outputs) up to which coupled outputs are fitted by Newton's method."""

RANK = 1e-13
"""Relative size of the eigenvalues of a coupled system that are rounding errors of 0 (constants over all outputs)."""


def unpenalised_columns(X: Any, penalty: Any) -> tuple[np.ndarray, np.ndarray]:
    """Indices [k] of the coefficients in unpenalised groups, and their columns of X as a dense array [n, k]."""
    groups = getattr(penalty, "unpenalised", np.empty(0, dtype=np.int64))
    if len(groups) == 0:
        return np.empty(0, dtype=np.int64), np.empty((X.shape[0], 0))
    chosen = np.flatnonzero(np.isin(penalty.groups.labels, groups))
    columns = X[:, chosen]
    return chosen, np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)


def refit(datafit: Datafit, columns: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, bool]:
    """z [n] or [n, T] moved within the span of the columns A [n, k] until the gradient is orthogonal to them.

    Newton's method with step halving, exact for quadratics.  With several outputs that are coupled, and too many for
    a Newton system, the steps z - A (A' C A)^+ A' gradient with C the curvature bound, which converge linearly.
    Returns the new z, and whether A' gradient vanishes up to rounding, which a singular or ill-conditioned A does not
    prevent.
    """
    rounding = 8 * np.finfo(float).eps * np.abs(columns).sum(axis=0).reshape(-1, *[1] * (z.ndim - 1))
    start = np.abs(datafit.gradient(np.zeros_like(z))).max()
    for _ in range(STEPS):
        gradient = datafit.gradient(z)
        slope = columns.T @ gradient
        # the rounding error of a gradient is of the order of eps times its terms, which may cancel: hence the start
        if (np.abs(slope) <= rounding * (np.abs(gradient).max() + start)).all():
            return z, True
        move = columns @ _newton(datafit, columns, z, slope)
        z = z - _shortened(datafit, z, move) * move
    return z, False


def _newton(datafit: Datafit, columns: np.ndarray, z: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(A' H A)^+ slope, slope [k] or [k, T], with H the Hessian at z, or the curvature bound where that is too much."""
    coupled = z.ndim == 2 and not hasattr(datafit, "hessian_weights")
    if not coupled or slope.size > COUPLED_LIMIT:
        if z.ndim == 2:
            bent = datafit.curvature(columns)
        else:
            bent = np.stack([datafit.hessian(z, column) for column in columns.T], axis=1)
        return np.linalg.pinv(columns.T @ bent, hermitian=True) @ slope
    units = np.eye(slope.size).reshape(-1, *slope.shape)
    system = np.stack([(columns.T @ datafit.hessian(z, columns @ unit)).ravel() for unit in units], axis=1)
    system = (system + system.T) / 2
    return (np.linalg.pinv(system, rcond=RANK, hermitian=True) @ slope.ravel()).reshape(slope.shape)


def _shortened(datafit: Datafit, z: np.ndarray, move: np.ndarray) -> float:
    """The first of 1, 1/2, 1/4, ... at which the loss does not rise (beyond rounding)."""
    value, fraction = datafit.value(z), 1.0
    limit = value + 4 * np.finfo(float).eps * abs(value)
    while fraction > 1e-9 and not datafit.value(z - fraction * move) <= limit:
        fraction /= 2
    return fraction
