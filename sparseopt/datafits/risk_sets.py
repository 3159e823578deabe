"""The nested risk sets of the Cox model, and stable sums over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .special import xlogy

MAX_PAIRS = 5_000_000
"""Pairs of a row and a death in it that are listed at most."""

RESCALED = 300.0
"""Logarithm of the growth of a sum after which it is rescaled; its square is a number still."""


@dataclass(frozen=True)
class RiskSets:
    """Samples ordered by the last event time at which they are at risk, and one row for each term log(sum) of the loss.

    With event times t_1 < ... < t_K, sample j is at risk at t_1, ..., t_{last_j}.  Row r belongs to the event time
    block_r, has the mass m_r (its share of the events) and the sum over the risk set in which the samples that die at
    that time count 1 - fraction_r: fraction is 0 for Breslow and l / d, l = 0, ..., d - 1, for Efron with d deaths.

    order: [q] the samples that are ever at risk, increasing in `last`.  last: [q] in 0..K-1 (zero-based).
    dies: [q] bool, an event at that time.  starts: [K], the first of each block in the order.  log_weight: [q].
    blocks: [rows].  fractions: [rows].  masses: [rows].  deaths: [K], the number of deaths.  n_samples: n.
    """

    order: np.ndarray
    last: np.ndarray
    dies: np.ndarray
    starts: np.ndarray
    log_weight: np.ndarray
    blocks: np.ndarray
    fractions: np.ndarray
    masses: np.ndarray
    deaths: np.ndarray
    n_samples: int

    @classmethod
    def of(cls, time: np.ndarray, event: np.ndarray, weight: np.ndarray, efron: bool) -> RiskSets:
        """Risk sets of the samples [n] with positive weight; masses are shares of the sum of all weights."""
        dies = event & (weight > 0)
        times = np.unique(time[dies])
        last = np.where(weight > 0, np.searchsorted(times, time, side="right") - 1, -1)
        order = np.argsort(last, kind="stable")
        order = order[last[order] >= 0]
        deaths = np.bincount(last[dies], minlength=len(times))
        mass = np.bincount(last[dies], weights=weight[dies], minlength=len(times)) / weight.sum()
        rows = deaths if efron else np.ones_like(deaths)
        blocks = np.repeat(np.arange(len(times)), rows)
        within = np.arange(len(blocks)) - np.repeat(np.cumsum(rows) - rows, rows)
        return cls(
            order=order,
            last=last[order],
            dies=dies[order],
            starts=np.searchsorted(last[order], np.arange(len(times))),
            log_weight=np.log(weight[order]),
            blocks=blocks,
            fractions=within / rows[blocks],
            masses=mass[blocks] / rows[blocks],
            deaths=deaths,
            n_samples=len(time),
        )

    def log_sums(self, eta: np.ndarray) -> np.ndarray:
        """Logarithms [rows] of the sums of weight * exp(eta) for eta [q] in the order, without overflow."""
        terms = eta + self.log_weight
        totals = _suffix(np.logaddexp.reduceat(terms, self.starts))
        dying = np.logaddexp.reduceat(np.where(self.dies, terms, -np.inf), self.starts)
        excess = np.subtract(dying, totals, out=np.zeros_like(totals), where=totals > -np.inf)  # empty sums stay empty
        part = np.exp(np.minimum(excess, 0.0))
        return totals[self.blocks] + np.log1p(-self.fractions * part[self.blocks])

    def means(self, eta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Means [rows, k] of x [q, k] in the order, weighted by weight * exp(eta) in the sums of each row.

        Sums grow from the last risk set to the first, and are rescaled where they grow much, so that none underflows.
        """
        terms = eta + self.log_weight
        largest = np.maximum.accumulate(np.maximum.reduceat(terms, self.starts)[::-1])[::-1]
        sizes = np.diff(np.append(self.starts, len(terms)))
        level = RESCALED * np.ceil(largest / RESCALED)  # of each block, decreasing
        weighted = np.exp(terms - np.repeat(level, sizes))[:, None] * x
        arriving = np.add.reduceat(weighted, self.starts)
        totals, later = np.empty_like(arriving), len(level)
        for first in np.flatnonzero(np.diff(level, prepend=np.inf))[::-1]:  # blocks of one level
            part = np.cumsum(arriving[first:later][::-1], axis=0)[::-1]
            if later < len(level):
                part += np.exp(level[later] - level[first]) * totals[later]
            totals[first:later], later = part, first
        dying = np.add.reduceat(np.where(self.dies[:, None], weighted, 0.0), self.starts)
        sums = totals[self.blocks] - self.fractions[:, None] * dying[self.blocks]
        return sums * np.exp(level[self.blocks] - self.log_sums(eta))[:, None]

    def log_hazards(self, log_rates: np.ndarray) -> np.ndarray:
        """Logarithms [q] of the sum of exp(log_rates) over all rows in which a sample counts, with its share there."""
        first = np.searchsorted(self.blocks, np.arange(len(self.starts)))
        full = np.logaddexp.reduceat(log_rates, first)
        reduced = np.logaddexp.reduceat(log_rates + np.log1p(-self.fractions), first)
        until = np.logaddexp.accumulate(full)
        before = np.concatenate([[-np.inf], until[:-1]])
        return np.where(self.dies, np.logaddexp(before, reduced)[self.last], until[self.last])

    def pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Every pair of a row and a sample that dies in it: the rows [m] and the samples [m]; None above MAX_PAIRS."""
        size = self.deaths[self.blocks]
        if size.sum() > MAX_PAIRS:
            return None
        before = (np.cumsum(self.deaths) - self.deaths)[self.blocks]
        within = np.repeat(before - (np.cumsum(size) - size), size) + np.arange(size.sum())
        return np.repeat(np.arange(len(size)), size), np.flatnonzero(self.dies)[within]

    def entropy(
        self, eta: np.ndarray, log_sums: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], alpha: float
    ) -> float:
        """sum over rows of mass * KL(alpha q + (1 - alpha) p | q), q = weight exp(eta) / sum with the row's fractions.

        p: the deaths of the row by weight.  Samples that do not die there contribute alpha log(alpha) q.
        """
        row, sample = pairs
        log_kept = np.log1p(-self.fractions)[row]
        log_q = log_kept + self.log_weight[sample] + eta[sample] - log_sums[row]
        died = np.logaddexp.reduceat(np.where(self.dies, self.log_weight, -np.inf), self.starts)[self.blocks]
        q = np.exp(log_q)
        moved = alpha * q + (1 - alpha) * np.exp(self.log_weight[sample] - died[row])
        others = np.maximum(1 - np.bincount(row, weights=q, minlength=len(log_sums)), 0.0)
        divergence = np.bincount(row, weights=xlogy(moved, moved) - moved * log_q, minlength=len(log_sums))
        return float(self.masses @ (divergence + xlogy(alpha, alpha) * others))


def _suffix(values: np.ndarray) -> np.ndarray:
    """Logarithms of the sums of exp over values[k:] for every k."""
    return np.logaddexp.accumulate(values[::-1])[::-1]
