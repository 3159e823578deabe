"""Least squares, a mean over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float, checked_flag, zeros_of
from .pointwise import BALANCE
from .samples import centred_difference, centred_target, checked_offset, checked_weights, ratio


class LeastSquares:
    """sum_i s_i (y_i - offset_i - b - z_i)^2 / 2 with s_i = sample_weight_i / sum(sample_weight), so 1/(2n) |y - z|^2.

    y: [n].  sample_weight: [n] >= 0, not all zero, default all equal.  offset: [n], default 0.
    intercept: whether the constant b is fitted, unpenalised; it is minimised out exactly, so that value, gradient and
    curvature are those of min_b.  Raises ValueError for wrong shapes, NaN, infinite or negative weights.
    """

    n_outputs: int | None = None
    smoothness_bound = 1.0

    def __init__(self, y: Any, sample_weight: Any = None, offset: Any = None, intercept: bool = False) -> None:
        self.y = as_float(y, "y", ndim=1).astype(np.float64)
        self.n_samples = len(self.y)
        self.sample_weight = checked_weights(sample_weight, self.n_samples)
        self.offset = zeros_of(self.y.shape) if offset is None else checked_offset(offset, self.y.shape)
        self.fit_intercept = checked_flag(intercept, "intercept")
        self.share = self.sample_weight / self.sample_weight.sum()
        equal = sample_weight is None or bool((self.share == self.share[0]).all())
        self.equal_share: float | None = float(self.share[0]) if equal else None
        self.centre = 0.0
        self.target = self.y if offset is None else self.y - self.offset
        if self.fit_intercept:
            self.target, centre = centred_target(self.y, self.offset, self.share)
            self.centre = float(centre)

    def intercept(self, z: np.ndarray) -> float:
        """Optimal b at z [n]: the weighted mean of y - offset - z; 0 without intercept."""
        return self.centre + float(self.share @ (self.y - self.offset - self.centre - z)) if self.fit_intercept else 0.0

    def residual(self, z: np.ndarray) -> np.ndarray:
        """y - offset - b - z [n] at the optimal b."""
        return centred_difference(self.target, z, self.share) if self.fit_intercept else self.target - z

    def value(self, z: np.ndarray) -> float:
        """Loss at z [n], minimised over b."""
        r = self.residual(z)
        return 0.5 * self._mean(r, r)

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """-share * residual [n]."""
        r = self.residual(z)
        return np.multiply(r, -self.share if self.equal_share is None else -self.equal_share, out=r)

    def _mean(self, a: np.ndarray, b: np.ndarray) -> float:
        """sum_i s_i a_i b_i for a, b [n]."""
        return float(self.share @ (a * b) if self.equal_share is None else self.equal_share * (a @ b))

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """The Hessian diag(share), less share share' with an intercept, times d [n] or [n, m]."""
        share = self.share if d.ndim == 1 else self.share[:, None]
        return share * (d - self.share @ d) if self.fit_intercept else share * d

    def hessian_weights(self, z: np.ndarray) -> np.ndarray:
        """share [n]: the Hessian is diag(share) everywhere, b held fixed."""
        return self.share

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """`curvature(d)`: the Hessian is constant."""
        return self.curvature(d)

    def conjugate(self, u: np.ndarray) -> float:
        """sup over z of <u, z> - value(z) = sum u^2 / (2 share) + <u, target>; inf if sum(u) != 0 with an intercept."""
        if self.fit_intercept and abs(u.sum()) > BALANCE * np.abs(u).sum():
            return np.inf
        return float((u * ratio(u, self.share)).sum() / 2 + u @ self.target)

    def dual(self, z: np.ndarray, scale_limit: float) -> float:
        """max over 0 <= alpha <= scale_limit of alpha <theta, target> - alpha^2 <theta, r> / 2, theta = share * r."""
        r = self.residual(z)
        linear, square = self._mean(r, self.target), self._mean(r, r)
        if square == 0:
            return 0.0
        alpha = min(max(linear / square, 0.0), scale_limit)
        return alpha * linear - 0.5 * alpha**2 * square
