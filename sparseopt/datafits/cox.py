"""The Cox proportional hazards model."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float, checked_flag
from .one_dimensional import best_multiple, increasing_root
from .risk_sets import RiskSets
from .samples import checked_offset, checked_weights
from .special import xlogy

DOMAIN = 1e-10
"""Rounding allowance at the ends of the domain of the conjugate, relative to the mass of the events."""


class Cox:
    """Negative logarithm of the partial likelihood, divided by the sum of the sample weights; O(n log n).

    sum over deaths i of s_i (log sum_{j at risk} weight_j exp(eta_j) - eta_i), eta = z + offset, s = weight share.
    Samples with time_j >= time_i are at risk.  ties: "breslow" (the formula above) or "efron", where the l-th of d
    deaths at one time counts each of them only 1 - l/d in the sum, and all have their mean weight.

    time: [n].  event: [n] bool or 0/1, whether the time is that of an event (else censored).  sample_weight: [n] >= 0,
    default 1; a weight of 2 equals a duplicated sample for Breslow, not for Efron.  offset: [n], default 0.
    intercept: must be False, since a constant cancels.  Raises ValueError for that, other ties, no event, wrong shapes,
    NaN, infinite or negative weights.

    Conjugate (Breslow): sum_j v_j log(v_j / weight_j) + sum_k (N_k log N_k - A_k log A_k) - <u, offset> with
    v = u + s * event >= 0, A_k = sum_{j at risk at t_k} v_j - sum_{l > k} m_l, N_k = A_k - m_k >= 0, N_1 = 0, and m_k
    the share of the deaths at t_k.  It is the least entropy of masses that leave sample j and reach event times at
    which j is at risk, m_k at t_k; a scaling argument from the last time to the first solves that in closed form.
    Source: Cox (1972); Efron (1977); the conjugate is derived here.
    """

    n_outputs: int | None = None
    fit_intercept = False
    smoothness_bound = 0.5

    def __init__(
        self,
        time: Any,
        event: Any,
        ties: str = "breslow",
        sample_weight: Any = None,
        offset: Any = None,
        intercept: bool = False,
    ) -> None:
        if checked_flag(intercept, "intercept"):
            raise ValueError("intercept is True, but a constant cancels in the Cox model: use intercept=False")
        if ties not in ("breslow", "efron"):
            raise ValueError(f'ties is {ties!r}: allowed are "breslow" and "efron"')
        self.time = as_float(time, "time", ndim=1).astype(np.float64)
        self.n_samples = len(self.time)
        self.event = _events(event, self.n_samples)
        self.ties = ties
        self.sample_weight = checked_weights(sample_weight, self.n_samples)
        self.offset = checked_offset(offset, (self.n_samples,))
        self.share = self.sample_weight / self.sample_weight.sum()
        if not self.event[self.share > 0].any():
            raise ValueError("event has no event of positive weight: without one the model says nothing")
        self.risk_sets = RiskSets.of(self.time, self.event, self.sample_weight, ties == "efron")
        self.observed = self.share * self.event

    def intercept(self, z: np.ndarray) -> float:
        """0: there is none."""
        return 0.0

    def value(self, z: np.ndarray) -> float:
        """Loss at z [n]."""
        sets, eta = self.risk_sets, z + self.offset
        centre = eta[sets.order].max()
        sums = sets.log_sums(eta[sets.order] - centre)
        return float(sets.masses @ sums - self.observed @ (eta - centre))

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """expected - observed [n], both in shares of the total weight."""
        return self.expected(z) - self.observed

    def expected(self, z: np.ndarray) -> np.ndarray:
        """Expected events [n]: weight exp(eta) times the cumulative hazard, which sum to the share of the events."""
        sets = self.risk_sets
        eta = (z + self.offset)[sets.order]
        rates = np.log(sets.masses) - sets.log_sums(eta)
        result = np.zeros(self.n_samples)
        result[sets.order] = np.exp(eta + sets.log_weight + sets.log_hazards(rates))
        return result

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Hessian at z [n] times d [n]: the sum over the rows of mass * (diag(q) - q q') d."""
        sets = self.risk_sets
        eta = (z + self.offset)[sets.order]
        shifted = d[sets.order] - d[sets.order].min()
        sums = sets.log_sums(eta)
        with np.errstate(divide="ignore"):
            means = sets.log_sums(eta + np.log(shifted)) - sums
        log_weight = eta + sets.log_weight
        rates = np.log(sets.masses) - sums
        diagonal = np.exp(log_weight + sets.log_hazards(rates)) * shifted
        result = np.zeros(self.n_samples)
        result[sets.order] = diagonal - np.exp(log_weight + sets.log_hazards(rates + means))
        return result

    def hessian_of_columns(self, columns: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Hessian at z [n] in the coefficients of these columns [n, k], as a matrix [k, k].

        sum over the rows of mass * (E_q[x x'] - E_q[x] E_q[x]'), x less its mean under the expected events.
        """
        sets = self.risk_sets
        weights, eta = self.expected(z), (z + self.offset)[sets.order]
        x = columns - weights @ columns / (weights.sum() or 1.0)
        half = np.sqrt(weights)[:, None] * x
        means = np.sqrt(sets.masses)[:, None] * sets.means(eta, x[sets.order])
        return half.T @ half - means.T @ means

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """sum over event times of mass / 2 * (identity less mean, on the risk set) times d [n] or [n, m].

        It dominates the Hessian everywhere: diag(q) - q q' <= (I - 11'/r) / 2 on r samples (Boehning, 1992).
        """
        sets = self.risk_sets
        d = np.asarray(d, dtype=np.float64)
        columns = d[sets.order].reshape(len(sets.order), -1)
        mass = np.bincount(sets.blocks, weights=sets.masses) / 2
        at_risk = len(sets.order) - sets.starts
        totals = np.cumsum(np.add.reduceat(columns, sets.starts)[::-1], axis=0)[::-1]
        removed = np.cumsum((mass / at_risk)[:, None] * totals, axis=0)
        result = np.zeros((self.n_samples, columns.shape[1]))
        result[sets.order] = np.cumsum(mass)[sets.last][:, None] * columns - removed[sets.last]
        return result.reshape(d.shape)

    def conjugate(self, u: np.ndarray) -> float:
        """sup over z of <u, z> - value(z) for u [n]; inf outside the domain.  For Efron one root per set of ties."""
        sets, scale = self.risk_sets, float(self.observed.sum())
        v = u + self.observed
        inside = v[sets.order]
        rest = np.abs(v).sum() - np.abs(inside).sum()
        if inside.min() < -DOMAIN * scale or rest > DOMAIN * scale or abs(u.sum()) > DOMAIN * scale:
            return np.inf
        inside = np.maximum(inside, 0.0)
        entropy = float((xlogy(inside, inside) - inside * sets.log_weight).sum())
        mass = np.bincount(sets.blocks, weights=sets.masses)
        arriving = np.add.reduceat(inside, sets.starts)
        kept = np.cumsum((arriving - mass)[::-1])[::-1]
        if kept.min() < -DOMAIN * scale:
            return np.inf
        kept = np.maximum(kept, 0.0)
        total = kept + mass
        splits = xlogy(kept, kept) - xlogy(total, total)
        if self.ties == "efron":
            dying = np.add.reduceat(np.where(sets.dies, inside, 0.0), sets.starts)
            for k in np.flatnonzero(sets.deaths > 1):
                splits[k] = _efron_split(float(dying[k]), float(total[k]), float(mass[k]), int(sets.deaths[k]))
        return entropy + float(splits.sum()) - float(u @ (self.offset - self.observed @ self.offset / scale))

    def dual(self, z: np.ndarray, limit: float) -> float:
        """max over 0 <= alpha <= min(limit, 1) of -conjugate(alpha gradient(z)); for Efron of a lower bound of that.

        For Efron the entropy of alpha q + (1 - alpha) p is taken in every risk set, q the probabilities at z and p the
        deaths at that time by weight, instead of the least one: it is what certificates enclose.
        """
        gradient = self.gradient(z)
        slope = float(gradient @ z)
        sets = self.risk_sets
        pairs = sets.pairs() if self.ties == "efron" else None
        if pairs is None:

            def value(alpha: float) -> float:
                return -self.conjugate(alpha * gradient)
        else:
            at_z, eta = self.value(z), (z + self.offset)[sets.order]
            sums = sets.log_sums(eta)

            def value(alpha: float) -> float:
                return at_z - alpha * slope - sets.entropy(eta, sums, pairs, alpha)

        return value(best_multiple(value, -slope, min(limit, 1.0)))


def _events(event: Any, n: int) -> np.ndarray:
    values = as_float(event, "event", ndim=1)
    if len(values) != n:
        raise ValueError(f"event has {len(values)} entries, but time has {n}")
    if not np.isin(values, (0, 1)).all():
        i = int(np.argmax(~np.isin(values, (0, 1))))
        raise ValueError(f"event[{i}] is {values[i]:g}: allowed are 0 (censored) and 1 (event), or bool")
    return values == 1


def _efron_split(dying: float, total: float, mass: float, d: int) -> float:
    """Least entropy of splitting the masses of the dying and of the others (total - dying) at a time with d deaths.

    Row l = 0..d-1 receives mass / d, from the dying with the weight c = 1 - l/d; total - mass passes on, of which the
    dying give the fraction r that balances their mass (an increasing equation).
    """
    c = 1 - np.arange(d) / d
    passing, others = max(total - mass, 0.0), max(total - dying, 0.0)

    def balance(r: float) -> tuple[float, float]:
        below = 1 - (1 - c) * r
        return passing * r + mass * float((c * r / below).mean()) - dying, passing + mass * float((c / below**2).mean())

    r = increasing_root(balance, 0.0, 1.0)
    from_dying = mass / d * c * r / (1 - (1 - c) * r)
    from_others = np.maximum(mass / d - from_dying, 0.0)
    dying_parts = np.append(from_dying, passing * r)
    other_parts = np.append(from_others, passing * (1 - r))
    split = (xlogy(dying_parts, dying_parts) + xlogy(other_parts, other_parts)).sum()
    return float(split - xlogy(dying, dying) - xlogy(others, others) - xlogy(mass, mass / d) - from_dying @ np.log(c))
