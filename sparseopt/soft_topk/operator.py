"""The soft top-k operator of SMART: f_i = sigmoid(x_i / tau + t) with sum f = k (ledger B1 and B2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._native import topk as native
from .arguments import (
    FLOATS,
    checked_k,
    checked_like,
    checked_out,
    checked_rows,
    checked_tau,
    checked_threads,
)
from .certificate import ThresholdCertificate, certify_row

SINGLE_TEMPERATURES = (1e-30, 1e30)
"""Beyond these x / tau leaves the range of float32, and float32 input is computed in float64."""


class SoftTopK:
    """f = sigmoid(x / tau + t) over the last axis, with the t [...] that makes sum f = k: value, derivatives,
    certificate.

    k: integer, 0 <= k <= n.  tau: temperature > 0, in units of x.  threads: None for OpenMP's own choice; results do
    not depend on it.  f is also the maximiser of <x, y> + tau * (sum of binary entropies of y) over 0 <= y <= 1, sum y
    = k; it tends to the mask of the k largest entries as tau -> 0, at ties of the boundary to equal shares.

    A call keeps x by reference, and an array given as `out` too, for the derivatives; both are checked for changes
    there, by their sums.  It starts from the last threshold if x has the shape and dtype of the call before, so
    results of repeated calls may differ by rounding.
    Error: |sum f - k| <= 4e-15 k in float64 and 1e-7 k in float32; half types are computed in float32 and rounded.
    Source: Zheng et al., SMART (arXiv 2403.19969); Jacobian (diag v - vv' / sum v) / tau, v = f (1 - f), ledger B1.
    """

    def __init__(self, k: int, tau: float, *, threads: int | None = None) -> None:
        self.k = checked_k(k)
        self.tau = checked_tau(tau)
        self._threads = checked_threads(threads)
        self._state: Any = None
        self._work: np.dtype | None = None
        self._x: np.ndarray | None = None
        self._y: np.ndarray | None = None
        self._result_dtype: np.dtype | None = None

    def __call__(self, x: Any, out: np.ndarray | None = None) -> np.ndarray:
        """f [..., n] of x [..., n].  +inf has f = 1, -inf has f = 0, and the others share what is left of k.

        out: receives f; of the shape and floating dtype of x, not overlapping it.  Returns out, or a fresh array.
        Raises ValueError for other arrays, for NaN, for more entries +inf than k and fewer than k above -inf.
        """
        state = self._state
        if out is not None and type(x) is np.ndarray and x.dtype is self._work:
            self._x = None
            answer = state.forward(x, out, self.k, self.tau, True, self._threads)
            if answer[0] == native.DONE:
                self._x, self._y, self._result_dtype = x, out, x.dtype
                return out
            if answer[0] != native.REFUSED:
                native.check(answer, self.k)
        return self._call_checked(x, out)

    def _call_checked(self, x: Any, out: np.ndarray | None) -> np.ndarray:
        self._x = None
        rows = checked_rows(x, self.k)
        work = rows.astype(self._work_dtype(rows.dtype), copy=False)
        if self._state is None or self._work is not work.dtype:
            self._state, self._work = native.new_state(work.dtype), work.dtype
        f = np.empty(rows.shape, rows.dtype) if out is None else checked_out(out, rows, rows)
        target = f if f.dtype == work.dtype else np.empty(work.shape, work.dtype)
        native.forward(self._state, work, target, self.k, self.tau, warm=True, threads=self._threads)
        if target is not f:
            f[...] = target
        self._x, self._result_dtype = work, rows.dtype
        self._y = out if out is not None and target is out else None
        return f

    def _work_dtype(self, dtype: np.dtype) -> np.dtype:
        low, high = SINGLE_TEMPERATURES
        return dtype if dtype == FLOATS[1] else FLOATS[0] if low <= self.tau <= high else FLOATS[1]

    def vjp(self, g: Any, out: np.ndarray | None = None) -> np.ndarray:
        """J'g = (v g - v (v'g) / sum v) / tau with v = f (1 - f), at the x of the last call; g: [..., n] like x.

        Zero where all v vanish, and for infinite entries.  out: may be g.  Returns out, or a fresh array.
        Raises ValueError before the first call, for other arrays, and when x or the out of that call has been changed.
        """
        x, y = self._x, self._y
        if x is not None and out is not None and type(g) is np.ndarray and g.dtype is self._result_dtype:
            answer = self._state.backward(x, y, g, out, self.k, self.tau, self._threads)
            if answer[0] == native.DONE:
                return out
            if answer[0] != native.REFUSED:
                native.check(answer, self.k)
        return self._vjp_checked(g, out)

    def _vjp_checked(self, g: Any, out: np.ndarray | None) -> np.ndarray:
        x = self._last_x()
        dtype = self._result_dtype
        assert dtype is not None  # set together with x
        gradient = checked_like(g, x.shape, x.dtype, "g")
        if out is None:
            result = np.empty(x.shape, dtype)
        else:
            kept = [x] if self._y is None else [x, self._y]
            result = checked_out(out, np.empty(x.shape, dtype), *kept)
        target = result if result.dtype == x.dtype else np.empty(x.shape, x.dtype)
        native.backward(self._state, x, self._y, gradient, target, self.k, self.tau, self._threads)
        if target is not result:
            result[...] = target
        return result

    def jvp(self, d: Any, out: np.ndarray | None = None) -> np.ndarray:
        """J d: the derivative of f along d [..., n].  The Jacobian is symmetric, so this is `vjp`."""
        return self.vjp(d, out)

    def derivative_k(self) -> np.ndarray:
        """df/dk = v / sum v [..., n], for real k; zero where all v vanish.  Raises ValueError as `vjp` does."""
        x = self._last_x()
        self.vjp(np.zeros_like(x))  # notices changes
        pivots, shifts, _ = self._thresholds()
        v = self._between(x, pivots, shifts)
        total = v.sum(axis=-1, keepdims=True)
        return np.divide(v, total, out=np.zeros_like(v), where=total > 0).astype(self._result_dtype)

    def derivative_tau(self) -> np.ndarray:
        """df/dtau = -J x / tau [..., n]; x is taken relative to the threshold, which J does not see."""
        x = self._last_x()
        pivots, _, _ = self._thresholds()
        with np.errstate(over="ignore"):
            centred = np.where(np.isfinite(x), x.astype(np.float64) - pivots, 0.0)
            z = (centred / self.tau).astype(x.dtype)  # where this overflows, v is 0
        return -self.vjp(np.where(np.isfinite(z), z, 0))

    @property
    def threshold(self) -> np.ndarray | float:
        """t [...] with f = sigmoid(x / tau + t), float64 (a float for x [n]); inf or -inf where finite f are all 1 or
        0.

        For small tau the sum x / tau + t loses digits: `pivot` and `shift` do not.
        """
        pivots, shifts, _ = self._thresholds()
        with np.errstate(over="ignore"):
            return self._per_row(shifts - pivots / self.tau)

    @property
    def pivot(self) -> np.ndarray | float:
        """p [...] with f = sigmoid((x - p) / tau + shift)."""
        return self._per_row(self._thresholds()[0])

    @property
    def shift(self) -> np.ndarray | float:
        """s [...] with f = sigmoid((x - pivot) / tau + s)."""
        return self._per_row(self._thresholds()[1])

    def certificate(self) -> ThresholdCertificate:
        """Bounds on the distance of the last thresholds from the exact ones, by exact selection: see the class."""
        x = self._last_x()
        pivots, shifts, _ = self._thresholds()
        rows = x.reshape(-1, x.shape[-1])
        found = [
            certify_row(row, self.k, self.tau, float(pivot), float(shift))
            for row, pivot, shift in zip(rows, pivots.ravel(), shifts.ravel(), strict=True)
        ]
        h, lower, upper = (self._per_row(np.array(column)) for column in zip(*found, strict=True))
        return ThresholdCertificate(h, lower, upper)

    def _thresholds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pivots, shifts and spreads [..., 1]."""
        x = self._last_x()
        shape = (*x.shape[:-1], 1)
        pivots, shifts, spreads = native.thresholds(self._state, x.size // x.shape[-1])
        return pivots.reshape(shape), shifts.reshape(shape), spreads.reshape(shape)

    def _per_row(self, values: np.ndarray) -> np.ndarray | float:
        x = self._last_x()
        return float(values.ravel()[0]) if x.ndim == 1 else values.reshape(x.shape[:-1])

    def _between(self, x: np.ndarray, pivots: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """v = f (1 - f), float64."""
        solved = np.isfinite(shifts)
        with np.errstate(over="ignore", under="ignore"):
            z = (x.astype(np.float64) - pivots) / self.tau + np.where(solved, shifts, 0.0)
            e = np.exp(-np.abs(z))
            return np.where(solved, e / (1.0 + e) ** 2, 0.0)

    def _last_x(self) -> np.ndarray:
        if self._x is None:
            raise ValueError("the operator has not been called, or its last call failed: call it with x first")
        return self._x

    def __repr__(self) -> str:
        return f"SoftTopK({self.k}, {self.tau:g})"


def soft_topk(x: Any, k: int, tau: float) -> np.ndarray:
    """f = sigmoid(x / tau + t) over the last axis of x [..., n] with sum f = k: see `SoftTopK`, which also
    differentiates.

    k: integer, 0 <= k <= n.  tau > 0, in units of x.  Returns a fresh array [..., n] of the floating dtype of x
    (float64 for integers).  Raises ValueError for other arguments, NaN, more +inf than k, fewer than k entries above
    -inf.
    """
    return SoftTopK(k, tau)(x)
