"""The squared k-support norm a second time, with rigorous bounds: see `PenaltyTerms`, whose methods these are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..k_support import shares
from ..penalties import KSupport
from .arithmetic import Numbers
from .ball import UNIT


class KSupportTerms:
    """pen(w) = lam min sum_g |w_g|^2 / f_g over 0 <= f <= 1, sum f <= k; pen*(u) = top_k(q) / (4 lam), q = |u_g|^2.

    Any such f bounds pen(w) from above, any theta >= 0 bounds top_k(q), the sum of the k largest, by
    k theta + sum_g max(q_g - theta, 0), and any k groups bound it from below.  So f and theta are floats chosen well.
    Conjugate: ledger B4.
    """

    everywhere = True
    multiples = (1.0,)

    def __init__(self, penalty: KSupport, arithmetic: Any, w: np.ndarray) -> None:
        self.arithmetic, self.groups, self.penalty = arithmetic, penalty.groups, penalty
        self.free, self.held = np.zeros(0, dtype=int), np.zeros(w.shape, dtype=bool)

    def outside(self, w: np.ndarray) -> bool:
        """Nowhere is the penalty infinite."""
        return False

    def value(self, w: np.ndarray) -> Numbers:
        """lam |w|^2 where at most k groups are active, else between <u, w> - pen*(u) and the sum at a good f."""
        a, lam, f = self.arithmetic, self.penalty.lam, self._shares(w)
        squares = self._squares(a.number(w))
        if set(f) <= {0.0, 1.0}:
            return a.sum(squares) * a.number(lam)
        above = a.sum(squares / a.number(np.where(f > 0, f, 1.0))) * a.number(lam)
        pull = self.groups.divide(2.0 * lam * w, np.where(f > 0, f, np.inf))
        below = a.sum(a.number(pull) * a.number(w)) - self._conjugate(self._squares(a.number(pull)))
        return a.between(max(float(a.lower(below)), 0.0), float(a.upper(above)))

    def slack(self, w: np.ndarray, c: Numbers) -> Numbers:
        """pen(w) + <c, w> + pen*(-c) >= 0, from above without cancellation: as a sum over the groups of

        f |2 lam w / f + c|^2 / (4 lam) + (max(q - theta, 0) (1 - f) + max(theta - q, 0) f) / (4 lam), and of
        theta (k - sum f) / (4 lam).
        """
        a, f, q = self.arithmetic, self._shares(w), self._squares(c)
        quarter = a.number(4.0) * a.number(self.penalty.lam)
        share, theta = a.number(f), self._threshold(q)
        scale = a.number(2.0) * a.number(self.penalty.lam) / a.number(np.where(f > 0, f, 1.0))
        rows = scale[self.groups.labels]
        moved = self._squares(a.number(w) * (rows if w.ndim == 1 else rows[:, None]) + c)
        over, under = a.limited(q - theta, 0.0, np.inf), a.limited(theta - q, 0.0, np.inf)
        parts = share * moved + over * (1.0 - share) + under * share
        unused = a.limited(a.number(float(self.penalty.k)) - a.sum(share), 0.0, np.inf)
        above = (a.sum(parts) + unused * theta) / quarter
        chosen = np.argsort(-a.upper(q), kind="stable")[: self.penalty.k]
        below = self.value(w) + a.sum(c * a.number(w)) + a.sum(q[chosen]) / quarter
        upper = float(a.upper(above))
        return a.between(min(max(float(a.lower(below)), 0.0), upper), upper)

    def multiple(self, c: Numbers) -> float:
        """1: the conjugate is finite everywhere."""
        return 1.0

    def ceiling(self, c: Numbers, multiple: float) -> float:
        """inf: as `multiple`."""
        return np.inf

    def feasible(self, c: Numbers) -> bool:
        """Whether -c is in the domain of the conjugate: always."""
        return True

    def _shares(self, w: np.ndarray) -> np.ndarray:
        """Floats f [G] in [0, 1], positive where w_g is not 0, with a sum that is at most k."""
        norms = np.asarray(self.groups.norms(w), dtype=np.float64)
        if np.count_nonzero(norms) <= self.penalty.k:
            return (norms > 0).astype(float)
        f = shares(norms, self.penalty.k)[0]
        f = np.where(norms > 0, np.maximum(f, UNIT), 0.0)
        # the float sum has a relative error below G units
        return f * min(1.0, self.penalty.k / float(f.sum()) * (1 - 4 * UNIT * (len(f) + 2)))

    def _squares(self, v: Numbers) -> Numbers:
        norms = self.arithmetic.group_norms(v, self.groups)
        return norms * norms

    def _threshold(self, q: Numbers) -> float:
        """A float between the k-th and the next of q, 0 where there is none."""
        upper = -np.sort(-self.arithmetic.upper(q))
        k = self.penalty.k
        return float(upper[k - 1] / 2 + upper[k] / 2) if k < len(upper) else 0.0

    def _conjugate(self, q: Numbers) -> Numbers:
        """An upper bound of top_k(q) / (4 lam)."""
        a, theta = self.arithmetic, self._threshold(q)
        total = a.sum(a.limited(q - theta, 0.0, np.inf)) + a.number(float(self.penalty.k)) * a.number(theta)
        return total / (a.number(4.0) * a.number(self.penalty.lam))
