"""Multinomial logistic loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers, Undecided
from .base import shares


class MultinomialLoss:
    """sum s (logsumexp(eta) - eta_y); with V = u / s + one-hot in the simplex, L* = sum s sum_k V log V.

    With an intercept only the classes that occur matter: the others are taken out by b = -infinity.
    """

    separate = False
    reference = True
    largest_multiple = np.inf

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
        """s (P - one-hot)."""
        return self.share * (self.arithmetic.exp(self._log_probabilities(eta)) - self.one_hot)

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """s P (d - P d)."""
        P = self.arithmetic.exp(self._log_probabilities(eta))
        return self.share * P * self._centred(P, d)

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """sum s KL(V | P) with V = alpha P (1 - d + P d) + (1 - alpha) one-hot, whose rows sum to 1."""
        a, multiple = self.arithmetic, self.arithmetic.number(alpha)
        log_P = self._log_probabilities(eta)
        V = a.exp(log_P)
        if d is not None:
            factor = 1.0 - self._centred(V, d)
            if not (a.lower(factor) >= 0).all():
                raise Undecided("the dual point is not shown to be in the domain of the conjugate")
            V = V * factor
        V = V * multiple + (1.0 - multiple) * self.one_hot
        if not (a.lower(V) >= 0).all():
            raise Undecided("the dual point is not shown to be in the domain of the conjugate")
        V = a.limited(V, 0.0, 1.0)
        return a.limited(a.sum(self.share * (a.xlogx(V) - V * log_P)), 0.0, np.inf)

    def _centred(self, P: Numbers, d: Numbers) -> Numbers:
        return d - self.arithmetic.sum(P * d, axis=1)[:, None]

    def _log_probabilities(self, eta: Numbers) -> Numbers:
        """eta - logsumexp(eta), with the largest entry of each row taken off first (any float would do)."""
        a = self.arithmetic
        shifted = eta - a.upper(eta).max(axis=1)[:, None]
        return shifted - a.log(a.sum(a.exp(shifted), axis=1))[:, None]
