"""Rational numbers, or enclosures between two of them where a square root was taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

ROOT_BITS = 200
"""Square roots are enclosed with a relative width of about 2^-200."""


@dataclass(frozen=True)
class Rational:
    """Every real between lo and hi; exact where they are equal.  Arrays of them are NumPy object arrays."""

    lo: Fraction
    hi: Fraction

    @classmethod
    def of(cls, value: Any) -> Rational:
        """A float or an integer exactly; a Rational as it is."""
        if isinstance(value, Rational):
            return value
        exact = Fraction(value)
        return cls(exact, exact)

    @classmethod
    def between(cls, lower: float, upper: float) -> Rational:
        """Between two finite floats."""
        return cls(Fraction(lower), Fraction(upper))

    @property
    def exact(self) -> bool:
        """Whether the number is known."""
        return self.lo == self.hi

    def __neg__(self) -> Rational:
        return Rational(-self.hi, -self.lo)

    def __add__(self, other: Any) -> Rational:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Rational.of(other)
        lo = self.lo + other.lo
        return Rational(lo, lo if self.exact and other.exact else self.hi + other.hi)

    def __sub__(self, other: Any) -> Rational:
        return NotImplemented if isinstance(other, np.ndarray) else self + -Rational.of(other)

    def __rsub__(self, other: Any) -> Rational:
        return Rational.of(other) + -self

    def __mul__(self, other: Any) -> Rational:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Rational.of(other)
        if self.exact and other.exact:
            value = self.lo * other.lo
            return Rational(value, value)
        ends = [a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Rational(min(ends), max(ends))

    def __truediv__(self, other: Any) -> Rational:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Rational.of(other)
        if not other.lo > 0:
            raise ZeroDivisionError("a divisor is not known to be positive")
        return self * Rational(1 / other.hi, 1 / other.lo)

    __radd__ = __add__
    __rmul__ = __mul__

    def sqrt(self) -> Rational:
        """Square root of a number >= 0; exact for 0."""
        return Rational(_root(max(self.lo, Fraction(0)), up=False), _root(max(self.hi, Fraction(0)), up=True))

    def limited(self, low: float, high: float) -> Rational:
        """Moved into [low, high], which may be infinite."""
        ends = []
        for end in (self.lo, self.hi):
            end = end if low == -math.inf else max(end, Fraction(low))
            ends.append(end if high == math.inf else min(end, Fraction(high)))
        return Rational(*ends)

    def floor(self) -> float:
        """Largest float not above."""
        return _towards(self.lo, -math.inf)

    def ceil(self) -> float:
        """Smallest float not below."""
        return _towards(self.hi, math.inf)


def _root(x: Fraction, up: bool) -> Fraction:
    if x == 0:
        return Fraction(0)
    shift = 2 * max(0, ROOT_BITS + (x.denominator.bit_length() - x.numerator.bit_length()) // 2)
    scaled = (x.numerator << shift) // x.denominator
    return Fraction(math.isqrt(scaled) + (1 if up else 0), 1 << (shift // 2))


def _towards(x: Fraction, direction: float) -> float:
    try:
        value = float(x)
    except OverflowError:
        value = math.inf if x > 0 else -math.inf
    if value in (math.inf, -math.inf):
        return value if (value > 0) == (direction > 0) else math.nextafter(value, direction)
    exact = Fraction(value)
    inside = exact <= x if direction < 0 else exact >= x
    return value if inside else math.nextafter(value, direction)
