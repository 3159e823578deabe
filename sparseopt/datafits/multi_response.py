"""Least squares with several responses at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float, checked_flag, zeros_of
from .pointwise import BALANCE
from .samples import centred_difference, centred_target, checked_offset, checked_weights, ratio


class MultiResponse:
    """sum_i s_i |Y_i - offset_i - b - z_i|^2 / 2 over rows, s = sample_weight / sum(sample_weight): 1/(2n) |Y - z|^2.

    Y: [n, T].  z = X @ w with w [p, T], so a group is the rows w[T_g, :].  sample_weight: [n] >= 0, default all equal.
    offset: [n, T], default 0.  intercept: whether b [T] is fitted, unpenalised and minimised out exactly.
    Raises ValueError for wrong shapes, NaN, infinite or negative weights.
    """

    smoothness_bound = 1.0

    def __init__(self, Y: Any, sample_weight: Any = None, offset: Any = None, intercept: bool = False) -> None:
        self.Y = as_float(Y, "Y", ndim=2).astype(np.float64, order="F")  # as z is, where the compiled loops made it
        self.n_samples, self.n_outputs = self.Y.shape
        self.sample_weight = checked_weights(sample_weight, self.n_samples)
        self.offset = zeros_of(self.Y.shape) if offset is None else checked_offset(offset, self.Y.shape)
        self.fit_intercept = checked_flag(intercept, "intercept")
        self.share = self.sample_weight / self.sample_weight.sum()
        equal = sample_weight is None or bool((self.share == self.share[0]).all())
        self.equal_share: float | None = float(self.share[0]) if equal else None
        self.centre = np.zeros(self.n_outputs)
        target = self.Y if offset is None else self.Y - self.offset
        if self.fit_intercept:
            target, self.centre = centred_target(self.Y, self.offset, self.share)
        self.target = np.asfortranarray(target)

    def intercept(self, z: np.ndarray) -> np.ndarray:
        """Optimal b [T] at z [n, T]: the weighted mean of Y - offset - z; 0 without intercept."""
        if not self.fit_intercept:
            return np.zeros(self.n_outputs)
        return self.centre + self.share @ (self.Y - self.offset - self.centre - z)

    def residual(self, z: np.ndarray) -> np.ndarray:
        """Y - offset - b - z [n, T] at the optimal b."""
        return centred_difference(self.target, z, self.share) if self.fit_intercept else self.target - z

    def value(self, z: np.ndarray) -> float:
        """Loss at z [n, T], minimised over b."""
        r = self.residual(z)
        return 0.5 * self._mean(r, r)

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """-share * residual [n, T]."""
        r = self.residual(z)
        return np.multiply(r, -self.share[:, None] if self.equal_share is None else -self.equal_share, out=r)

    def _mean(self, a: np.ndarray, b: np.ndarray) -> float:
        """sum_i s_i <a_i, b_i> for a, b [n, T]."""
        return float((self.share @ (a * b)).sum() if self.equal_share is None else self.equal_share * np.vdot(a.T, b.T))

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """The Hessian of each response, diag(share), less share share' with an intercept, times d [n] or [n, m]."""
        share = self.share if d.ndim == 1 else self.share[:, None]
        return share * (d - self.share @ d) if self.fit_intercept else share * d

    def hessian_weights(self, z: np.ndarray) -> np.ndarray:
        """share [n]: the Hessian of each response is diag(share) everywhere, b held fixed."""
        return self.share

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Hessian times d [n, T]: the one of `curvature` for each response."""
        return self.curvature(d)

    def conjugate(self, u: np.ndarray) -> float:
        """sum u^2 / (2 share) + <u, target> for u [n, T]; inf if a column does not sum to 0 with an intercept."""
        if self.fit_intercept and (np.abs(u.sum(axis=0)) > BALANCE * np.abs(u).sum(axis=0)).any():
            return np.inf
        return float((u * ratio(u, self.share)).sum() / 2 + (u * self.target).sum())

    def dual(self, z: np.ndarray, limit: float) -> float:
        """max over 0 <= alpha <= limit of -conjugate(alpha gradient(z))."""
        r = self.residual(z)
        linear, square = self._mean(r, self.target), self._mean(r, r)
        if square == 0:
            return 0.0
        alpha = min(max(linear / square, 0.0), limit)
        return alpha * linear - 0.5 * alpha**2 * square
