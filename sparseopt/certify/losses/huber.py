"""Huber's loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers
from ..ball import INFLATION
from .base import LARGEST_MULTIPLE, check_domain, lower_weights, shares, traces_of

MARGIN = 1e-6
"""Samples this close (relative to delta) to the linear part, or in it, are not moved by a projection."""


class HuberLoss:
    """sum s (c r - c^2 / 2), r = y - eta, c = clip(r, -delta, delta).

    L* = sum s (v^2 / 2 + v y) for v = u / s, |v| <= delta.
    """

    outputs = None
    separate = False
    reference = False
    largest_multiple = LARGEST_MULTIPLE

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        self.rows = np.flatnonzero(datafit.sample_weight > 0)
        self.share = shares(datafit, arithmetic, self.rows)
        self.y = arithmetic.number(datafit.y[self.rows])
        self.delta = datafit.delta

    def value(self, eta: Numbers) -> Numbers:
        """sum s (c r - c^2 / 2)."""
        r = self.y - eta
        c = self._clipped(r)
        return self.arithmetic.sum(self.share * c * (r - c * 0.5))

    def force(self, eta: Numbers) -> Numbers:
        """-s c."""
        return -(self.share * self._clipped(self.y - eta))

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """s d for samples well inside the quadratic part, else 0; where there is none, s d for all."""
        return self.share * d * self._inside(eta)

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """sum s (c + v) (r - (c - v) / 2) with v = -alpha (c + d)."""
        a, r = self.arithmetic, self.y - eta
        c, multiple = self._clipped(r), self.arithmetic.number(alpha)
        moved = d is not None and self._inside(eta).astype(bool)
        v = -(c if d is None else c + d * self._inside(eta)) * multiple
        within = (a.upper(v) <= self.delta) & (a.lower(v) >= -self.delta)
        outside = (a.lower(v) > self.delta) | (a.upper(v) < -self.delta)
        check_domain((within | (~np.asarray(moved) & (0 <= alpha <= 1))).all(), outside.any())
        lost = c * (1.0 - multiple)
        lost = lost if d is None else lost - d * self._inside(eta) * multiple
        return a.limited(a.sum(self.share * lost * (r - (c - v) * 0.5)), 0.0, np.inf)

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """c = 1."""
        return traces_of(self, X, 1.0)

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """k = 1 where r and r* are in the quadratic part, |c - c*| being at most sqrt(2 gap / s), else 0."""
        a, r = self.arithmetic, self.y - eta
        moved = np.sqrt(2 * gap / a.lower(self.share)) * INFLATION
        size = np.maximum(np.abs(a.lower(r)), np.abs(a.upper(r)))
        return lower_weights(self, (size + moved) * INFLATION < self.delta)

    def _clipped(self, r: Numbers) -> Numbers:
        return self.arithmetic.limited(r, -self.delta, self.delta)

    def _inside(self, eta: Numbers) -> np.ndarray:
        """1 for samples that a projection moves, else 0 [m]; all, by rounding errors, where none is well inside."""
        r, limit = self.y - eta, self.delta * (1 - MARGIN)
        inside = (self.arithmetic.upper(r) < limit) & (self.arithmetic.lower(r) > -limit)
        return inside.astype(np.float64) if inside.any() else np.ones(len(inside))
