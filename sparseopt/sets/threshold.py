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
