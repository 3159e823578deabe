"""Rational enclosures: intervals with Fraction ends, for counterexamples that must not depend on rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from sparseopt.certify.rational import Rational as Interval

BITS = 160
"""Ends that come from exp are rounded outwards to multiples of 2^-BITS."""


def sqrt(x: Fraction) -> Interval:
    """Square root of x >= 0, exact where it is rational."""
    return Interval.point(x).sqrt()


def exp(x: Fraction) -> Interval:
    """Exponential of x >= 0: Taylor series of x / 2^k <= 1/2, whose rest is below its last term, then k squares."""
    halvings = max(0, math.ceil(math.log2(max(float(x), 0.5))) + 1)
    small = x / 2**halvings
    term, total, order = Fraction(1), Fraction(1), 0
    while term > Fraction(1, 1 << (BITS + 8)):
        order += 1
        term = _down(term * small / order) + Fraction(1, 1 << (2 * BITS))
        total += term
    error = (order + 4) * Fraction(1, 1 << (BITS + 6))
    low, high = total - error, total + error
    for _ in range(halvings):
        low, high = _down(low * low), _down(high * high) + Fraction(1, 1 << (2 * BITS))
    return Interval(low, high)


def _down(x: Fraction) -> Fraction:
    return Fraction((x.numerator << (2 * BITS)) // x.denominator, 1 << (2 * BITS))


def root_of_increasing(function: Callable[[Fraction], Interval], value: Fraction, guess: float) -> Interval:
    """The x >= 0 with function(x) = value, for an increasing function, to width 2^-110 or so, from a float guess.

    The chord guesses a bracket of the squared width, which is kept where it encloses; else the bracket is halved.
    """
    radius = Fraction(1, 1 << 40)
    low, high = max(Fraction(guess) - radius, Fraction(0)), Fraction(guess) + radius
    assert function(low).high <= value <= function(high).low
    while high - low > Fraction(1, 1 << 110):
        narrow = _chord(function, value, low, high)
        if function(narrow.low).high <= value <= function(narrow.high).low:
            low, high = Fraction(narrow.low), Fraction(narrow.high)
            continue
        middle = (low + high) / 2
        image = function(middle)
        if image.high <= value:
            low = middle
        elif image.low >= value:
            high = middle
        else:
            break
    return Interval(low, high)


def _chord(function: Callable[[Fraction], Interval], value: Fraction, low: Fraction, high: Fraction) -> Interval:
    """Where the chord over [low, high] takes the value, with the squared width on both sides; within [low, high]."""
    bottom, top = Fraction(function(low).low), Fraction(function(high).low)
    if top == bottom:
        return Interval(low, high)
    width = high - low
    at = _down(low + (value - bottom) / (top - bottom) * width)
    radius = max(8 * width**2, Fraction(1, 1 << 111))
    return Interval(max(at - radius, low), min(at + radius, high))
