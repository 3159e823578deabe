"""The k largest of many norms, ties to the lowest index, also where rounding hides a tie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .entries import ordered_sum, scale_into_range


def exact_norms(rows: np.ndarray) -> np.ndarray:
    """Euclidean norms [B] of rows [B, n] float64, of squares added in increasing order: equal for permuted rows."""
    scaled, factor = scale_into_range(np, rows, np.abs(rows).max(axis=1))
    return np.sqrt(ordered_sum(scaled**2)) / factor


def largest(norms: np.ndarray, k: int, margin: float, recomputed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Mask [G] of the k largest of norms [G] >= 0; among equal ones those with the lowest index.

    margin: relative difference below which two norms may be equal but for rounding, `tie_margin(n)` for sums of n
    squares in float64.  recomputed: gives the `exact_norms` [B] of the groups with these indices [B]; asked only about
    those that may tie at the k-th place.
    """
    count = len(norms)
    if k in (0, count):
        return np.full(count, k > 0)
    last = np.partition(norms, count - k)[count - k]
    kept = norms > last * (1 + margin)
    close = np.flatnonzero((norms >= last * (1 - margin)) & ~kept)
    free = k - int(np.count_nonzero(kept))
    if len(close) > free and last > 0:
        close = close[np.argsort(-recomputed(close), kind="stable")]
    kept[close[:free]] = True
    return kept
