"""Least squares, with one response or several."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers
from .base import LARGEST_MULTIPLE, column, lower_weights, shares, traces_of


class SquaresLoss:
    """sum s |y - eta|^2 / 2, L* = sum |u|^2 / (2 s) + <u, y>."""

    separate = True
    reference = False
    largest_multiple = LARGEST_MULTIPLE

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        self.rows = np.flatnonzero(datafit.sample_weight > 0)
        self.outputs = None if datafit.n_outputs is None else np.arange(datafit.n_outputs)
        target = datafit.y if datafit.n_outputs is None else datafit.Y
        self.target = arithmetic.number(target[self.rows])
        self.share = column(shares(datafit, arithmetic, self.rows), self.target)

    def value(self, eta: Numbers) -> Numbers:
        """sum s (y - eta)^2 / 2."""
        r = self.target - eta
        return self.arithmetic.sum(self.share * r * r) * 0.5

    def force(self, eta: Numbers) -> Numbers:
        """s (eta - y)."""
        return self.share * (eta - self.target)

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """s d."""
        return column(self.share[:, 0], d) * d if len(self.share.shape) == 2 else self.share * d

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """sum s (r + v)^2 / 2 with r = y - eta, v = u / s = -alpha (r + d): the part of r that v does not give back."""
        r = self.target - eta
        alpha = self.arithmetic.number(alpha)
        miss = r * (1.0 - alpha)
        miss = miss if d is None else miss - d * alpha
        return self.arithmetic.sum(self.share * miss * miss) * 0.5

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """c = 1."""
        return traces_of(self, X, 1.0)

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """k = 1."""
        return lower_weights(self, np.ones(len(self.rows)))
