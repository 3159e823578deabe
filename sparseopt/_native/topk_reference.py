"""Soft top-k in plain NumPy: the meaning of the compiled operator, and what runs without a compiler.

Every row is solved by exact selection and Newton on the log-balance h(s) = log sum_rest f - log sum_top (1 - f), whose
slope is between 1 and 2 (ledger B1; ties at the boundary are in the top in part).  Everything in float64.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import numpy as np

DONE, NAN, MANY_INFINITE, FEW_FINITE, CHANGED, REFUSED = 0, 1, 2, 3, 4, -1


@dataclass
class Threshold:
    """f = sigmoid((x - pivot) / tau + shift), spread = sum f (1 - f), total = sum f as stored."""

    pivot: float
    shift: float
    spread: float = 0.0
    total: float = 0.0


def plain(*arrays: np.ndarray) -> bool:
    """Whether the arrays are alike and contiguous, and the last one can be written: what the compiled state takes."""
    first = arrays[0]
    alike = all(type(a) is np.ndarray and a.shape == first.shape and a.dtype == first.dtype for a in arrays)
    return alike and first.ndim > 0 and all(a.flags.c_contiguous for a in arrays) and arrays[-1].flags.writeable


def sigmoid_pair(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sigmoid(z) and sigmoid(-z), both to a few ulp of themselves."""
    e = np.exp(-np.abs(z))
    small, large = e / (1.0 + e), 1.0 / (1.0 + e)
    return np.where(z > 0, large, small), np.where(z > 0, small, large)


def responses(x: np.ndarray, tau: float, t: Threshold) -> tuple[np.ndarray, np.ndarray]:
    """f and 1 - f of a row x [n], exactly 0 and 1 for infinite entries."""
    with np.errstate(over="ignore", under="ignore"):
        return sigmoid_pair((x - t.pivot) / tau + t.shift)


@dataclass(frozen=True)
class Selection:
    """The top k entries of finite numbers: weight [n] is 1 in the top, 0 in the rest, and between for ties at the
    boundary.

    upper, lower: the k-th and the (k+1)-th largest entry.
    """

    weight: np.ndarray
    upper: float
    lower: float

    @classmethod
    def of(cls, x: np.ndarray, k: int) -> Selection:
        """Selection among x [n], 0 < k < n."""
        part = np.partition(x, (len(x) - k - 1, len(x) - k))
        lower, upper = float(part[len(x) - k - 1]), float(part[len(x) - k])
        above, tied = x > upper, x == upper
        weight = np.where(above, 1.0, 0.0)
        weight[tied] = (k - above.sum()) / tied.sum()
        return cls(weight, upper, lower)


def log_sum(a: np.ndarray) -> float:
    """log sum exp of a [n]."""
    largest = a.max()
    with np.errstate(under="ignore"):
        return float(largest + np.log(np.sum(np.exp(a - largest))))


def log_balance(z: np.ndarray, top: Selection) -> tuple[float, float]:
    """(h, h') at logits z [n]: log of sum f over the rest minus log of sum 1 - f over the top; never underflows."""
    log_f, log_rest = -np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)
    with np.errstate(divide="ignore"):
        rest, above = log_f + np.log1p(-top.weight), log_rest + np.log(top.weight)
    total_rest, total_above = log_sum(rest), log_sum(above)
    with np.errstate(under="ignore"):
        f, g = sigmoid_pair(z)
        slope = np.exp(rest - total_rest) @ g + np.exp(above - total_above) @ f
    return total_rest - total_above, float(slope)


def solve(x: np.ndarray, k: int, tau: float) -> Threshold:
    """Threshold of finite x [n], float64, 0 < k < n.  Newton ends where it moves the shift by rounding only."""
    top = Selection.of(x, k)
    pivot = 0.5 * top.upper + 0.5 * top.lower
    with np.errstate(over="ignore"):
        z = np.clip((x - pivot) / tau, -1e300, 1e300)
    shift, last = 0.0, np.inf
    for _ in range(50):  # Newton on a function with slope between 1 and 2: quadratic after a few steps
        h, slope = log_balance(z + shift, top)
        shift -= h / min(max(slope, 1.0), 2.0)
        if abs(h) <= 1e-15 * (1.0 + abs(shift)) or (abs(h) < 1e-9 and abs(h) >= 0.1 * last):
            break
        last = abs(h)
    return Threshold(pivot, shift)


@dataclass
class State:
    """Thresholds of the rows of the last forward pass; the interface of the compiled state."""

    n: int = 0
    rows: list[Threshold] = field(default_factory=list)

    def forward(self, x: np.ndarray, y: np.ndarray, k: int, tau: float, warm: bool, threads: int) -> tuple[int, int]:
        """y = f(x) row by row: (code, row) of the first row that cannot be solved."""
        if not plain(x, y) or np.may_share_memory(x, y) or k > x.shape[-1]:
            return REFUSED, 0
        self.n = x.shape[-1]
        self.rows = []
        result = np.empty((x.size // self.n, self.n))
        for i, row in enumerate(x.reshape(-1, self.n).astype(np.float64)):
            code = self._solve_row(row, result[i], k, tau)
            if code != DONE:
                return code, i
        y[...] = result.reshape(y.shape)
        for i, row in enumerate(y.reshape(-1, self.n)):
            self.rows[i].total = float(np.sum(row, dtype=np.float64))
        return DONE, 0

    def _solve_row(self, x: np.ndarray, f: np.ndarray, k: int, tau: float) -> int:
        high, finite = x == np.inf, np.isfinite(x)
        left = k - int(high.sum())
        if np.isnan(x).any():
            return NAN
        if left < 0:
            return MANY_INFINITE
        if left > finite.sum():
            return FEW_FINITE
        if left in (0, finite.sum()):
            value = 0.0 if left == 0 else 1.0
            f[...] = np.where(finite, value, high)
            self.rows.append(Threshold(0.0, np.inf if value else -np.inf))
            return DONE
        t = solve(x[finite], left, tau)
        f[...], rest = responses(x, tau, t)
        t.spread = float(f @ rest)
        self.rows.append(t)
        return DONE

    def backward(
        self, x: np.ndarray, y: np.ndarray | None, g: np.ndarray, out: np.ndarray, k: int, tau: float, threads: int
    ) -> tuple[int, int]:
        """out = (v g - v (v'g) / sum v) / tau row by row, v = f (1 - f)."""
        same = out.ctypes.data == g.ctypes.data
        kept = [x if y is None else y, *([] if same else [g])]
        if not plain(x, g, out) or not plain(x, *kept, out):
            return REFUSED, 0
        if any(np.may_share_memory(a, out) for a in (x, *kept)):
            return REFUSED, 0
        rows, gradients = x.reshape(-1, self.n).astype(np.float64), g.reshape(-1, self.n).astype(np.float64)
        result = np.zeros_like(gradients)
        near = 1e-6 if out.dtype == np.float32 else 1e-13
        for i, t in enumerate(self.rows):
            if not np.isfinite(t.shift):
                continue
            f, rest = responses(rows[i], tau, t)
            seen = np.sum(f if y is None else y.reshape(-1, self.n)[i], dtype=np.float64)
            if not abs(seen - t.total) <= near * t.total:
                return CHANGED, i
            v = f * rest
            total = v.sum()
            if total > 0:
                result[i] = v * (gradients[i] - v @ gradients[i] / total) / tau
        out[...] = result.reshape(out.shape)
        return DONE, 0

    def thresholds(self, pivots: int, shifts: int, spreads: int) -> None:
        """Write pivots, shifts and spreads [rows] to addresses of float64 arrays."""
        values = ([t.pivot for t in self.rows], [t.shift for t in self.rows], [t.spread for t in self.rows])
        for address, numbers in zip((pivots, shifts, spreads), map(np.array, values), strict=True):
            ctypes.memmove(address, numbers.ctypes.data, numbers.nbytes)
