"""Partial likelihood of the Cox model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers, Undecided
from .base import shares


class CoxLoss:
    """sum_r m_r log S_r - <a, eta> over the terms r, S_r = sum_j c_rj weight_j exp(eta_j), a = share * event.

    Terms and c as in `datafits.Cox`; q_r = c_r weight exp(eta) / S_r.  L*(u) is at most the entropy
    sum_r m_r KL(q'_r | c_r weight) of any probabilities q'_r on the terms with sum_r m_r q'_r = u + a.
    Rows are ordered by the last time at risk.
    """

    outputs = None
    separate = False
    reference = False
    largest_multiple = 1.0

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        a, weight = arithmetic, datafit.sample_weight
        self.arithmetic = a
        dies = datafit.event & (weight > 0)
        times = np.unique(datafit.time[dies])
        last = np.where(weight > 0, np.searchsorted(times, datafit.time, side="right") - 1, -1)
        order = np.argsort(last, kind="stable")
        self.rows = order[last[order] >= 0]
        self.last, self.dies = last[self.rows], dies[self.rows]
        self.starts = np.searchsorted(self.last, np.arange(len(times)))
        self.weight = a.number(weight[self.rows])
        at_all = np.flatnonzero(weight > 0)
        share = shares(datafit, a, at_all)[np.searchsorted(at_all, self.rows)]
        self.observed = a.where(self.dies, share, 0.0)
        deaths = np.bincount(self.last[self.dies], minlength=len(times))
        terms = deaths if datafit.ties == "efron" else np.ones_like(deaths)
        self.blocks = np.repeat(np.arange(len(times)), terms)
        self.first = np.cumsum(terms) - terms
        count = terms[self.blocks].astype(np.float64)
        within = (np.arange(len(self.blocks)) - self.first[self.blocks]).astype(np.float64)
        self.fraction = a.number(within) / a.number(count)
        self.kept = a.number(count - within) / a.number(count)
        self.mass = a.block_sums(self.observed, self.starts)[self.blocks] / a.number(count)

    def value(self, eta: Numbers) -> Numbers:
        """sum m_r log S_r - <a, eta>, with the largest eta taken off (the masses of both terms are equal)."""
        a = self.arithmetic
        shifted = self._shifted(eta)
        sums = self._term_sums(self.weight * a.exp(shifted))
        return a.sum(self.mass * a.log(sums)) - a.sum(self.observed * shifted)

    def force(self, eta: Numbers) -> Numbers:
        """sum_r m_r q_r - a."""
        e = self.weight * self.arithmetic.exp(self._shifted(eta))
        return e * self._hazards(self.mass / self._term_sums(e)) - self.observed

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """sum_r m_r (diag(q_r) - q_r q_r') d, with d shifted to be >= 0."""
        a = self.arithmetic
        d = d - float(a.lower(d).min())
        e = self.weight * a.exp(self._shifted(eta))
        sums = self._term_sums(e)
        rates = self.mass / sums
        means = self._term_sums(e * d) / sums
        return e * (d * self._hazards(rates) - self._hazards(rates * means))

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """Bounds for q'_r = alpha q_r (1 - d + q_r'd) + (1 - alpha) p_r, p_r the deaths at that time by weight.

        Above: the smaller of alpha d'Hd + (1 - alpha) (L(eta) - inf L), by convexity of L* and since the entropy of
        q (1 - d + q'd) relative to q is at most the variance of d; and of 2 alpha^2 d'Hd + 2 (1 - alpha)^2 sum m chi,
        since entropy is at most chi_r = chi^2(p_r | q_r) = S_r / c_r * sum p_j^2 / (weight_j exp(eta_j)) - 1.
        Below: 0.
        """
        a = self.arithmetic
        if not 0 <= alpha <= 1:
            raise Undecided("multiples of the dual point beyond 1 are not looked at for the Cox model")
        bent = 0.0
        if d is not None:
            if not a.upper(d).max() - a.lower(d).min() < 1:
                raise Undecided("the dual point is not shown to be in the domain of the conjugate")
            bent = max(float(a.upper(a.sum(d * self.hessian(eta, d)))), 0.0)
        shifted = self._shifted(eta)
        died = a.block_sums(a.where(self.dies, self.weight, 0.0), self.starts)[self.blocks]
        inverse = a.block_sums(a.where(self.dies, self.weight * a.exp(-shifted), 0.0), self.starts)[self.blocks]
        infimum = a.sum(self.mass * a.log(self.kept * died))
        sums = self._term_sums(self.weight * a.exp(shifted))
        chi = sums * inverse / (self.kept * died * died) - 1.0
        rest, multiple = 1.0 - a.number(alpha), a.number(alpha)
        chord = multiple * bent + rest * (self.value(eta) - infimum)
        square = multiple * multiple * (2.0 * bent) + rest * rest * a.sum(self.mass * chi) * 2.0
        above = np.fmin(float(a.upper(chord)), float(a.upper(square)))
        return a.between(0.0, float(max(above, 0.0)))

    def _shifted(self, eta: Numbers) -> Numbers:
        return eta - float(self.arithmetic.upper(eta).max())

    def _term_sums(self, e: Numbers) -> Numbers:
        """sum_j c_rj e_j for every term, e >= 0."""
        a = self.arithmetic
        totals = a.cumsum(a.block_sums(e, self.starts)[::-1])[::-1]
        dying = a.block_sums(a.where(self.dies, e, 0.0), self.starts)
        others = a.block_sums(a.where(self.dies, 0.0, e), self.starts)
        times = np.arange(len(self.starts))
        later = a.where(times < times[-1], totals[np.minimum(times + 1, times[-1])], 0.0)
        return (later + others)[self.blocks] + self.kept * dying[self.blocks]

    def _hazards(self, rates: Numbers) -> Numbers:
        """sum over the terms in which sample j counts of c_rj rate_r."""
        a = self.arithmetic
        full = a.cumsum(a.block_sums(rates, self.first))
        reduced = a.block_sums(rates * self.kept, self.first)
        before = a.where(self.last > 0, full[np.maximum(self.last - 1, 0)], 0.0)
        return a.where(self.dies, before + reduced[self.last], full[self.last])
