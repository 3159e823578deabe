"""Two safeguarded searches in one variable: the root of an increasing function, the maximum of a concave one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MAX_STEPS = 200
"""More than bisection needs for any pair of floats of one sign within 1e60 of each other."""

GOLDEN = (5**0.5 - 1) / 2

NEAR = 1.01
"""Multiples up to which a concave function is taken for a parabola."""


def increasing_root(function: Callable[[float], tuple[float, float]], lower: float, upper: float) -> float:
    """Root in [lower, upper] of an increasing function, by Newton's method with bisection as a safeguard.

    function(b) gives value and derivative.  The bracket need not be strict: an end is returned when the root is there.
    Deterministic, at most MAX_STEPS evaluations; accurate to the rounding errors of the function and an ulp of b.
    """
    b = (lower + upper) / 2
    last = upper - lower
    for _ in range(MAX_STEPS):
        value, slope = function(b)
        if value == 0:
            return b
        lower, upper = (lower, b) if value > 0 else (b, upper)
        newton = value / slope if slope > 0 else np.inf
        step = newton if abs(newton) <= last / 2 and lower <= b - newton <= upper else b - (lower + upper) / 2
        if b - step == b:
            return b
        b, last = b - step, abs(step)
    return b


def best_multiple(value: Callable[[float], float], slope_at_one: float, limit: float) -> float:
    """Maximise a concave function of alpha in [0, limit]; value may be -inf, but not on [0, 1].

    slope_at_one: its derivative at 1.  Returns the end that the slope points to where it is the maximum, else
    the best of a golden-section search.
    """
    top = min(limit, 1.0)
    if slope_at_one >= 0 and limit <= 1:
        return top
    if slope_at_one > 0 and limit <= NEAR and 2 * (value(limit) - value(1.0)) >= slope_at_one * (limit - 1):
        return limit  # so does the parabola: at most the cube of the distance is missed
    low, high = (0.0, top) if slope_at_one < 0 else (1.0, 2.0)
    while slope_at_one > 0 and high < min(limit, 2.0**60) and value(high) > value((1 + high) / 2):
        high *= 2
    high = min(high, limit)
    low, high = _golden_section(value, low, high)
    return max((top, low, high), key=value)


def _golden_section(value: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Bracket of the maximum, 2^-34 of the first one."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = value(a), value(b)
    for _ in range(49):
        if at_a >= at_b:  # also where both are -inf, beyond the domain
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = value(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = value(b)
    return low, high
