"""Poisson loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers
from ..ball import INFLATION
from .base import LARGEST_MULTIPLE, check_domain, lower_weights, of_live, shares, traces_of


class PoissonLoss:
    """sum s (exp(eta) - y eta); with m = y + u / s >= 0, L* = sum s (m log m - m)."""

    outputs = None
    separate = False
    reference = False
    live: np.ndarray | None = None
    largest_multiple = LARGEST_MULTIPLE

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        self.rows = np.flatnonzero(datafit.sample_weight > 0)
        self.share = shares(datafit, arithmetic, self.rows)
        self.y = arithmetic.number(datafit.y[self.rows])

    def value(self, eta: Numbers) -> Numbers:
        """sum s (exp(eta) - y eta)."""
        return self.arithmetic.sum(self.share * (self.arithmetic.exp(eta) - self.y * eta))

    def force(self, eta: Numbers) -> Numbers:
        """s (exp(eta) - y)."""
        return of_live(self, self.share * (self.arithmetic.exp(eta) - self.y))

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """s exp(eta) d."""
        return of_live(self, self.share * self.arithmetic.exp(eta) * d)

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """sum s (m' log m' - m' eta - m' + m) with m = exp(eta), m' = alpha m (1 - d) + (1 - alpha) y."""
        a = self.arithmetic
        mean, multiple = a.exp(eta), a.number(alpha)
        forced = of_live(self, mean if d is None else mean * (1.0 - d))
        moved = forced * multiple + self.y * (1.0 - multiple)
        check_domain((a.lower(moved) >= 0).all(), (a.upper(moved) < 0).any())
        terms = a.xlogx(moved) - moved * eta + mean - moved
        return a.limited(a.sum(self.share * terms), 0.0, np.inf)

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """c = m + D / 3 with m = exp(eta), D = q + sqrt(q^2 + 2 gap m / s), q = gap / (3 s).

        The distance of a sample is s (m* log(m* / m) - m* + m) >= s d^2 / (2 (m + d / 3)) for d = m* - m (Bernstein),
        which bounds d by D.
        """
        a = self.arithmetic
        mean, share = a.upper(a.exp(eta)), a.lower(self.share)
        q = gap / (3 * share)
        moved = (q + np.sqrt(q * q + 2 * gap * mean / share)) * INFLATION
        return traces_of(self, X, (mean + moved / 3) * INFLATION)

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """k = m - sqrt(2 gap m / s), since m - m* is at most that: for d < 0 the distance is at least s d^2 / (2 m)."""
        a = self.arithmetic
        mean = a.exp(eta)
        moved = np.sqrt(2 * gap * a.upper(mean) / a.lower(self.share)) * INFLATION
        return lower_weights(self, a.lower(mean) - moved * INFLATION)

    def saturated(self, eta: Numbers, size: float) -> np.ndarray:
        """Where y = 0 and exp(eta) <= size."""
        a = self.arithmetic
        return np.asarray((a.upper(self.y) == 0) & (a.upper(a.exp(eta)) <= size))
