"""Pattern libraries: complete ones, and ones learned from an array."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .._array import host
from .entries import checked_array, checked_count, double, scale_into_range
from .pattern_library import CHUNK, PatternLibrary, tiles_of

LARGEST = 1 << 20
"""Patterns that `all_patterns` is ready to list."""


def all_patterns(shape: tuple[int, int], kept: int) -> np.ndarray:
    """All masks [K, r, c] of `shape` (r, c) with exactly `kept` entries, those that keep earlier entries first.

    Raises ValueError for kept outside 0..r c, and where there are more than 2^20 of them (keep the largest entries of a
    tile by TopGroups instead).
    """
    r, c = checked_shape(shape)
    kept = checked_count(kept, "kept", 0, r * c)
    count = math.comb(r * c, kept)
    if count > LARGEST:
        raise ValueError(f"there are {count} masks of {kept} of {r} x {c} entries: at most {LARGEST} are listed")
    patterns = np.zeros((count, r * c), dtype=bool)
    chosen = np.array(list(itertools.combinations(range(r * c), kept)), dtype=np.int64).reshape(count, kept)
    np.put_along_axis(patterns, chosen, True, axis=1)
    return patterns.reshape(count, r, c)


def most_frequent(w: Any, shape: tuple[int, int], kept: int, size: int) -> np.ndarray:
    """The `size` masks [<= size, r, c] that most tiles of w [..., R, C] would choose: their `kept` largest entries.

    Equally frequent ones in order of appearance.  Raises ValueError as `learned` does.
    """
    return _frequent(_squares(w, shape), *checked_shape(shape), kept, checked_count(size, "size", 1))


def learned(w: Any, shape: tuple[int, int], kept: int, size: int, *, candidates: int = 256) -> np.ndarray:
    """A library [<= size, r, c] of masks of `kept` entries under which the tiles of w [..., R, C] lose little energy.

    Greedy on the total kept energy (sum over the tiles of the best pattern's), among the `candidates` most frequent
    masks, started from the better of nothing and the most frequent ones; then patterns are swapped for others as long
    as the total rises.  Never below the total of the `size` most frequent masks.  shape: (r, c), dividing R and C.
    kept: integer, 1 <= kept <= r c.  size: integer >= 1.  Fewer patterns are returned where fewer suffice for all.
    """
    r, c = checked_shape(shape)
    size = checked_count(size, "size", 1)
    squares = _squares(w, shape)
    masks = _frequent(squares, r, c, kept, max(checked_count(candidates, "candidates", 1), size))
    if len(masks) <= size:
        return masks
    flat = masks.reshape(len(masks), -1)
    frequent = list(range(size))  # sorted by frequency
    greedy = _greedy(squares, flat, size)
    start = max((greedy, frequent), key=lambda chosen: _total(squares, flat[chosen]))
    return masks[sorted(_swapped(squares, flat, start))]


def checked_shape(shape: Any) -> tuple[int, int]:
    """shape as (r, c); ValueError unless it is two positive integers."""
    try:
        r, c = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape is {shape!r}: give the rows and columns of a tile, such as (4, 4)") from None
    return checked_count(r, "shape[0]", 1), checked_count(c, "shape[1]", 1)


def _squares(w: Any, shape: tuple[int, int]) -> np.ndarray:
    """Squares of the entries of the tiles [B, r c], all by one common power of two."""
    w, tile = checked_array(w), checked_shape(shape)
    PatternLibrary(np.ones((1, *tile))).check_fit(w)
    tiles = host(tiles_of(double(w), tile)).reshape(-1, tile[0] * tile[1])
    scaled, _ = scale_into_range(np, tiles.reshape(1, -1), np.abs(tiles).max(keepdims=True)[0])
    return scaled.reshape(tiles.shape) ** 2


def _frequent(squares: np.ndarray, r: int, c: int, kept: int, most: int) -> np.ndarray:
    """The `most` most frequent masks [K, r, c] of the largest entries of each tile."""
    kept = checked_count(kept, "kept", 1, r * c)
    masks = np.zeros(squares.shape, dtype=bool)
    np.put_along_axis(masks, np.argsort(-squares, axis=1, kind="stable")[:, :kept], True, axis=1)
    _, first, counts = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))[:most]
    return masks[first[order]].reshape(len(order), r, c)


def _energies(squares: np.ndarray, flat: np.ndarray) -> list[np.ndarray]:
    """Energies [b, K] of the patterns flat [K, n] on the tiles, in chunks of tiles."""
    step = max(1, CHUNK // len(flat))
    weights = flat.T.astype(float)
    return [squares[i : i + step] @ weights for i in range(0, len(squares), step)]


def _total(squares: np.ndarray, flat: np.ndarray) -> float:
    return float(sum(energy.max(axis=1).sum() for energy in _energies(squares, flat)))


def _greedy(squares: np.ndarray, flat: np.ndarray, size: int) -> list[int]:
    """Indices of `size` patterns, each the one that adds most to the total."""
    chosen: list[int] = []
    energies = _energies(squares, flat)
    best = [np.zeros(len(energy)) for energy in energies]
    for _ in range(size):
        gains = sum(np.maximum(energy - b[:, None], 0.0).sum(axis=0) for energy, b in zip(energies, best, strict=True))
        gains = np.asarray(gains)
        gains[chosen] = -1.0
        chosen.append(int(np.argmax(gains)))
        best = [np.maximum(b, energy[:, chosen[-1]]) for energy, b in zip(energies, best, strict=True)]
    return chosen


def _swapped(squares: np.ndarray, flat: np.ndarray, chosen: list[int]) -> list[int]:
    """`chosen`, one pattern after another exchanged for the best other one, until no exchange raises the total."""
    energies = _energies(squares, flat)
    total, improved = _total(squares, flat[chosen]), True
    while improved:
        improved = False
        for j in range(len(chosen)):
            others = chosen[:j] + chosen[j + 1 :]
            totals = np.zeros(len(flat))
            for energy in energies:
                rest = energy[:, others].max(axis=1, initial=0.0)
                totals += np.maximum(energy, rest[:, None]).sum(axis=0)
            totals[chosen] = -1.0
            k = int(np.argmax(totals))
            if totals[k] > total * (1 + 1e-12):  # beyond the rounding of the sums
                chosen, total, improved = [*chosen[:j], k, *chosen[j + 1 :]], float(totals[k]), True
    return chosen
