"""Which columns span all others, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..unpenalised import of_unit_size

MOST_STEPS = 100_000
"""Multiplications of fractions that are worth the trouble."""

ALMOST = (
    "unpenalised columns, or one and that of an intercept, depend on each other but for rounding errors: as given they "
    "are independent, and coefficients of the size of 1 / eps fit more; leave out what others span, or penalise it"
)
"""Why a certificate may refute what fits the columns to the precision of floats."""


def depend_but_for_rounding(columns: np.ndarray) -> bool:
    """Whether more of columns [n, k], of any sizes, are independent as given than to the precision of floats.

    False where that costs more than MOST_STEPS.
    """
    n, k = columns.shape
    rank = np.linalg.matrix_rank(of_unit_size(columns))
    return bool(rank < k and n * k * k <= MOST_STEPS and rank < len(spanning_columns(columns)))


def spanning_columns(columns: np.ndarray) -> np.ndarray:
    """Indices [r] of columns of a float array [n, k] that span all of them, in their order, shown in rational numbers.

    Zero columns and repeated ones are left out first; what then costs more than MOST_STEPS is returned as it is.
    """
    nonzero = np.flatnonzero(columns.any(axis=0))
    kept = nonzero[np.sort(np.unique(columns[:, nonzero], axis=1, return_index=True)[1])]
    n, k = len(columns), len(kept)
    return kept if n * k * k > MOST_STEPS else kept[_independent(columns[:, kept])]


def _independent(columns: np.ndarray) -> list[int]:
    """Indices of columns that are no combination of those before them, by elimination."""
    reduced: list[tuple[int, list[Fraction]]] = []
    chosen = []
    for j, column in enumerate(columns.T):
        rest = [Fraction(float(x)) for x in column]
        for pivot, other in reduced:
            if rest[pivot]:
                factor = rest[pivot] / other[pivot]
                rest = [a - factor * b for a, b in zip(rest, other, strict=True)]
        row = next((i for i, a in enumerate(rest) if a), None)
        if row is not None:
            reduced.append((row, rest))
            chosen.append(j)
    return chosen
