"""The k largest of many norms, ties to the lowest index, also where rounding hides a tie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .entries import ordered_sum, scale_into_range, tie_margin


def exact_norms(rows: np.ndarray) -> np.ndarray:
    """Euclidean norms [B] of rows [B, n] float64, of squares added in increasing order: equal for permuted rows."""
    scaled, factor = scale_into_range(np, rows, np.abs(rows).max(axis=1))
    return np.sqrt(ordered_sum(scaled**2)) / factor


def largest(norms: np.ndarray, k: int, size: int, recomputed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Mask [G] of the k largest of norms [G] >= 0; among equal ones those with the lowest index.

    norms: with errors up to `tie_margin(size)`, size the largest number of squares in one.  recomputed: gives the
    `exact_norms` [B] of the groups with these indices [B]; asked only about those that may tie at the k-th place.
    """
    kept = np.zeros(len(norms), dtype=bool)
    order = np.argsort(-norms, kind="stable")
    kept[order[:k]] = True
    if k in (0, len(norms)):
        return kept
    last, margin = norms[order[k - 1]], tie_margin(size)
    if last == 0 or last - norms[order[k]] > margin * last:
        return kept
    close = np.flatnonzero(np.abs(norms - last) <= margin * last)
    kept[close] = False
    by_value = close[np.argsort(-recomputed(close), kind="stable")]
    kept[by_value[: k - np.count_nonzero(kept & (norms > last))]] = True
    return kept
