"""Rational numbers, or enclosures between two of them where a square root was taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

ROOT_BITS = 200
"""Square roots are enclosed with a relative width of about 2^-200."""


@dataclass(frozen=True)
class Rational:
    """Every real between low and high; exact where they are equal.  Arrays of them are NumPy object arrays.

    An end may be the float inf, of sums and increasing functions.
    """

    low: Fraction
    high: Fraction

    @classmethod
    def point(cls, value: Any) -> Rational:
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
        return self.low == self.high

    @property
    def width(self) -> Fraction:
        """high - low, 0 where both are infinite."""
        return Fraction(0) if self.exact else self.high - self.low

    def __neg__(self) -> Rational:
        return Rational(-self.high, -self.low)

    def __add__(self, other: Any) -> Rational:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Rational.point(other)
        low = self.low + other.low
        return Rational(low, low if self.exact and other.exact else self.high + other.high)

    def __sub__(self, other: Any) -> Rational:
        return NotImplemented if isinstance(other, np.ndarray) else self + -Rational.point(other)

    def __rsub__(self, other: Any) -> Rational:
        return Rational.point(other) + -self

    def __mul__(self, other: Any) -> Rational:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Rational.point(other)
        if self.exact and other.exact:
            value = self.low * other.low
            return Rational(value, value)
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Rational(min(ends), max(ends))

    def __truediv__(self, other: Any) -> Rational:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Rational.point(other)
        if not other.low > 0:
            raise ZeroDivisionError("a divisor is not known to be positive")
        return self * Rational(1 / other.high, 1 / other.low)

    __radd__ = __add__
    __rmul__ = __mul__

    def times(self, factor: Any) -> Rational:
        """Product with one exact number."""
        return self * factor

    def map(self, function: Callable[[Fraction], Rational]) -> Rational:
        """Image under an increasing function that is enclosed at every point; inf stays inf."""
        low, high = (Rational(end, end) if end == math.inf else function(end) for end in (self.low, self.high))
        return Rational(low.low, high.high)

    def sqrt(self) -> Rational:
        """Square root of a number >= 0; exact where it is rational."""
        return Rational(_root(max(self.low, Fraction(0)), up=False), _root(max(self.high, Fraction(0)), up=True))

    def limited(self, low: float, high: float) -> Rational:
        """Moved into [low, high], which may be infinite."""
        ends = []
        for end in (self.low, self.high):
            end = end if low == -math.inf else max(end, Fraction(low))
            ends.append(end if high == math.inf else min(end, Fraction(high)))
        return Rational(*ends)

    def floor(self) -> float:
        """Largest float not above."""
        return _towards(self.low, -math.inf)

    def ceil(self) -> float:
        """Smallest float not below."""
        return _towards(self.high, math.inf)


def _root(x: Fraction, up: bool) -> Fraction:
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
    if root * root == x:
        return root
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
