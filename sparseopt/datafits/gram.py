"""Least squares from its sufficient statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float, positive_scalar
from .quadratic import Quadratic

SYMMETRY = 1e-10
"""Largest relative asymmetry of XtX that counts as rounding."""

CONSISTENCY = 1e-8
"""Relative rounding error allowed in eigenvalues of XtX, in yty and in the part of Xty outside the range of XtX."""


class GramLeastSquares(Quadratic):
    """(yty - 2 Xty'w + w' XtX w) / (2n), z = w: |y - X w|^2 / (2n) without X and y.

    XtX: [p, p] symmetric (up to rounding), positive semidefinite.  Xty: [p].  yty: >= 0.  n: > 0.  means: None, or
    (mean of each column [p], mean of y) of centred statistics.
    Accuracy: w has the relative error eps * condition(XtX) of the normal equations, worse than with X itself.
    Raises ValueError for wrong shapes, NaN, and statistics of no data: an eigenvalue < 0, Xty outside the range of XtX,
    or yty below |projection of y on the columns|^2, each beyond rounding.

    constant: yty / (2n).
    """

    _accuracy = CONSISTENCY

    def __init__(self, XtX: Any, Xty: Any, yty: float, n: float, means: Any = None) -> None:
        H = as_float(XtX, "XtX", ndim=2).astype(np.float64)
        b, n = as_float(Xty, "Xty", ndim=1).astype(np.float64), positive_scalar(n, "n")
        if H.shape != (len(b), len(b)):
            raise ValueError(f"XtX has shape {H.shape} and Xty {b.shape}: XtX must be [p, p] with p = len(Xty)")
        if np.abs(H - H.T).max() > SYMMETRY * np.abs(H).max():
            raise ValueError("XtX is not symmetric: give X.T @ X")
        super().__init__((H + H.T) / (2 * n), b / n)
        self.n_rows = n
        self.constant = _nonnegative(yty, "yty") / (2 * n)
        self.means = None if means is None else _checked_means(means, len(b))
        self._check_consistent()

    def _check_consistent(self) -> None:
        kernel = self.H @ self.minimiser - self.b
        if np.abs(kernel).max() > CONSISTENCY * np.abs(self.b).max():
            raise ValueError(
                "Xty is not in the range of XtX: they are not of the same data, or the sizes of the columns differ by "
                "too much for sums of squares: then rescale the columns of X, e.g. to unit length"
            )
        explained = 0.5 * float(self.b @ self.minimiser)
        if explained > (1 + CONSISTENCY) * self.constant:
            raise ValueError(
                f"yty is {2 * self.n_rows * self.constant:g}, but XtX and Xty explain {2 * self.n_rows * explained:g}: "
                "they are not of the same data"
            )

    def restrict(self, chosen: np.ndarray) -> GramLeastSquares:
        """Least squares in the columns with these indices [k] alone."""
        n, H, b = self.n_rows, self.H[np.ix_(chosen, chosen)], self.b[chosen]
        means = None if self.means is None else (self.means[0][chosen], self.means[1])
        return GramLeastSquares(n * H, n * b, 2 * n * self.constant, n, means)

    def intercept(self, z: np.ndarray) -> float:
        """mean of y - means' z for centred statistics, else 0."""
        return 0.0 if self.means is None else float(self.means[1] - self.means[0] @ z)

    def value(self, z: np.ndarray) -> float:
        """Loss at z = w [p]; rounding error of order eps * constant."""
        return super().value(z) + self.constant

    def conjugate(self, u: np.ndarray) -> float:
        """That of the quadratic, less the constant."""
        return super().conjugate(u) - self.constant

    def dual(self, z: np.ndarray, scale_limit: float) -> float:
        """max over 0 <= alpha <= scale_limit of -conjugate(alpha gradient(z))."""
        return super().dual(z, scale_limit) + self.constant


def _nonnegative(value: Any, name: str) -> float:
    number = float(as_float([value], name, ndim=1)[0])
    if number < 0:
        raise ValueError(f"{name} is {number:g}: it is a sum of squares and cannot be negative")
    return number


def _checked_means(means: Any, p: int) -> tuple[np.ndarray, float]:
    columns, y = means
    columns = as_float(columns, "means[0]", ndim=1).astype(np.float64)
    if len(columns) != p:
        raise ValueError(f"means[0] has {len(columns)} entries, but there are {p} columns")
    return columns, float(y)
