"""Parametrisations w_g = s_g v_g of the groups by masks s(m), and the regularisers that weight decay makes of them.

Each has
  equivalent(lam, groups)   the penalty of w that minimising lam * decay(v, m) over all (v, m) with this w leaves;
  start(groups, w)          factors (v, m) of w [p] or [p, T], m [G] or empty;
  weights(groups, v, m)     w;
  pull_back(groups, v, m, dw)   the derivatives (dv, dm) of a function of w with gradient dw;
  decay(groups, v, m)       the smooth part of the decay, and its derivatives (dv, dm);
  prox(m, step)             of the rest of the decay, which is rest(m);
  at(iteration)             itself, or the one for this iteration where a temperature falls.
Infima may not be attained: at a zero group some factor runs to its bound (ledger A7, B3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._array import positive_scalar, real_number
from ..groups import Groups
from ..penalties import GroupExpMask, GroupLasso, GroupPenalty, InverseSum, Power, SmartDecay, Square
from ..penalties.k_support import checked_k
from ..soft_topk import SoftTopK

Factors = tuple[np.ndarray, np.ndarray]


class Mask:
    """w_g = s_g(m) v_g with decay |v|^2 + D(m); a subclass gives `equivalent`, `values`, `values_vjp` and D."""

    first = 1.0
    """Value of m at the start."""

    def equivalent(self, lam: float, groups: Groups) -> Any:
        """The penalty of w that minimising lam * decay over all factors of w leaves."""
        raise NotImplementedError

    def values(self, m: np.ndarray) -> np.ndarray:
        """s [G] for m [G]."""
        return m

    def values_vjp(self, m: np.ndarray, ds: np.ndarray) -> np.ndarray:
        """Derivative in m [G] of a function whose derivative in s is ds [G]."""
        return ds

    def own_decay(self, m: np.ndarray) -> tuple[float, np.ndarray]:
        """The smooth part of D(m), and its gradient [G]."""
        return 0.0, np.zeros_like(m)

    def rest(self, m: np.ndarray) -> float:
        """The part of D(m) that is not smooth."""
        return 0.0

    def prox(self, m: np.ndarray, step: float) -> np.ndarray:
        """argmin over r of |r - m|^2 / 2 + step * rest(r)."""
        return m

    def at(self, iteration: int) -> Any:
        """The parametrisation in this iteration."""
        return self

    def start(self, groups: Groups, w: np.ndarray) -> Factors:
        """m at its first value, v = w / s."""
        m = np.full(groups.n_groups, self.first)
        return groups.divide(w, self.values(m)), m

    def weights(self, groups: Groups, v: np.ndarray, m: np.ndarray) -> np.ndarray:
        """s(m) v."""
        return groups.scale(v, self.values(m))

    def pull_back(self, groups: Groups, v: np.ndarray, m: np.ndarray, dw: np.ndarray) -> Factors:
        """dv_g = s_g dw_g; dm from ds_g = <v_g, dw_g>."""
        rows = (v * dw).reshape(len(v), -1).sum(axis=1)
        ds = np.bincount(groups.labels, weights=rows, minlength=groups.n_groups)
        return groups.scale(dw, self.values(m)), self.values_vjp(m, ds)

    def decay(self, groups: Groups, v: np.ndarray, m: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """|v|^2 + the smooth part of D(m), with derivatives."""
        value, dm = self.own_decay(m)
        return float(np.vdot(v, v)) + value, 2 * v, dm


@dataclass(frozen=True)
class HoffProduct(Mask):
    """s = m, decay (|v|^2 + |m|^2) / 2: the group LASSO (Hoff's identity; ledger A6)."""

    def equivalent(self, lam: float, groups: Groups) -> GroupLasso:
        """lam sum_g |w_g|, unweighted."""
        return GroupLasso(lam, groups, weights="none")

    def decay(self, groups: Groups, v: np.ndarray, m: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """(|v|^2 + |m|^2) / 2 with derivatives."""
        return float(np.vdot(v, v) + m @ m) / 2, v, m


@dataclass(frozen=True)
class ExponentialMask(Mask):
    """s = e^m, decay |v|^2 + |m|^2: the Lambert penalty (SequentialAttention++, Lemma 2.1), which never prunes."""

    first = 0.0

    def equivalent(self, lam: float, groups: Groups) -> GroupExpMask:
        """lam sum_g q(|w_g|), unweighted, q(a) = W(2 a^2)^2 / 4 + W(2 a^2) / 2."""
        return GroupExpMask(lam, groups, weights="none")

    def values(self, m: np.ndarray) -> np.ndarray:
        """e^m."""
        return np.exp(m)

    def values_vjp(self, m: np.ndarray, ds: np.ndarray) -> np.ndarray:
        """e^m ds."""
        return np.exp(m) * ds

    def own_decay(self, m: np.ndarray) -> tuple[float, np.ndarray]:
        """|m|^2."""
        return float(m @ m), 2 * m


@dataclass(frozen=True)
class L1Mask(Mask):
    """s = m, decay |v|^2 + |m|_1: the group l_{2/3} penalty (SequentialAttention++, Lemma 2.2)."""

    def equivalent(self, lam: float, groups: Groups) -> GroupPenalty:
        """lam (3/2) 2^(1/3) sum_g |w_g|^(2/3), unweighted."""
        return GroupPenalty(Power(2 / 3), lam * 1.5 * 2 ** (1 / 3), groups, weights="none")

    def rest(self, m: np.ndarray) -> float:
        """|m|_1."""
        return float(np.abs(m).sum())

    def prox(self, m: np.ndarray, step: float) -> np.ndarray:
        """The soft threshold."""
        return np.sign(m) * np.maximum(np.abs(m) - step, 0.0)


@dataclass(frozen=True)
class Powerpropagation(Mask):
    """w_g = |v_g| v_g, decay |v|^2, no mask parameters: the group LASSO (SequentialAttention++, Lemma 2.3)."""

    def equivalent(self, lam: float, groups: Groups) -> GroupLasso:
        """lam sum_g |w_g|, unweighted."""
        return GroupLasso(lam, groups, weights="none")

    def start(self, groups: Groups, w: np.ndarray) -> Factors:
        """v_g = w_g / sqrt|w_g|; ValueError for w = 0, which would never move."""
        norms = groups.norms(w)
        if not norms.any():
            raise ValueError("powerpropagation never leaves w = 0: give w0, with no group at 0 that shall be found")
        return groups.divide(w, np.sqrt(np.where(norms > 0, norms, 1.0))), np.zeros(0)

    def weights(self, groups: Groups, v: np.ndarray, m: np.ndarray) -> np.ndarray:
        """|v_g| v_g."""
        return groups.scale(v, groups.norms(v))

    def pull_back(self, groups: Groups, v: np.ndarray, m: np.ndarray, dw: np.ndarray) -> Factors:
        """dv_g = |v_g| dw_g + <v_g, dw_g> v_g / |v_g|."""
        norms = groups.norms(v)
        rows = (v * dw).reshape(len(v), -1).sum(axis=1)
        inner = np.bincount(groups.labels, weights=rows, minlength=groups.n_groups)
        along = np.divide(inner, norms, out=np.zeros_like(norms), where=norms > 0)
        return groups.scale(dw, norms) + groups.scale(v, along), m


@dataclass(frozen=True)
class SoftmaxMask(Mask):
    """s = G softmax(m), decay |v|^2 + logit_decay |m - mean(m)|^2: the squared l_{2, 2/3} norm (ledger A7).

    logit_decay: >= 0.  Above 0 the equivalence is an upper bound and nothing is pruned: logits stay bounded, so that
    the regulariser is quadratic near 0.
    """

    logit_decay: float = 0.0
    first = 0.0

    def __post_init__(self) -> None:
        if not 0 <= real_number(self.logit_decay) < np.inf:
            raise ValueError(f"logit_decay is {self.logit_decay!r}: give a finite number >= 0")

    def equivalent(self, lam: float, groups: Groups) -> InverseSum:
        """lam (sum_g |w_g|^(2/3))^3 / G^2, the infimum without logit decay."""
        return InverseSum(lam / groups.n_groups**2, groups, Power(2 / 3), outer=Square())

    def values(self, m: np.ndarray) -> np.ndarray:
        """G softmax(m)."""
        e = np.exp(m - m.max())
        return len(m) * e / e.sum()

    def values_vjp(self, m: np.ndarray, ds: np.ndarray) -> np.ndarray:
        """s ds - s mean(s ds)."""
        s = self.values(m)
        return s * (ds - float(np.mean(s * ds)))

    def own_decay(self, m: np.ndarray) -> tuple[float, np.ndarray]:
        """logit_decay |m - mean(m)|^2."""
        centred = m - m.mean()
        return self.logit_decay * float(centred @ centred), 2 * self.logit_decay * centred


@dataclass(frozen=True)
class SmartMask(Mask):
    """s = soft top-k of m at temperature tau, decay |v|^2: lam Omega_k (ledger B4), the same for every tau (B3).

    k: integer, 1 <= k < G.  tau: > 0, or a function of the iteration 0, 1, ... that gives it, e.g.
    `ExponentialTemperature` of `sparseopt.soft_topk`.
    Source: SMART (arXiv 2403.19969).
    """

    k: int
    tau: float | Callable[[int], float] = 1.0
    first = 0.0

    def __post_init__(self) -> None:
        if not callable(self.tau):
            positive_scalar(self.tau, "tau")

    def at(self, iteration: int) -> SmartMask:
        """With the temperature of this iteration."""
        return replace(self, tau=positive_scalar(self.tau(iteration), "tau")) if callable(self.tau) else self

    def equivalent(self, lam: float, groups: Groups) -> SmartDecay:
        """lam Omega_k."""
        return SmartDecay(lam, groups, self.k)

    def start(self, groups: Groups, w: np.ndarray) -> Factors:
        """Scores |w_g|, v = w / s."""
        checked_k(self.k, groups)
        if self.k == groups.n_groups:
            raise ValueError(f"k is {self.k}, the number of groups: every mask is 1 then; use k < {self.k}")
        m = groups.norms(w)
        return groups.divide(w, np.maximum(self.values(m), np.finfo(float).tiny)), m

    def values(self, m: np.ndarray) -> np.ndarray:
        """sigmoid(m / tau + t) with sum k; NaN where m is not finite, as in a diverging iteration."""
        return self._operator()(m) if np.isfinite(m).all() else np.full_like(m, np.nan)

    def values_vjp(self, m: np.ndarray, ds: np.ndarray) -> np.ndarray:
        """(diag(v) - v v' / sum v) ds / tau with v = s (1 - s)."""
        if not (np.isfinite(m).all() and np.isfinite(ds).all()):
            return np.full_like(m, np.nan)
        operator = self._operator()
        operator(m)
        return operator.vjp(ds)

    def _operator(self) -> SoftTopK:
        return SoftTopK(self.k, float(self.tau))  # type: ignore[arg-type]
