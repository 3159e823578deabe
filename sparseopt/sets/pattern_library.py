"""Arrays whose tiles follow one of the patterns of a library."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._array import Array, host, namespace
from .._native.blocks import SUFFIX
from .._native.projections import LARGEST_TILE, Plane, TileLibrary, project_library_ptr
from .entries import checked_array, checked_remainder, double, like, ordered_sum, scale_into_range, tie_margin
from .mask import MaskSet

CHUNK = 1 << 21
"""Energies computed at once."""


class PatternLibrary(MaskSet):
    """Arrays [..., R, C] whose tiles r x c each have their non-zero entries within one of K patterns.

    patterns: [K, r, c], bool (or 0 and 1), at least one; e.g. `libraries.all_patterns((4, 4), 8)`.
    remainder: "error" refuses arrays whose last two axes r x c do not divide; "pad" cuts the last tiles off at the
    border, so that only entries of the array count.
    The projection keeps in each tile the pattern with the largest kept energy (sum of squares, not of magnitudes);
    among patterns with equal energy the first one.  Energies are compared without rounding the entries that two
    patterns share.  Raises ValueError for patterns of unequal shapes, of other values, and for an empty library.
    """

    def __init__(self, patterns: Any, remainder: str = "error") -> None:
        self.patterns = checked_patterns(patterns)
        self.remainder = checked_remainder(remainder)
        self._transposable24 = False

    @cached_property
    def masks(self) -> TileLibrary:
        """The patterns for the compiled core, each once."""
        _, first = np.unique(
            np.packbits(self.patterns.reshape(len(self.patterns), -1), axis=1), axis=0, return_index=True
        )
        distinct = self.patterns[np.sort(first)]
        return TileLibrary.of(distinct, self._transposable24)

    @property
    def tile(self) -> tuple[int, int]:
        """(r, c), the shape of the patterns."""
        return int(self.patterns.shape[1]), int(self.patterns.shape[2])

    @property
    def convex(self) -> bool:
        """Whether one pattern contains all the others."""
        return bool((self.patterns.any(axis=0) == self.patterns).all(axis=(1, 2)).any())

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the chosen pattern in each tile."""
        v = checked_array(v)
        xp, (r, c) = namespace(v), self.tile
        index = self._chosen(v)
        masks = xp.take(like(self.patterns, v), xp.reshape(index, (-1,)), axis=0)
        return untiled(xp.reshape(masks, (*index.shape, r, c)))[..., : v.shape[-2], : v.shape[-1]]

    def _project_compiled(self, source: np.ndarray, target: np.ndarray) -> bool | None:
        self.check_fit(source)
        (r, c), (rows, cols) = self.tile, source.shape[-2:]
        if r * c > LARGEST_TILE or (source.ndim > 2 and rows % r):
            return None
        plane = Plane(source.size // cols, cols, cols, cols, SUFFIX[source.dtype])
        return project_library_ptr(source.ctypes.data, target.ctypes.data, plane, self.masks)

    def choice(self, v: Any) -> np.ndarray:
        """Index of the pattern of each tile, int64 [..., ceil(R / r), ceil(C / c)], a NumPy array."""
        return host(self._chosen(checked_array(v)))

    def _chosen(self, v: Array) -> Array:
        self.check_fit(v)
        tiles = tiles_of(double(v), self.tile)
        xp = namespace(tiles)
        n = tiles.shape[-1]
        rows = xp.reshape(tiles, (-1, n))
        step = max(1, CHUNK // (len(self.patterns) + n))
        flat = self.patterns.reshape(len(self.patterns), n)
        stops = [*range(step, rows.shape[0], step), rows.shape[0]]
        parts = [best_patterns(rows[i:stop, :], flat) for i, stop in zip([0, *stops], stops, strict=False)]
        return xp.reshape(xp.concat(parts), tiles.shape[:-1])

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Shape of a matrix of up to 3 x 3 tiles (with a remainder where it is padded), drawn by rng."""
        shape = [int(size) * int(rng.integers(1, 4)) for size in self.tile]
        if self.remainder == "pad":
            shape = [length - int(rng.integers(0, size)) for length, size in zip(shape, self.tile, strict=True)]
        return tuple(shape)

    def check_fit(self, v: Array) -> None:
        """ValueError unless v [..., R, C] can be cut into tiles."""
        r, c = self.tile
        if v.ndim < 2:
            raise ValueError(f"v has shape {tuple(v.shape)}: patterns {r} x {c} need an array with two axes or more")
        if self.remainder == "error" and (v.shape[-2] % r or v.shape[-1] % c):
            raise ValueError(
                f"v has shape {tuple(v.shape)}, which tiles {r} x {c} do not divide: choose patterns of another "
                'shape, or remainder="pad"'
            )

    def __repr__(self) -> str:
        r, c = self.tile
        return f"PatternLibrary({len(self.patterns)} patterns of {r} x {c}, remainder={self.remainder!r})"


def checked_patterns(patterns: Any) -> np.ndarray:
    """Patterns as bool [K, r, c], read-only; ValueError for none, unequal shapes, and values other than 0 and 1."""
    try:
        array = np.array(patterns if isinstance(patterns, np.ndarray) else [np.asarray(p) for p in patterns])
    except (TypeError, ValueError):
        raise ValueError("patterns cannot be made an array: give K patterns of one shape, bool [K, r, c]") from None
    if array.ndim != 3 or array.size == 0:
        raise ValueError(f"patterns has shape {array.shape}: give at least one pattern r x c, bool [K, r, c]")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise ValueError(f"patterns of dtype {array.dtype} hold other values than 0 and 1: give bool [K, r, c]")
    array = array.astype(bool)
    array.setflags(write=False)
    return array


def tiles_of(x: Array, tile: tuple[int, int]) -> Array:
    """Tiles of x [..., R, C] in row-major order, [..., ceil(R / r), ceil(C / c), r * c]; beyond the border 0."""
    xp, (r, c) = namespace(x), tile
    for axis, size in ((x.ndim - 2, r), (x.ndim - 1, c)):
        missing = -x.shape[axis] % size
        if missing:
            shape = list(x.shape)
            shape[axis] = missing
            padding = xp.zeros(tuple(shape), dtype=x.dtype, device=getattr(x, "device", None))
            x = xp.concat([x, padding], axis=axis)
    lead, rows, cols = tuple(x.shape[:-2]), x.shape[-2] // r, x.shape[-1] // c
    x = xp.reshape(x, (*lead, rows, r, cols, c))
    n = len(lead)
    x = xp.permute_dims(x, (*range(n), n, n + 2, n + 1, n + 3))
    return xp.reshape(x, (*lead, rows, cols, r * c))


def untiled(tiles: Array) -> Array:
    """The array [..., R, C] made of tiles [..., R / r, C / c, r, c]."""
    xp, lead = namespace(tiles), tiles.ndim - 4
    *shape, rows, cols, r, c = tiles.shape
    return xp.reshape(
        xp.permute_dims(tiles, (*range(lead), lead, lead + 2, lead + 1, lead + 3)), (*shape, rows * r, cols * c)
    )


def best_patterns(tiles: Array, patterns: np.ndarray) -> Array:
    """Index [B] of the pattern with the largest kept energy, for tiles [B, n] float64 and patterns [K, n] bool."""
    xp = namespace(tiles)
    scaled, _ = scale_into_range(xp, tiles, xp.max(xp.abs(tiles), axis=1))
    squares = scaled**2
    energy = squares @ xp.permute_dims(xp.astype(like(patterns, tiles), xp.float64), (1, 0))
    best = xp.max(energy, axis=1)
    index = xp.argmax(energy, axis=1)
    close = energy >= (best * (1 - tie_margin(tiles.shape[1])))[:, None]
    doubtful = (xp.sum(xp.astype(close, xp.int64), axis=1) > 1) & (best > 0)
    if not bool(xp.any(doubtful)):
        return index
    rows = np.flatnonzero(host(doubtful))
    corrected = host(index).copy()
    corrected[rows] = _first_of_the_best(host(tiles)[rows], host(close)[rows], patterns)
    return like(corrected, index)


def _first_of_the_best(tiles: np.ndarray, close: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """Index [B] of the first pattern with the largest energy among the candidates close [B, K] for tiles [B, n].

    Two patterns are compared by the energies of the entries that only one of them keeps.
    """
    best = close.argmax(axis=1)
    for k in range(len(patterns)):
        rows = np.flatnonzero(close[:, k] & (best < k))
        if len(rows) == 0:
            continue
        held, new = patterns[best[rows]], patterns[k]
        apart = np.where(held != new, tiles[rows], 0.0)
        squares = scale_into_range(np, apart, np.abs(apart).max(axis=1))[0] ** 2
        better = ordered_sum(np.where(new, squares, 0.0)) > ordered_sum(np.where(new, 0.0, squares))
        best[rows[better]] = k
    return best
