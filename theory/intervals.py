"""Confidence intervals and tests for experiments: shares, paired differences, wins against losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def wilson(wins: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of wins in n > 0 independent trials.  Source: Wilson (1927)."""
    share = wins / n
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max((centre - half) / (1 + z * z / n), 0.0), min((centre + half) / (1 + z * z / n), 1.0)


def paired_interval(differences: Sequence[float] | np.ndarray, z: float = 2.576) -> tuple[float, float, float]:
    """Mean, and the ends of its 99 % interval (normal), of paired differences [n], n >= 2."""
    found = np.asarray(differences, dtype=float)
    mean, error = float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found)))
    return mean, mean - z * error, mean + z * error


def sign_test(wins: int, losses: int) -> Fraction:
    """Probability of at least so many wins of wins + losses when either is as likely (one-sided, ties left out)."""
    n = wins + losses
    return Fraction(sum(math.comb(n, k) for k in range(wins, n + 1)), 2**n)
