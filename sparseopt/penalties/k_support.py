"""The squared k-support norm of the group norms, and the penalty of SMART with weight decay, which it envelopes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, floating, host, is_numpy, namespace, positive_scalar, write
from ..groups import Groups
from ..k_support import norm, shares
from .group import _checked_groups


class KSupport:
    """lam * (k-support norm of the group norms)^2 = lam * min over f of sum_g |w_g|^2 / f_g, 0 <= f <= 1, sum f = k.

    Unweighted.  lam: > 0, finite.  k: integer, 1 <= k <= G; k = 1 is lam (sum_g |w_g|)^2, k = G is lam |w|^2.
    Convex; |w|^2 lam where at most k groups are active, more elsewhere; the convex envelope of `SmartDecay`.
    Source: Argyriou, Foygel and Srebro, Sparse prediction with the k-support norm (2012); conjugate: ledger B4.
    """

    convex = True
    weak_convexity = 0.0

    def __init__(self, lam: float, groups: Groups, k: int) -> None:
        self.lam = positive_scalar(lam, "lam")
        self.groups = _checked_groups(groups)
        self.k = checked_k(k, groups)

    @property
    def slope0(self) -> float:
        """0: at w = 0 the penalty is quadratic in every direction."""
        return 0.0

    def with_lam(self, lam: float) -> KSupport:
        """The same penalty at another strength."""
        return KSupport(lam, self.groups, self.k)

    def value(self, w: Array) -> Array:
        """Penalty of w [p] or [p, T]; a scalar array.  Relative error some ulp."""
        w = floating(w)
        size = norm(_norms(self.groups, w), self.k)
        return _scalar(self.lam * size * size, w)

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """argmin over w of |w - v|^2 / 2 + step * penalty(w), for v [p] or [p, T] and step >= 0.

        w_g = v_g f_g / (f_g + 2 s), s = step lam, with f_g = clip(alpha |v_g| - 2 s, 0, 1) and the alpha of sum f = k
        (f = 1 where at most k groups are not zero): the sum is piecewise linear in alpha and solved exactly.
        Error a few ulp of |v_g|.  Raises ValueError for step < 0 and an `out` of another shape or dtype.
        """
        v = floating(v)
        if not step >= 0:
            raise ValueError(f"step is {step!r}: give a number >= 0")
        norms, s = _norms(self.groups, v), float(step) * self.lam
        f = _prox_shares(norms, s, self.k)
        factors = np.divide(f, f + 2 * s, out=np.zeros_like(f), where=f > 0)
        return write(self.groups.scale(v, _like(factors, v)) + 0.0, out)

    def violation(self, w: Array, gradient: Array) -> Array:
        """Distance [G] of -gradient_g to the subdifferential at w [p] or [p, T], units of the gradient.

        Active groups: |gradient_g + 2 lam w_g / f_g|; others max(|gradient_g| - 2 lam theta, 0).
        """
        w, gradient = floating(w), floating(gradient)
        norms = _norms(self.groups, w)
        f, theta = shares(norms, self.k)
        pull = np.divide(2 * self.lam, f, out=np.zeros_like(f), where=f > 0)
        moved = _norms(self.groups, gradient + self.groups.scale(w, _like(pull, w)))
        resting = np.maximum(_norms(self.groups, gradient) - 2 * self.lam * theta, 0.0)
        return _like(np.where(norms > 0, moved, resting), w)

    def conjugate(self, c: Array) -> float:
        """sup over w of <c, w> - penalty(w) = sum of the k largest |c_g|^2 / (4 lam), for c [p] or [p, T]."""
        largest = -np.sort(-_norms(self.groups, floating(c)))[: self.k]
        return float(largest @ largest) / (4 * self.lam)

    def dual_limit(self, c: Array) -> float:
        """inf: the conjugate is finite everywhere."""
        return np.inf

    def critical_lam(self, c: Array) -> float:
        """Refused: 0 is a solution for no lam unless c = 0."""
        raise ValueError(f"{self!r} has slope 0 at 0, so 0 is never a solution: choose lam directly")

    def __repr__(self) -> str:
        return f"KSupport(lam={self.lam:g}, k={self.k}, {self.groups!r})"


class SmartDecay:
    """lam * Omega_k(w), Omega_k = inf over f of sum_g |w_g|^2 / f_g^2, 0 < f <= 1, sum f <= k: SMART with weight decay.

    Unweighted.  lam: > 0, finite.  k: integer, 1 <= k <= G.  Nonconvex, |w|^2 lam where at most k groups are active,
    and not below `companion`, the squared k-support norm, which is its convex envelope (ledger B4).  So a k-sparse
    unique minimiser of the companion's problem is the unique minimiser of this one (ledger B5).
    There is no prox: solve `problem.with_penalty(penalty.companion)`, or use MaskDescent.
    """

    convex = False
    weak_convexity = float("inf")

    def __init__(self, lam: float, groups: Groups, k: int) -> None:
        self.lam = positive_scalar(lam, "lam")
        self.groups = _checked_groups(groups)
        self.k = checked_k(k, groups)

    @property
    def companion(self) -> KSupport:
        """The squared k-support norm with the same lam and k."""
        return KSupport(self.lam, self.groups, self.k)

    def with_lam(self, lam: float) -> SmartDecay:
        """The same penalty at another strength."""
        return SmartDecay(lam, self.groups, self.k)

    def value(self, w: Array) -> Array:
        """lam (sum_{i <= m} a_(i)^2 + (sum_{i > m} a_(i)^(2/3))^3 / (k - m)^2) for w [p] or [p, T], a_(i) sorted."""
        w = floating(w)
        return _scalar(self.lam * _decay(_norms(self.groups, w), self.k), w)

    def gradient(self, w: Array) -> Array:
        """2 lam w_g / f_g^2 at w [p] or [p, T]; zero groups get 0, where the slope may be infinite."""
        w = floating(w)
        norms = _norms(self.groups, w)
        f = shares(norms ** (2 / 3), self.k)[0]
        return self.groups.scale(w, _like(np.divide(2 * self.lam, f * f, out=np.zeros_like(f), where=norms > 0), w))

    def __repr__(self) -> str:
        return f"SmartDecay(lam={self.lam:g}, k={self.k}, {self.groups!r})"


def checked_k(k: Any, groups: Groups) -> int:
    """k as an int; ValueError unless it is an integer of Python or NumPy between 1 and the number of groups."""
    if isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer) or not 1 <= k <= groups.n_groups:
        raise ValueError(f"k is {k!r}: give an integer between 1 and {groups.n_groups}, the number of groups")
    return int(k)


def _decay(norms: np.ndarray, k: int) -> float:
    """min over f of sum a_g^2 / f_g^2, 0 <= f <= 1, sum f = k, for a = norms [G]."""
    largest = float(norms.max())
    if largest == 0 or not np.isfinite(largest):
        return largest
    a = norms / largest  # the squares stay in range
    f, _ = shares(a ** (2 / 3), k)
    stretched = np.divide(a, f, out=np.zeros_like(a), where=a > 0)
    return float(stretched @ stretched) * largest * largest


def _prox_shares(norms: np.ndarray, s: float, k: int) -> np.ndarray:
    """f [G] = clip(alpha norms - 2 s, 0, 1) with sum k, or 1 at the groups above 0 where there are at most k."""
    a = norms / (norms.max() or 1.0)
    positive = a > 0  # what vanishes beside the largest has no share
    if positive.sum() <= k:
        return positive.astype(float)
    a = a[positive]
    with np.errstate(over="ignore"):
        ends = np.sort(np.concatenate([2 * s / a, (1 + 2 * s) / a]))
    low, high = 0, len(ends) - 1  # the sum is at most k at ends[low], at least k at ends[high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if np.clip(ends[middle] * a - 2 * s, 0, 1).sum() >= k else (middle, high)
    between = (ends[low] + ends[high]) / 2 * a - 2 * s
    inside, full = (between > 0) & (between < 1), between >= 1
    alpha = (k - full.sum() + 2 * s * inside.sum()) / (a[inside].sum() if inside.any() else 1.0)
    f = np.zeros(len(norms))
    f[positive] = np.where(inside, np.clip(alpha * a - 2 * s, 0.0, 1.0), full)  # exactly 0 or 1 outside the piece
    return f


def _norms(groups: Groups, w: Array) -> np.ndarray:
    return np.asarray(host(groups.norms(w)), dtype=np.float64)


def _like(values: np.ndarray, w: Array) -> Array:
    """NumPy array [G] in the library, the dtype and on the device of w."""
    xp = namespace(w)
    if is_numpy(xp):
        return values.astype(w.dtype, copy=False)
    return xp.asarray(values, dtype=w.dtype, device=getattr(w, "device", None))


def _scalar(value: float, w: Array) -> Array:
    xp = namespace(w)
    return w.dtype.type(value) if is_numpy(xp) else xp.asarray(value, dtype=w.dtype)
