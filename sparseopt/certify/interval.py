"""Float64 arrays with rigorous lower and upper bounds, for formulas with logarithms and exponentials.

Unlike a `Ball`, an interval knows signs: products of numbers >= 0 stay >= 0, also where they underflow.  Sums of two
numbers, products, quotients and square roots are rounded correctly by IEEE 754, so the neighbouring float bounds them;
longer sums are bounded by gamma_k (see `ball`); exp and log of the C library and of NumPy are assumed to be within
2 ulp (glibc documents 1, NumPy's vectorised versions at most 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .ball import SMALLEST, UNIT, Ball, gamma

LIBRARY = 8 * UNIT
"""Relative bound of the error of exp and log, 2 ulp of the result (4 UNIT), and of the products made with it."""


class Interval:
    """Every real array between lo and hi, elementwise.  lo, hi: [...] float64 of one shape."""

    __slots__ = ("hi", "lo")
    __array_ufunc__ = None  # array * interval is left to the interval

    def __init__(self, lo: Any, hi: Any) -> None:
        self.lo = np.asarray(lo, dtype=np.float64)
        self.hi = np.asarray(hi, dtype=np.float64)

    @classmethod
    def of(cls, values: Any) -> Interval:
        """An interval as it is; numbers and arrays of floats exactly."""
        return values if isinstance(values, Interval) else cls(values, values)

    @classmethod
    def from_ball(cls, ball: Ball) -> Interval:
        """The bounds of a ball."""
        exact = ball.rad == 0
        return cls(np.where(exact, ball.mid, ball.lower), np.where(exact, ball.mid, ball.upper))

    def to_ball(self) -> Ball:
        """A ball around the interval."""
        mid = self.lo / 2 + self.hi / 2
        mid = np.where(np.isfinite(mid), mid, 0.0)
        rad = np.maximum(self.hi - mid, mid - self.lo)
        return Ball(mid, np.where(rad > 0, np.nextafter(rad, np.inf), 0.0))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the arrays."""
        return self.lo.shape

    def __getitem__(self, key: Any) -> Interval:
        return Interval(self.lo[key], self.hi[key])

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __add__(self, other: Any) -> Interval:
        other = Interval.of(other)
        return Interval(_add(self.lo, other.lo, -np.inf), _add(self.hi, other.hi, np.inf))

    def __sub__(self, other: Any) -> Interval:
        return self + -Interval.of(other)

    def __rsub__(self, other: Any) -> Interval:
        return Interval.of(other) + -self

    def __mul__(self, other: Any) -> Interval:
        other = Interval.of(other)
        ends = [_finite_product(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        lo = np.nextafter(np.minimum.reduce(ends), -np.inf)
        hi = np.nextafter(np.maximum.reduce(ends), np.inf)
        return _with_signs(self, other, lo, hi)

    def __truediv__(self, other: Any) -> Interval:
        """Quotient by a positive interval; ZeroDivisionError where it is not known to be positive."""
        other = Interval.of(other)
        if not (other.lo > 0).all():
            raise ZeroDivisionError("a divisor is not known to be positive")
        lo = np.nextafter(self.lo / np.where(self.lo >= 0, other.hi, other.lo), -np.inf)
        hi = np.nextafter(self.hi / np.where(self.hi >= 0, other.lo, other.hi), np.inf)
        return _with_signs(self, other, lo, hi)

    __radd__ = __add__
    __rmul__ = __mul__

    def increasing(self, function: Callable[[np.ndarray], np.ndarray], slack: float) -> Interval:
        """An increasing function whose float values have a relative error of at most slack."""
        lo, hi = function(self.lo), function(self.hi)
        return Interval(lo - np.abs(lo) * slack - SMALLEST, hi + np.abs(hi) * slack + SMALLEST)

    def exp(self) -> Interval:
        """Exponential, >= 0, and 1 exactly at 0."""
        result = self.increasing(np.exp, LIBRARY)
        lo = np.where(np.isnan(result.lo), np.finfo(float).max, np.maximum(result.lo, 0.0))
        return Interval(np.where(self.lo == 0, 1.0, lo), np.where(self.hi == 0, 1.0, result.hi))

    def log(self) -> Interval:
        """Logarithm of numbers >= 0, and 0 exactly at 1."""
        result = Interval(np.maximum(self.lo, 0.0), self.hi).increasing(np.log, LIBRARY)
        lo = np.where(np.isnan(result.lo), -np.inf, result.lo)
        return Interval(np.where(self.lo == 1, 0.0, lo), np.where(self.hi == 1, 0.0, result.hi))

    def sqrt(self) -> Interval:
        """Square root of numbers >= 0."""
        result = Interval(np.maximum(self.lo, 0.0), self.hi).increasing(np.sqrt, 2 * UNIT)
        return Interval(np.maximum(result.lo, 0.0), result.hi)

    def summed(self, add: Callable[[np.ndarray], np.ndarray], terms: int) -> Interval:
        """Sums of at most `terms` entries each, by a function that adds in any order."""
        error = gamma(terms) if terms > 1 else 0.0
        lo, hi = (add(end) for end in (self.lo, self.hi))
        below, above = (error * add(np.abs(end)) for end in (self.lo, self.hi))
        lo = np.where(below == 0, lo, np.nextafter(lo - below, -np.inf))
        hi = np.where(above == 0, hi, np.nextafter(hi + above, np.inf))
        return Interval(np.where(np.isnan(lo), -np.inf, lo), np.where(np.isnan(hi), np.inf, hi))


def _add(a: np.ndarray, b: np.ndarray, towards: float) -> np.ndarray:
    """a + b rounded in one direction, exact sums kept (Knuth's two-sum gives the sign of the rounding error)."""
    total = a + b
    part = total - a
    error = (a - (total - part)) + (b - part)
    kept = error >= 0 if towards < 0 else error <= 0
    total = np.where(kept, total, np.nextafter(total, towards))
    return np.where(np.isnan(total), towards, total)


def _finite_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a * b with 0 * inf = 0: an infinite bound stands for numbers that are finite."""
    result = a * b
    return np.where((a == 0) | (b == 0), 0.0, result)


def _with_signs(a: Interval, b: Interval, lo: np.ndarray, hi: np.ndarray) -> Interval:
    """Bounds of a product (quotient), not across 0 where the signs are known, and exactly 0 for an exact 0."""
    zero = ((a.lo == 0) & (a.hi == 0)) | ((b.lo == 0) & (b.hi == 0))
    same = ((a.lo >= 0) & (b.lo >= 0)) | ((a.hi <= 0) & (b.hi <= 0))
    opposite = ((a.lo >= 0) & (b.hi <= 0)) | ((a.hi <= 0) & (b.lo >= 0))
    lo = np.where(zero, 0.0, np.where(same, np.maximum(lo, 0.0), lo))
    hi = np.where(zero, 0.0, np.where(opposite, np.minimum(hi, 0.0), hi))
    return Interval(lo, hi)
