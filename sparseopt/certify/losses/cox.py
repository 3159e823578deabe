"""Partial likelihood of the Cox model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import Numbers, Undecided
from ..ball import INFLATION
from .base import shares

PAIRS = 5_000_000
"""Pairs of a term and a death in it that are summed over, at most (Efron)."""


class CoxLoss:
    """sum_r m_r log S_r - <a, eta> over the terms r, S_r = sum_j c_rj weight_j exp(eta_j), a = share * event.

    Terms and c as in `datafits.Cox`; q_r = c_r weight exp(eta) / S_r.  L*(u) is the least entropy
    sum_r m_r KL(q'_r | c_r weight) of probabilities q'_r on the terms with sum_r m_r q'_r = u + a.
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
        self.deaths = deaths
        self.efron = datafit.ties == "efron"
        terms = deaths if self.efron else np.ones_like(deaths)
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
        """L(eta) + L*(u) - <u, eta>, for Efron with an upper bound of L*: the entropy of one choice of the q'_r.

        q'_r = alpha q_r (1 - d + q_r'd) + (1 - alpha) p_r with p_r the deaths at that time by weight; for these to be
        probabilities 0 <= alpha <= 1 and a spread of d below 1 are enough.
        """
        a, spread = self.arithmetic, 0.0
        if d is not None:
            spread = float(a.upper(d).max() - a.lower(d).min()) * (1 + 1e-15)
        if not (0 <= alpha <= 1 and spread < 1):
            raise Undecided("the dual point is not shown to be in the domain of the conjugate")
        if self.efron:
            return self._divergence(eta, spread, alpha)
        return self._closed_form(eta, d, alpha)

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """The masses m_r in all, times the squared half range of a column.

        The distance is sum_r m_r KL(q*_r | q_r) >= sum_r m_r |q*_r - q_r|_1^2 / 2 (Pinsker), and the change of
        sum_r m_r q_r, of differences that sum to 0, is at most the half range times sum_r m_r |q*_r - q_r|_1.
        """
        ends = [end if isinstance(end, np.ndarray) else end.toarray() for end in (X.max(axis=0), X.min(axis=0))]
        largest, least = (np.asarray(end, dtype=np.float64).ravel() for end in ends)
        half = (largest / 2 - least / 2) * INFLATION
        return half * half * float(self.arithmetic.upper(self.arithmetic.sum(self.mass))) * INFLATION

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """0: none is known."""
        return np.zeros(len(self.rows))

    def _closed_form(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """L* = sum v log(v / weight) + sum_k (N_k log N_k - A_k log A_k), see `datafits.Cox`; Breslow only."""
        a, multiple, shifted = self.arithmetic, self.arithmetic.number(alpha), self._shifted(eta)
        force = self.force(eta) if d is None else self.force(eta) - self.hessian(eta, d)
        u = force * multiple
        v = a.limited(u + self.observed, 0.0, np.inf)
        kept = a.cumsum((a.block_sums(v, self.starts) - self.mass)[::-1])[::-1]
        kept = a.where(np.arange(len(self.starts)) > 0, a.limited(kept, 0.0, np.inf), 0.0)
        conjugate = a.sum(a.xlogx(v) - v * a.log(self.weight)) + a.sum(a.xlogx(kept) - a.xlogx(kept + self.mass))
        return a.limited(self.value(eta) + conjugate - a.sum(u * shifted), 0.0, np.inf)

    def _divergence(self, eta: Numbers, spread: float, alpha: float) -> Numbers:
        """sum_r m_r KL(q'_r | q_r), over all pairs of a term and a death in it.

        With q'' = q (1 - d + q'd) = q (1 + t), |t| <= spread, that is sum m KL(alpha q'' + (1 - alpha) p | q'')
        + sum m q' log(1 + t); the range of t is enclosed, the spread being a rounding error where it matters.
        """
        a, multiple = self.arithmetic, self.arithmetic.number(alpha)
        size = self.deaths[self.blocks]
        if size.sum() > PAIRS:
            raise Undecided(f"there are too many ties for Efron's correction (more than {PAIRS} pairs)")
        term = np.repeat(np.arange(len(size)), size)
        before = (np.cumsum(self.deaths) - self.deaths)[self.blocks]
        starts = np.cumsum(size) - size
        sample = np.flatnonzero(self.dies)[np.repeat(before - starts, size) + np.arange(len(term))]
        e, around = a.exp(self._shifted(eta)), a.number(1.0)
        if spread > 0:
            around = around + a.between(-spread, spread)
        sums = self._term_sums(self.weight * e)
        died = a.block_sums(a.where(self.dies, self.weight, 0.0), self.starts)[self.blocks]
        ratio = multiple + (1.0 - multiple) * (sums / (self.kept * died))[term] / (e[sample] * around)
        q = (self.kept / sums)[term] * self.weight[sample] * e[sample] * around
        own, moved = a.block_sums(q, starts), a.block_sums(q * a.xlogx(ratio), starts)
        entropy = a.sum(self.mass * (moved + a.xlogx(multiple) * (1.0 - own)))
        if spread > 0:
            entropy = entropy + a.sum(self.observed) * a.log(around)
        return a.limited(entropy, 0.0, np.inf)

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
