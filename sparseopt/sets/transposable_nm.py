"""Transposable N:M sparsity: at most n non-zero entries in every row and every column of every m x m tile."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np

from .._array import Array, host, namespace
from .entries import checked_array, checked_count, double, like, scale_into_range
from .mask import MaskSet
from .matching import heaviest
from .pattern_library import PatternLibrary, tiles_of, untiled

ENUMERATED = 4
"""Tiles up to this size are projected by trying all maximal patterns; larger ones by a flow."""


class TransposableNM(MaskSet):
    """Arrays [..., R, C] with at most n non-zero entries in every row and column of each m x m tile.

    The transposed array is in the set, too, so that both products with it can be accelerated.  n, m: integers,
    0 <= n <= m, 1 <= m.  remainder: as for PatternLibrary.
    The projection is exact: for m <= 4 the best of all maximal patterns (186 for 2:4; 90 of them keep 8 entries and 96
    keep 7), the first of equally good ones in lexicographic order, those that keep earlier entries first; for larger m
    a maximum-weight flow, exact up to m^2 2^-50 of the largest square in a tile; there ties are broken always in the
    same way, but by no simple rule.
    """

    def __init__(self, n: int, m: int, remainder: str = "error") -> None:
        self.m = checked_count(m, "m", 1)
        self.n = checked_count(n, "n", 0, self.m)
        patterns = maximal_patterns(self.n, self.m) if self.m <= ENUMERATED else np.ones((1, self.m, self.m))
        self.library = PatternLibrary(patterns, remainder=remainder)
        self.library._transposable24 = (self.n, self.m) == (2, 4)

    @property
    def energy_error(self) -> float:
        """By how much the kept energy of a tile may fall short of the best, relative to its largest square."""
        return 0.0 if self.m <= ENUMERATED else self.m**2 * 2.0**-50

    @property
    def remainder(self) -> str:
        """What is done with shapes that m does not divide."""
        return self.library.remainder

    @property
    def convex(self) -> bool:
        """Whether nothing or everything is kept."""
        return self.n in (0, self.m)

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the best pattern in each tile."""
        if self.m <= ENUMERATED:
            return self.library.support(v)
        v = checked_array(v)
        self.library.check_fit(v)
        tiles = tiles_of(double(v), (self.m, self.m))
        rows = host(tiles).reshape(-1, self.m**2)
        squares = scale_into_range(np, rows, np.abs(rows).max(axis=1))[0] ** 2
        squares[(squares == 0) & (rows != 0)] = np.finfo(float).tiny  # too small to count, but not to be kept
        kept = heaviest(squares.reshape(-1, self.m, self.m), self.n)
        mask = namespace(v).reshape(like(kept, v), (*tiles.shape[:-1], self.m, self.m))
        return untiled(mask)[..., : v.shape[-2], : v.shape[-1]]

    def _project_compiled(self, source: np.ndarray, target: np.ndarray) -> bool | None:
        return self.library._project_compiled(source, target) if self.m <= ENUMERATED else None

    def contains(self, v: Any) -> bool:
        """Whether no row or column of a tile has more than n non-zero entries."""
        v = checked_array(v)
        self.library.check_fit(v)
        filled = host(tiles_of(v != 0, (self.m, self.m))).reshape(-1, self.m, self.m)
        return bool((filled.sum(axis=1) <= self.n).all() and (filled.sum(axis=2) <= self.n).all())

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Shape of a matrix of up to 3 x 3 tiles (with a remainder where it is padded), drawn by rng."""
        return self.library.example_shape(rng)

    def __repr__(self) -> str:
        return f"TransposableNM({self.n}, {self.m}, remainder={self.remainder!r})"


@cache
def maximal_patterns(n: int, m: int) -> np.ndarray:
    """All masks [K, m, m] with at most n entries in each row and column to which none can be added, for m <= 4.

    In lexicographic order, those that keep earlier entries first.
    """
    rows = [np.array(row) for row in itertools.product([1, 0], repeat=m) if sum(row) <= n]
    found = []

    def extend(chosen: list[np.ndarray], counts: np.ndarray) -> None:
        if len(chosen) == m:
            pattern = np.array(chosen)
            open_rows, open_columns = pattern.sum(axis=1) < n, counts < n
            if not (open_rows[:, None] & open_columns & (pattern == 0)).any():
                found.append(pattern.astype(bool))
            return
        for row in rows:
            if (counts + row <= n).all():
                extend([*chosen, row], counts + row)

    extend([], np.zeros(m, dtype=int))
    patterns = np.array(found)
    patterns.setflags(write=False)
    return patterns
