"""The least value of a convex function of one number, bounded from below by enclosed values at a few points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arithmetic import Numbers, Outside, Undecided

SLACK = 1e-14
"""Relative allowance for the handful of roundings in each bound; they make an error of 8 units at most."""

BRACKETS = (1.0, 2.0**-4, 2.0**-10, 2.0**-16, 2.0**-23, 2.0**-24, 2.0**-46)
"""Relative distances from the chosen multiple of a dual point at which the gap is enclosed too."""


def least_over_multiples(a: Any, gap: Callable[[float], Numbers], alpha: float, ceiling: float) -> float:
    """A float below gap(m) for every m in [0, ceiling], gap convex; tight where alpha nearly minimises it.

    gap raises Outside where it is infinite, and Undecided where it is not known.
    """
    points, lower, upper = [], [], []
    for point in sorted({0.0, *(alpha * (1 + side * step) for step in (0.0, *BRACKETS) for side in (-1, 1))}):
        if point > ceiling or not np.isfinite(point):
            break
        try:
            value = gap(point)
        except Outside:
            ceiling = point
            break
        except Undecided:
            continue
        points.append(point)
        lower.append(float(a.lower(value)))
        upper.append(known_bound(float(a.upper(value))))
    return least_of_convex(points, lower, upper, ceiling) if points[:1] == [0.0] else 0.0


def least_of_convex(points: Sequence[float], lower: Sequence[float], upper: Sequence[float], end: float) -> float:
    """Lower bound of min over [points[0], end] of a convex f with lower[i] <= f(points[i]) <= upper[i].

    points: increasing floats, the last one <= end <= inf.  Between two points f is above the chords of its neighbours,
    extended: with the least slope that is known on the left, and with the largest one on the right.  -inf if nothing
    is known.
    """
    ends = [*points[1:], end]
    pieces = []
    for i, right in enumerate(ends):
        rises = [(lower[i] - upper[j]) / (points[i] - points[j]) for j in range(i)]
        steepest = max(rises, default=-np.inf)
        from_left = _extended(lower[i], -steepest, right - points[i])
        if i + 1 < len(points):
            slopes = [(upper[j] - lower[i + 1]) / (points[j] - right) for j in range(i + 2, len(points))]
            flattest = min(slopes, default=np.inf)
            from_left = max(from_left, _extended(lower[i + 1], flattest, right - points[i]))
        pieces.append(from_left)
    return min(pieces)


def _extended(value: float, fall: float, length: float) -> float:
    """A float below value - max(fall, 0) * length."""
    if fall <= 0 or length == 0:
        return value
    lost = fall * length * (1 + SLACK)
    return value - lost - SLACK * (abs(value) + lost) if np.isfinite(lost) else -np.inf


def known_bound(value: float) -> float:
    """An upper bound, inf where none is known (NaN)."""
    return np.inf if np.isnan(value) else value
