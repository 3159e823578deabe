"""What the soft top-k is compared with: each with value and vector-Jacobian product, simple rather than fast."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..sets.capped_simplex import CappedSimplex
from .arguments import checked_k, checked_like, checked_rows, checked_tau


def checked_finite_rows(x: Any, k: int) -> np.ndarray:
    """x as a float array [..., n] of finite entries, n >= k."""
    array = checked_rows(x, k)
    if not np.isfinite(array).all():
        raise ValueError("x has entries that are NaN or infinite: only SoftTopK takes infinite ones")
    return array


def centred_product(v: np.ndarray, g: np.ndarray, tau: float) -> np.ndarray:
    """(v g - v (v'g) / sum v) / tau over the last axis [..., n]; zero where all v vanish."""
    total = v.sum(axis=-1, keepdims=True)
    weighted = (v * g).sum(axis=-1, keepdims=True)
    mean = np.divide(weighted, total, out=np.zeros_like(weighted), where=total > 0)
    return v * (g - mean) / tau


class _Compared:
    """Value and derivative at the last x; subclasses say what f and v are: J = (diag v - vv' / sum v) / tau."""

    def __init__(self, k: int, tau: float) -> None:
        self.k = checked_k(k)
        self.tau = checked_tau(tau)
        self._v: np.ndarray | None = None
        self._dtype = np.dtype(np.float64)

    def __call__(self, x: Any) -> np.ndarray:
        """f [..., n] of finite x [..., n]: 0 <= f <= 1, sum f = k.  Raises ValueError for other arrays."""
        rows = checked_finite_rows(x, self.k)
        self._dtype = rows.dtype
        if self.k in (0, rows.shape[-1]):
            f, self._v = np.full(rows.shape, float(self.k > 0)), np.zeros(rows.shape)
        else:
            f, self._v = self._value(rows.astype(np.float64))
        return f.astype(rows.dtype)

    def vjp(self, g: Any) -> np.ndarray:
        """J'g = (v g - v (v'g) / sum v) / tau [..., n] at the x of the last call.  Raises ValueError before one."""
        if self._v is None:
            raise ValueError("the operator has not been called: call it with x first")
        gradient = checked_like(g, self._v.shape, np.dtype(np.float64), "g")
        return self._product(self._v, gradient).astype(self._dtype)

    def _product(self, v: np.ndarray, g: np.ndarray) -> np.ndarray:
        return centred_product(v, g, self.tau)

    def _value(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(f, v) [..., n] of float64 x [..., n], 0 < k < n."""
        raise NotImplementedError


class CappedSimplexTopK(_Compared):
    """f = clip(x / tau + t, 0, 1) with sum f = k: the projection of x / tau onto the capped simplex; exact zeros and
    ones.

    It maximises <x, y> - tau |y|^2 / 2 over 0 <= y <= 1, sum y = k.  v is 1 for entries strictly between 0 and 1 and 0
    elsewhere, an element of the generalised Jacobian.  k: integer, 0 <= k <= n.  tau > 0, in units of x.
    """

    def _value(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        largest = x.max(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):
            scaled = np.maximum((x - largest) / self.tau, -1e300)
        f = np.asarray(CappedSimplex(self.k).project(scaled))
        return f, ((f > 0) & (f < 1)).astype(np.float64)


class LapSumTopK(_Compared):
    """f = F(x / tau + t), F the distribution function of the Laplace distribution, with sum f = k: exact, by sorting.

    v = F' = exp(-|x / tau + t|) / 2.  k: integer, 0 <= k <= n.  tau > 0, in units of x.
    Source: LapSum (ICML 2025).
    """

    def _value(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = x.shape[-1]
        kth = np.partition(x, n - self.k, axis=-1)[..., n - self.k, None]
        with np.errstate(over="ignore", under="ignore"):
            z = np.clip((x - kth) / self.tau, -1e300, 1e300)
            centres = np.apply_along_axis(laplace_centre, -1, z, self.k)[..., None]
            for _ in range(2):  # Newton: removes the rounding of the closed form
                f, v = laplace(z - centres)
                total = v.sum(axis=-1, keepdims=True)
                excess = f.sum(axis=-1, keepdims=True) - self.k
                centres += np.divide(excess, total, out=np.zeros_like(total), where=np.abs(excess) < total)
            return laplace(z - centres)


def laplace(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distribution function and density of the Laplace distribution at z."""
    v = 0.5 * np.exp(-np.abs(z))
    return np.where(z > 0, 1.0 - v, v), v


def laplace_centre(z: np.ndarray, k: int) -> float:
    """c with sum_i F(z_i - c) = k for z [n], 0 < k < n.

    With a = z in order, c = a_j + log y in [a_j, a_{j+1}], A = sum_{i <= j} exp(a_i - a_j), B = sum_{i > j} exp(a_j -
    a_i) the condition is B y^2 - 2 (n - j - k) y - A = 0; j is found by the values at the a_j, which decrease.
    """
    a = np.sort(z)
    n = len(a)
    log_low = np.logaddexp.accumulate(a) - a
    log_high = np.append(np.logaddexp.accumulate(-a[::-1])[::-1][1:], -np.inf) + a
    values = n - 1.0 - np.arange(n) + 0.5 * (np.exp(log_low) - np.exp(log_high))
    j = int(np.count_nonzero(values >= k)) - 1
    if j < 0:
        return float(a[0] + np.log(2.0 * (n - k)) - np.logaddexp(0.0, log_high[0]))
    rest = n - 1.0 - j - k
    if rest == 0:
        return float(a[j] + 0.5 * (log_low[j] - log_high[j]))
    root = np.sqrt(rest * rest + np.exp(log_low[j] + log_high[j]))
    return float(a[j] + (np.log(rest + root) - log_high[j] if rest > 0 else log_low[j] - np.log(root - rest)))


class StraightThroughTopK:
    """f = mask of the k largest entries (ties: lowest index), with the gradient of the identity: J'g = g, by
    definition.

    k: integer, 0 <= k <= n.  Entries may be infinite, but not NaN.
    """

    def __init__(self, k: int) -> None:
        self.k = checked_k(k)
        self._shape: tuple[int, ...] | None = None
        self._dtype = np.dtype(np.float64)

    def __call__(self, x: Any) -> np.ndarray:
        """Mask [..., n] of x [..., n], in its floating dtype.  Raises ValueError for other arrays and NaN."""
        rows = checked_rows(x, self.k)
        if np.isnan(rows).any():
            raise ValueError("x has NaN, which has no rank: drop or impute these entries, or mask them with -inf")
        self._shape, self._dtype = rows.shape, rows.dtype
        best = np.argsort(-rows, axis=-1, kind="stable")[..., : self.k]
        f = np.zeros(rows.shape, rows.dtype)
        np.put_along_axis(f, best, 1, axis=-1)
        return f

    def vjp(self, g: Any) -> np.ndarray:
        """A copy of g [..., n].  Raises ValueError before the first call."""
        if self._shape is None:
            raise ValueError("the operator has not been called: call it with x first")
        return checked_like(g, self._shape, self._dtype, "g").copy()
