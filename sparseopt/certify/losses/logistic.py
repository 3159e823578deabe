"""Logistic loss with two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers
from ..ball import INFLATION
from .base import LARGEST_MULTIPLE, check_domain, lower_weights, of_live, shares, traces_of


class LogisticLoss:
    """sum s log(1 + exp(-m)), m = sign * eta; u = -s sign t, L* = sum s (t log t + (1 - t) log(1 - t)), t in [0, 1]."""

    outputs = None
    separate = False
    reference = False
    live: np.ndarray | None = None
    largest_multiple = LARGEST_MULTIPLE

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        self.rows = np.flatnonzero(datafit.sample_weight > 0)
        self.share = shares(datafit, arithmetic, self.rows)
        self.sign = np.where(datafit.y[self.rows] > 0, 1.0, -1.0)

    def value(self, eta: Numbers) -> Numbers:
        """sum s log(1 + exp(-m))."""
        return self.arithmetic.sum(self.share * self._softplus(-(eta * self.sign)))

    def force(self, eta: Numbers) -> Numbers:
        """-s sign t with t = 1 / (1 + exp(m))."""
        return -of_live(self, self.share * self._sigmoid(-(eta * self.sign)) * self.sign)

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """s t (1 - t) d."""
        return of_live(self, self.share * self._sigmoid(eta) * self._sigmoid(-eta) * d)

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """sum s KL(t' | t) for t' = alpha t (1 + (1 - t) sign d); log t = -softplus(m), log(1 - t) = -softplus(-m)."""
        a, m = self.arithmetic, eta * self.sign
        t = self._sigmoid(-m)
        factor = a.number(np.ones(t.shape)) if d is None else 1.0 + self._sigmoid(m) * d * self.sign
        moved = of_live(self, t * factor * a.number(alpha))
        inside = (a.lower(of_live(self, factor)) >= 0).all() and (a.upper(moved) <= 1).all()
        gentle = d is None or max(np.abs(a.lower(d)).max(), np.abs(a.upper(d)).max()) <= 1
        outside = (a.upper(of_live(self, factor)) < 0).any() or (a.lower(moved) > 1).any()
        check_domain(inside or (gentle and 0 <= alpha <= 1), outside)
        moved = a.limited(moved, 0.0, 1.0)
        rest = a.limited(1.0 - moved, 0.0, 1.0)
        divergence = a.xlogx(moved) + a.xlogx(rest) + moved * self._softplus(m) + rest * self._softplus(-m)
        return a.limited(a.sum(self.share * divergence), 0.0, np.inf)

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """c = min(1/4, t (1 - t) + D / 3), D = sqrt(gap / (2 s)).

        The distance of a sample is s KL(t* | t) of two probabilities.  With d = t* - t it is >= 2 s d^2 (Pinsker), so
        that |d| <= D, and >= s d^2 / (2 a (1 - a)), a = t + d / 3: x log x - x + 1 >= (x - 1)^2 / (2 (1 + (x - 1) / 3))
        (Bernstein) for both classes.
        """
        a = self.arithmetic
        bent = a.upper(self._sigmoid(eta) * self._sigmoid(-eta))
        moved = np.sqrt(gap / (2 * a.lower(self.share))) * INFLATION
        return traces_of(self, X, np.minimum(0.25, (bent + moved / 3) * INFLATION))

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """k = min of t (1 - t), which is concave, at the two ends t - D and t + D."""
        a, t = self.arithmetic, self._sigmoid(eta)
        moved = np.sqrt(gap / (2 * a.lower(self.share))) * INFLATION
        low, high = a.lower(t) - moved * INFLATION, a.upper(t) + moved * INFLATION
        return lower_weights(self, np.minimum(low * (1 - low), high * (1 - high)) - 1e-15)

    def saturated(self, eta: Numbers, size: float) -> np.ndarray:
        """Where t <= size."""
        return np.asarray(self.arithmetic.upper(self._sigmoid(-(eta * self.sign))) <= size)

    def _sigmoid(self, x: Numbers) -> Numbers:
        """1 / (1 + exp(-x)), both forms without overflow."""
        a = self.arithmetic
        positive = a.upper(x) > 0
        e = a.exp(a.where(positive, -x, x))
        return a.where(positive, 1.0, e) / (1.0 + e)

    def _softplus(self, x: Numbers) -> Numbers:
        """log(1 + exp(x))."""
        a = self.arithmetic
        positive = a.upper(x) > 0
        return a.where(positive, x, 0.0) + a.log(1.0 + a.exp(a.where(positive, -x, x)))
