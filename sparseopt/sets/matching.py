"""Heaviest subgraphs of bounded degree, for many small complete bipartite graphs at once."""

from __future__ import annotations

import numpy as np

BITS = 50
"""Weights are rounded to this many bits below the largest one of their graph; all sums of them are exact."""

CHUNK = 1 << 20
"""Weights treated at once."""

NONE = -(2**62)
"""Gain of a path that does not exist."""


def heaviest(weights: np.ndarray, degree: int) -> np.ndarray:
    """Masks [B, m, m] of largest total weight with at most `degree` entries in every row and column.

    weights: [B, m, m] >= 0, finite.  Successive heaviest augmenting paths (Bellman-Ford in int64, so exact for the
    rounded weights): the total is within m^2 2^-50 of the maximum, relative to the largest weight of the graph.
    Positive weights are never rounded to 0, so that a set of positive weights that is feasible is kept as a whole.
    Source: Ahuja, Magnanti and Orlin, Network Flows (1993), successive shortest paths.
    """
    count, m, _ = weights.shape
    step = max(1, CHUNK // m**2)
    parts = [_solve(_rounded(weights[i : i + step]), degree) for i in range(0, count, step)]
    return np.concatenate(parts)


def _rounded(weights: np.ndarray) -> np.ndarray:
    largest = weights.max(axis=(1, 2), keepdims=True)
    unit = np.ldexp(weights, BITS - np.frexp(np.where(largest > 0, largest, 1.0))[1])
    return np.where(weights > 0, np.maximum(np.rint(unit), 1.0), 0.0).astype(np.int64)


def _solve(weights: np.ndarray, degree: int) -> np.ndarray:
    kept = np.zeros(weights.shape, dtype=bool)
    active = np.arange(len(weights))
    while degree and len(active):
        gain, rows, columns = _best_paths(weights[active], kept[active], degree)
        useful = (gain.max(axis=1) > 0).nonzero()[0]
        active = active[useful]
        _augment(kept, active, gain[useful].argmax(axis=1), rows[useful], columns[useful])
    return kept


def _best_paths(weights: np.ndarray, kept: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heaviest alternating paths from a row with room to each column with room.

    Returns gain [B, m], NONE for full columns; rows [B, m], the row before each column; columns [B, m], the column
    before each row, -1 for the rows where paths start.
    """
    row_gain = np.where(kept.sum(axis=2) < degree, 0, NONE)
    columns = np.full(row_gain.shape, -1)
    column_gain = np.full(row_gain.shape, NONE)
    rows = np.zeros(row_gain.shape, dtype=np.int64)
    while True:
        forth = np.where(kept, NONE, row_gain[:, :, None] + weights)
        better = forth.max(axis=1) > column_gain
        column_gain = np.where(better, forth.max(axis=1), column_gain)
        rows = np.where(better, forth.argmax(axis=1), rows)
        back = np.where(kept, column_gain[:, None, :] - weights, NONE)
        better = back.max(axis=2) > row_gain
        if not better.any():
            break
        row_gain = np.where(better, back.max(axis=2), row_gain)
        columns = np.where(better, back.argmax(axis=2), columns)
    return np.where(kept.sum(axis=1) < degree, column_gain, NONE), rows, columns


def _augment(kept: np.ndarray, graphs: np.ndarray, ends: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Follow the paths back from the columns `ends` [A] of kept[graphs], adding and removing entries in turn."""
    local, column = np.arange(len(graphs)), ends
    while len(local):
        row = rows[local, column]
        kept[graphs[local], row, column] = True
        before = columns[local, row]
        local, row, column = local[before >= 0], row[before >= 0], before[before >= 0]
        kept[graphs[local], row, column] = False
