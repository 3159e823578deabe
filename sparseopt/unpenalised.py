"""The fit of the coefficients that no penalty touches, to rounding: what dual points and lambda_max start from."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from .datafits import Datafit

STEPS = 200
"""Steps allowed.  Least squares and quadratics need two (the second removes rounding), others converge linearly."""


def unpenalised_columns(X: Any, penalty: Any) -> tuple[np.ndarray, np.ndarray]:
    """Indices [k] of the coefficients in unpenalised groups, and their columns of X as a dense array [n, k]."""
    groups = getattr(penalty, "unpenalised", np.empty(0, dtype=np.int64))
    if len(groups) == 0:
        return np.empty(0, dtype=np.int64), np.empty((X.shape[0], 0))
    chosen = np.flatnonzero(np.isin(penalty.groups.labels, groups))
    columns = X[:, chosen]
    return chosen, np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)


def refit(datafit: Datafit, columns: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, bool]:
    """z [n] moved within the span of the columns [n, k] until the gradient is orthogonal to them.

    Steps z - A (A' C A)^+ A' gradient(z), with C the curvature bound of the datafit: exact for quadratics, else a
    descent (majorisation).  Returns the new z, and whether A' gradient vanishes up to rounding, which a singular or
    ill-conditioned A does not prevent.
    """
    inverse = np.linalg.pinv(columns.T @ datafit.curvature(columns), hermitian=True)
    size = np.abs(columns).T
    for _ in range(STEPS):
        gradient = datafit.gradient(z)
        slope = columns.T @ gradient
        # the rounding error of the gradient itself is of the order of eps times its largest value along the way
        if (np.abs(slope) <= 8 * np.finfo(float).eps * len(z) * (size @ np.abs(gradient))).all():
            return z, True
        z = z - columns @ (inverse @ slope)
    return z, False
