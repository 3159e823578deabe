"""Multinomial logistic loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers
from .base import LARGEST_MULTIPLE, check_domain, of_live, shares, traces_of


class MultinomialLoss:
    """sum s (logsumexp(eta) - eta_y); with V = u / s + one-hot in the simplex, L* = sum s sum_k V log V.

    With an intercept only the classes that occur matter: the others are taken out by b = -infinity.
    """

    separate = False
    reference = True
    live: np.ndarray | None = None
    largest_multiple = LARGEST_MULTIPLE

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        self.rows = np.flatnonzero(datafit.sample_weight > 0)
        labels = datafit.y[self.rows]
        self.outputs = np.unique(labels) if datafit.fit_intercept else np.arange(datafit.n_outputs)
        self.share = shares(datafit, arithmetic, self.rows)[:, None]
        self.one_hot = (labels[:, None] == self.outputs).astype(np.float64)

    def value(self, eta: Numbers) -> Numbers:
        """-sum s log P_y."""
        return -self.arithmetic.sum(self.share * self._log_probabilities(eta) * self.one_hot)

    def force(self, eta: Numbers) -> Numbers:
        """s (P - one-hot), the entry of the label from the others, which is no difference of nearly equal numbers."""
        a = self.arithmetic
        others = of_live(self, a.exp(self._log_probabilities(eta)) * (1.0 - self.one_hot))
        return self.share * (others - a.sum(others, axis=1)[:, None] * self.one_hot)

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """s P (d - P d)."""
        P = self._probabilities(self._log_probabilities(eta))
        return self.share * P * self._centred(P, d)

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """sum s KL(V | P) with V = alpha P (1 - d + P d) + (1 - alpha) one-hot, whose rows sum to 1."""
        a, multiple = self.arithmetic, self.arithmetic.number(alpha)
        log_P = self._log_probabilities(eta)
        V = self._probabilities(log_P)
        if d is not None:
            factor = 1.0 - self._centred(V, d)
            check_domain((a.lower(factor) >= 0).all(), False)
            V = V * factor
        V = V * multiple + (1.0 - multiple) * self.one_hot
        check_domain((a.lower(V) >= 0).all(), (a.upper(V) < 0).any())
        V = a.limited(V, 0.0, 1.0)
        return a.limited(a.sum(self.share * (a.xlogx(V) - V * log_P)), 0.0, np.inf)

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """c = 1/2: the distance of a sample is KL(P* | P) >= |P* - P|_1^2 / 2 (Pinsker) >= |P* - P|_2^2."""
        return traces_of(self, X, 0.5)

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """0: none is known."""
        return np.zeros(len(self.rows))

    def saturated(self, eta: Numbers, size: float) -> np.ndarray:
        """Where P <= size and the class is not that of the label."""
        P = self.arithmetic.exp(self._log_probabilities(eta))
        return np.asarray((self.arithmetic.upper(P) <= size) & (self.one_hot == 0))

    def _probabilities(self, log_P: Numbers) -> Numbers:
        """P; what is not live goes to the class of the label."""
        a = self.arithmetic
        P = a.exp(log_P)
        if self.live is None:
            return P
        rest = a.sum(a.where(self.live, 0.0, P), axis=1)
        return of_live(self, P) + rest[:, None] * self.one_hot

    def _centred(self, P: Numbers, d: Numbers) -> Numbers:
        """d - P d as sum_j P_j (d - d_j), since P_j can be nearly 1."""
        a = self.arithmetic
        columns = [a.sum(P * (d[:, k][:, None] - d), axis=1) for k in range(d.shape[1])]
        return a.stack(columns)

    def _log_probabilities(self, eta: Numbers) -> Numbers:
        """eta - logsumexp(eta), with the largest entry of each row taken off first (any float would do)."""
        a = self.arithmetic
        shifted = eta - a.upper(eta).max(axis=1)[:, None]
        return shifted - a.log(a.sum(a.exp(shifted), axis=1))[:, None]
