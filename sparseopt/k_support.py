"""The k-support norm and its weights: one formula for the penalty on group norms and for the ball."""

from __future__ import annotations

import math

import numpy as np


def split(c: np.ndarray, k: int) -> tuple[int, float]:
    """m and sum_{i > m} c_i for c [G] >= 0 in decreasing order: m is the smallest with (k - m) c_{m+1} <= that sum.

    G and 0.0 for k >= G.  Source: ledger B4.
    """
    if k >= len(c):
        return len(c), 0.0
    tails = np.cumsum(c[::-1])[::-1]
    left = k - np.arange(k)
    m = int(np.argmax(left * c[:k] <= tails[:k] * (1 + 4 * np.finfo(float).eps)))
    return m, float(tails[m])


def shares(c: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """f_g = min(1, c_g / theta) [G] with sum f = k, and theta, for c [G] >= 0.

    With m from `split`, the m largest have f = 1, and theta = sum_{i > m} c_i / (k - m).  With fewer than k entries
    above 0, theta = 0 and those have f = 1.  Source: ledger B4.
    """
    m, tail = split(-np.sort(-c), k)
    if m == len(c):
        return np.ones(len(c)), 0.0
    theta = tail / (k - m)
    return (np.minimum(1.0, c / theta) if theta > 0 else (c > 0).astype(float)), theta


def norm(a: np.ndarray, k: int) -> float:
    """k-support norm of a [G] >= 0: square root of sum_{i <= m} a_i^2 + (sum_{i > m} a_i)^2 / (k - m), a decreasing.

    The square is min over f of sum a_g^2 / f_g, 0 <= f <= 1, sum f = k.  Relative error some ulp; no overflow.
    Source: Argyriou, Foygel and Srebro, Sparse prediction with the k-support norm (2012).
    """
    a = -np.sort(-a)
    largest = float(a[0])
    if largest == 0 or not np.isfinite(largest):
        return largest
    a = a / largest
    m, tail = split(a, k)
    return largest * math.sqrt(float(a[:m] @ a[:m]) + (tail * tail / (k - m) if tail else 0.0))
