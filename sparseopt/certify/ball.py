"""Float64 arithmetic with rigorous error radii, for arrays.

A `Ball` (mid, rad) stands for every real array within rad of mid.  Results of sums and products are enclosed with the
a-priori bound gamma_k = k u / (1 - k u), u = 2^-53, which holds for any order of summation and with fused operations
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1).  Radii are themselves computed in
floating point, so each is enlarged by INFLATION, far more than its own rounding error, and by UNDERFLOW.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..groups import Groups

UNIT = 2.0**-53
INFLATION = 1 + 1e-6
"""Covers the relative rounding error of a radius, itself a sum of fewer than 1e9 positive terms."""
UNDERFLOW = 1e-290
"""Covers products that fall below the normal range, 2^-1074 each."""

SMALLEST = 2.0**-1074
"""Covers one rounding of a result below the normal range."""

SIMILAR = 1e3
"""Columns whose largest entries differ by less are of the same size."""

LEAST_UNIT = 2.0**-500
"""Smallest power of two that columns are divided by."""


def gamma(k: int) -> float:
    """Relative error bound of a float sum or inner product of k terms."""
    return k * UNIT / (1 - k * UNIT) * INFLATION


@dataclass(frozen=True)
class Ball:
    """Every real array x with |x - mid| <= rad, elementwise.  mid, rad: [...] of one shape, rad >= 0."""

    mid: np.ndarray
    rad: np.ndarray

    @classmethod
    def exact(cls, values: Any) -> Ball:
        """Ball of radius 0 around float values [...]."""
        mid = np.asarray(values, dtype=np.float64)
        return cls(mid, np.zeros_like(mid))

    @classmethod
    def rounded(cls, mid: np.ndarray, rad: np.ndarray) -> Ball:
        """Ball around the rounded result `mid` of one operation on balls, `rad` the propagated radius."""
        return cls(mid, (rad + UNIT * np.abs(mid) + UNDERFLOW) * INFLATION)

    @property
    def lower(self) -> np.ndarray:
        """Largest float array known to be below."""
        return np.nextafter(self.mid - self.rad, -np.inf)

    @property
    def upper(self) -> np.ndarray:
        """Smallest float array known to be above."""
        return np.nextafter(self.mid + self.rad, np.inf)

    def __add__(self, other: Ball) -> Ball:
        """Sum; the rounding error is computed exactly (Knuth's two-sum), so that exact sums keep their radius."""
        mid = self.mid + other.mid
        part = mid - self.mid
        error = (self.mid - (mid - part)) + (other.mid - part)
        return Ball(mid, (self.rad + other.rad + np.abs(error)) * INFLATION)

    def __sub__(self, other: Ball) -> Ball:
        return self + -other

    def __mul__(self, other: Ball) -> Ball:
        spread = np.abs(self.mid) * other.rad + np.abs(other.mid) * self.rad + self.rad * other.rad
        return Ball.rounded(self.mid * other.mid, spread)

    def __truediv__(self, other: Ball) -> Ball:
        """Quotient by a ball that is known to be positive."""
        if not np.all(other.lower > 0):
            raise ZeroDivisionError("the divisor is not known to be positive")
        quotient = self.mid / other.mid
        return Ball.rounded(quotient, (self.rad + np.abs(quotient) * other.rad) / other.lower)

    def __neg__(self) -> Ball:
        return Ball(-self.mid, self.rad)

    def __abs__(self) -> Ball:
        return Ball(np.abs(self.mid), self.rad)

    def __getitem__(self, key: Any) -> Ball:
        return Ball(self.mid[key], self.rad[key])

    def times(self, factor: float) -> Ball:
        """Product with one exact float."""
        return self * Ball.exact(factor)

    def sqrt(self) -> Ball:
        """Square root, of a ball around numbers >= 0: |sqrt(x) - sqrt(m)| <= min(sqrt|x - m|, |x - m| / sqrt(m))."""
        mid = np.sqrt(np.maximum(self.mid, 0))
        quotient = np.divide(self.rad, mid, out=np.full_like(mid, np.inf), where=mid > 0)
        return Ball.rounded(mid, np.minimum(np.sqrt(self.rad), quotient))

    def sum(self) -> Ball:
        """Sum of all entries."""
        error = gamma(self.mid.size) * np.abs(self.mid).sum()
        return Ball.rounded(np.asarray(self.mid.sum()), self.rad.sum() + error)

    def dot(self, other: Ball) -> Ball:
        """Inner product of two balls [n]."""
        return (self * other).sum()

    def group_norms(self, groups: Groups) -> Ball:
        """Euclidean norms [G] of the groups of a ball [p], at any scale; exactly 0 for an exactly zero group."""
        starts = groups.offsets[:-1]
        largest = np.maximum.reduceat((np.abs(self.mid) + self.rad)[groups.index], starts)
        unit = power_of_two(largest)
        rows = unit[groups.labels]
        scaled = Ball(self.mid / rows, self.rad / rows)
        squares = (scaled * scaled)[groups.index]
        mid = np.add.reduceat(squares.mid, starts)
        rad = np.add.reduceat(squares.rad, starts) + gamma(int(groups.sizes.max())) * mid
        norms = Ball.rounded(mid, rad).sqrt()
        return Ball(norms.mid * unit * (largest > 0), (norms.rad * unit * INFLATION + SMALLEST) * (largest > 0))


def power_of_two(values: np.ndarray) -> np.ndarray:
    """The largest powers of two not above values [...] >= 0, 1 for 0 and for what is not finite."""
    usable = (values > 0) & np.isfinite(values)
    return np.ldexp(1.0, np.frexp(np.where(usable, values, 1.0))[1] - 1)


def length(values: np.ndarray) -> float:
    """An upper bound of the Euclidean (Frobenius) norm of a float array [...], at any scale."""
    largest = np.asarray(np.abs(values).max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return float(largest)
    unit = power_of_two(largest)
    return float(np.linalg.norm(values / unit) * (1 + gamma(values.size + 2)) * INFLATION * unit + SMALLEST)


def row_norms(X: Any) -> np.ndarray:
    """Upper bounds [n] of the Euclidean norms of the rows of X [n, p], dense or sparse."""
    n, p = X.shape
    if p == 0:
        return np.zeros(n)
    unit = float(
        power_of_two(np.asarray(abs(X).max() if sparse.issparse(X) else max(X.max(), -X.min()), dtype=np.float64))
    )
    if X.dtype == np.float32 or not 1e-100 < unit < 1e100:
        X = X.astype(np.float64) / unit
    else:
        unit = 1.0
    squares = X.power(2).sum(axis=1) if sparse.issparse(X) else np.einsum("ij,ij->i", X, X)
    return (np.sqrt(np.asarray(squares).ravel()) * (1 + gamma(p + 2)) * INFLATION + UNDERFLOW**0.5) * unit


def weighted_squares(X: Any, c: np.ndarray) -> np.ndarray:
    """Upper bounds [p] of sum_i c_i x_ij^2 for X [n, p], dense or sparse, and c [n] >= 0; inf if squares overflow."""
    squares = X.astype(np.float64).power(2).T @ c if sparse.issparse(X) else np.einsum("i,ij,ij->j", c, X, X)
    return np.asarray(squares, dtype=np.float64) * (1 + gamma(len(c) + 3)) * INFLATION + UNDERFLOW


def of_columns(columns: Any, v: Ball) -> Ball:
    """X v [n] for exact floats X [n, k] and a ball v [k]; where the columns are of very different size, each counts
    in its own unit, a power of two."""
    size = np.abs(columns).max(axis=0)
    size = np.asarray(size.todense() if sparse.issparse(size) else size, dtype=np.float64).ravel()
    if (size[size > 0].max(initial=1.0) <= SIMILAR * size[size > 0].min(initial=1.0)) or size.max() == np.inf:
        return product(columns, v, row_norms(columns))
    unit = power_of_two(np.clip(size, LEAST_UNIT, 1 / LEAST_UNIT))
    scaled = columns @ sparse.diags_array(1 / unit) if sparse.issparse(columns) else columns / unit
    return product(scaled, Ball(v.mid * unit, v.rad * unit), row_norms(scaled))


def product(X: Any, v: Ball, norms: np.ndarray) -> Ball:
    """X v [n] for an exact float X [n, p] and a ball v [p]; `norms` [n] are upper bounds of the row norms of X.

    Errors are bounded through the Cauchy-Schwarz inequality, so that no copy of X is made.
    """
    k = X.shape[1]
    return Ball.rounded(X @ v.mid, norms * (gamma(k + 1) * length(v.mid) + length(v.rad)))
