"""Huber's robust loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float, positive_scalar
from .logistic import DOMAIN
from .pointwise import Pointwise


class Huber(Pointwise):
    """sum_i s_i h(y_i - z_i - offset_i - b), h(r) = r^2 / 2 for |r| <= delta, else delta |r| - delta^2 / 2.

    y: [n].  delta: > 0, in units of y; large ones give least squares, small ones delta times the absolute error.
    sample_weight: [n] >= 0, default all equal; s is its share in the sum.  offset: [n], default 0.
    intercept: whether b is fitted, unpenalised and minimised out; 0 otherwise.
    Raises ValueError for wrong shapes, NaN, infinite or negative weights, delta <= 0.

    Conjugate: with v = u / s in [-delta, delta], sum s (v^2 / 2 + v y) - u'offset.  Source: Huber (1964).
    """

    smoothness_bound = 1.0

    def __init__(
        self, y: Any, delta: float = 1.0, sample_weight: Any = None, offset: Any = None, intercept: bool = False
    ) -> None:
        self.delta = positive_scalar(delta, "delta")
        super().__init__(as_float(y, "y", ndim=1).astype(np.float64), sample_weight, offset, intercept)
        if self.fit_intercept:  # eta is counted from the median of y, so that large numbers in y cost no digits
            level = float(np.median(self.y[self.share > 0]))
            self.target = self.y - level
            self.centre -= level

    def losses(self, eta: np.ndarray) -> np.ndarray:
        """h(y - eta) [n]."""
        size = np.abs(self.target - eta)
        return np.where(
            size <= self.delta, size * np.minimum(size, self.delta) / 2, self.delta * (size - self.delta / 2)
        )

    def slopes(self, eta: np.ndarray) -> np.ndarray:
        """-clip(y - eta, -delta, delta) [n]."""
        return -np.clip(self.target - eta, -self.delta, self.delta)

    def bends(self, eta: np.ndarray) -> np.ndarray:
        """1 where |y - eta| < delta, else 0 [n]."""
        return (np.abs(self.target - eta) < self.delta).astype(np.float64)

    def residual(self, z: np.ndarray) -> np.ndarray:
        """y - z - offset - b [n] at the optimal b; samples of weight 0 are not to be trusted."""
        return self.target - self.predictor(z)

    def majorising_weights(self, z: np.ndarray) -> np.ndarray:
        """h [n]: the quadratic of curvatures h that touches the loss at z, b held fixed, lies above it everywhere.

        min(1, delta / |r|) for the residual r: the weights of reweighted least squares (Huber, 1964).
        """
        size = np.abs(self.residual(z))
        return self.share * np.minimum(1.0, self.delta / np.maximum(size, self.delta))

    def conjugates(self, v: np.ndarray) -> np.ndarray:
        """v^2 / 2 + v y [n], inf for |v| > delta."""
        inside = np.abs(v) <= self.delta * (1 + DOMAIN)
        v = np.clip(v, -self.delta, self.delta)
        return np.where(inside, v * (v / 2 + self.target), np.inf)

    def bracket(self, eta: np.ndarray) -> tuple[float, float]:
        """The smallest and the largest residual y - eta."""
        residual = (self.target - eta)[self.share > 0]
        return float(residual.min()), float(residual.max())
