"""Least squares, a mean over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float


class LeastSquares:
    """sum_i s_i (y_i - offset_i - b - z_i)^2 / 2 with s_i = sample_weight_i / sum(sample_weight), so 1/(2n) |y - z|^2.

    y: [n].  sample_weight: [n] >= 0, not all zero, default all equal.  offset: [n], default 0.
    intercept: whether the constant b is fitted, unpenalised; it is minimised out exactly, so that value, gradient and
    curvature are those of min_b.  Raises ValueError for wrong shapes, NaN, infinite or negative weights.
    """

    def __init__(self, y: Any, sample_weight: Any = None, offset: Any = None, intercept: bool = False) -> None:
        self.y = as_float(y, "y", ndim=1).astype(np.float64)
        self.n_samples = len(self.y)
        self.sample_weight = _sample_weight(sample_weight, self.n_samples)
        self.offset = _vector(offset, "offset", self.n_samples)
        self.fit_intercept = bool(intercept)
        self.share = self.sample_weight / self.sample_weight.sum()
        self.centre = 0.0
        self.target = self.y - self.offset
        if self.fit_intercept:  # centred at once, twice for the last digits: a large mean costs no accuracy later
            self.centre = float(self.share @ self.target)
            self.target = self.target - self.centre
            self.target = self.target - self.share @ self.target

    def intercept(self, z: np.ndarray) -> float:
        """Optimal b at z [n]: the weighted mean of y - offset - z; 0 without intercept."""
        return self.centre + float(self.share @ (self.y - self.offset - self.centre - z)) if self.fit_intercept else 0.0

    def residual(self, z: np.ndarray) -> np.ndarray:
        """y - offset - b - z [n] at the optimal b."""
        r = self.target - z
        return r - self.share @ r if self.fit_intercept else r

    def value(self, z: np.ndarray) -> float:
        """Loss at z [n], minimised over b."""
        r = self.residual(z)
        return 0.5 * float(self.share @ (r * r))

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """-share * residual [n]."""
        return -self.share * self.residual(z)

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """The Hessian diag(share), less share share' with an intercept, times d [n] or [n, m]."""
        share = self.share if d.ndim == 1 else self.share[:, None]
        return share * (d - self.share @ d) if self.fit_intercept else share * d

    def dual(self, z: np.ndarray, scale_limit: float) -> float:
        """max over |alpha| <= scale_limit of alpha <theta, target> - alpha^2 sum(share r^2) / 2, theta = share * r."""
        r = self.residual(z)
        linear, square = float(self.share @ (r * self.target)), float(self.share @ (r * r))
        if square == 0:
            return 0.0
        alpha = min(max(linear / square, -scale_limit), scale_limit)
        return alpha * linear - 0.5 * alpha**2 * square


def _vector(values: Any, name: str, n: int) -> np.ndarray:
    if values is None:
        return np.zeros(n)
    array = as_float(values, name, ndim=1).astype(np.float64)
    if len(array) != n:
        raise ValueError(f"{name} has {len(array)} entries, but there are {n} samples")
    return array


def _sample_weight(values: Any, n: int) -> np.ndarray:
    if values is None:
        return np.ones(n)
    array = _vector(values, "sample_weight", n)
    if (array < 0).any():
        i = int(np.argmax(array < 0))
        raise ValueError(f"sample_weight[{i}] is {array[i]}: weights must not be negative")
    with np.errstate(over="ignore"):
        total = array.sum()
    if not 0 < total < np.inf:
        raise ValueError(f"sample_weight sums to {total}: the sum must be positive and finite")
    return array
