"""The threshold of a projection onto an l1 ball, for non-negative numbers."""

from __future__ import annotations

import numpy as np


def shrunk_to_sum(a: np.ndarray, radius: float, slack: float) -> np.ndarray:
    """Projection of a [n] >= 0 onto {b >= 0, sum b <= radius}: (a - theta)_+ with the theta that meets the bound.

    a itself where its sum exceeds the radius by a fraction of `slack` at most (the rounding of an earlier projection).
    Else the sum is the radius up to a few ulp, whatever the size of a.
    Source: Held, Wolfe and Crowder, Validation of subgradient optimization (1974).
    """
    if radius == 0:
        return np.zeros_like(a)
    if excess_over(a, radius) <= slack:
        return a
    below = np.maximum(a - a.max(), -radius) / radius  # in [-1, 0], where the threshold lies too: no cancellation
    ordered = -np.sort(-below)
    count = np.arange(1, len(a) + 1)
    thresholds = (np.cumsum(ordered) - 1) / count
    last = np.flatnonzero(ordered > thresholds)[-1]
    left = np.maximum(below - thresholds[last], 0.0)
    return left / left.sum() * radius


def excess_over(sizes: np.ndarray, radius: float) -> float:
    """(sum of sizes [n] >= 0) / radius - 1, without overflow to NaN; for radius 0: -1 where all are 0, else inf."""
    if radius == 0:
        return np.inf if sizes.any() else -1.0
    with np.errstate(over="ignore"):
        return float((sizes / radius).sum()) - 1.0


def clipped_to_sum(a: np.ndarray, low: np.ndarray, high: np.ndarray, level: float, least: float) -> np.ndarray:
    """clip(a - theta, low, high) [n] with the smallest theta >= least whose sum is at most `level`.

    0 <= low <= high, sum low <= level; the sum at theta = least exceeds the level.  The sum is piecewise linear: first
    the neighbouring entries of a are found between which theta is, then, relative to the upper one, the piece.
    """
    pivots = np.sort(a[a > least])
    below, above = -1, len(pivots) - 1  # at the largest entry the sum is that of low
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if np.clip(a - pivots[middle], low, high).sum() <= level else (middle, above)
    pivot = pivots[above] if len(pivots) else least
    y = np.clip(a - pivot, -1 - 2 * level, None)
    corners = np.concatenate([y - low, y - high])
    points = np.sort(corners[np.isfinite(corners) & (corners < 0) & (corners > least - pivot)])
    points = np.concatenate([[max(least - pivot, -1 - 3 * level)], points, [0.0]])
    first, last = 0, len(points) - 1
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if np.clip(y - points[middle], low, high).sum() <= level else (middle, last)
    more, less = (np.clip(y - points[i], low, high).sum() for i in (first, last))
    share = (more - level) / (more - less) if more > less else 1.0
    return np.clip(y - (points[first] + (points[last] - points[first]) * min(max(share, 0.0), 1.0)), low, high)
