"""Matrices with few non-zero blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, host, namespace
from .._native import block_norms
from .._native.blocks import BlockLayout
from .._native.projections import keep_blocks_ptr
from .entries import checked_array, checked_count, like, scale_into_range, tie_margin, with_headroom
from .libraries import checked_shape
from .mask import MaskSet
from .pattern_library import PatternLibrary, tiles_of, untiled
from .selection import exact_norms, largest


class TopBlocks(MaskSet):
    """Arrays [..., R, C] with at most k non-zero blocks r x c among all of them.

    k: integer >= 0.  block: (r, c).  remainder: as for PatternLibrary.  The projection keeps the k blocks with the
    largest Frobenius norms; among equal ones those with the lowest index in row-major order.
    Raises ValueError for another k, block or remainder, and for arrays with fewer than k blocks.
    """

    def __init__(self, k: int, block: tuple[int, int], remainder: str = "error") -> None:
        self.k = checked_count(k, "k", 0)
        self.block = checked_shape(block)
        self._grid = PatternLibrary(np.ones((1, *self.block)), remainder=remainder)

    @property
    def remainder(self) -> str:
        """What is done with shapes that the blocks do not divide."""
        return self._grid.remainder

    @property
    def convex(self) -> bool:
        """Whether nothing is kept, whatever the shape."""
        return self.k == 0

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the k blocks with the largest norms."""
        v = checked_array(v)
        kept = self.kept_blocks(v)
        mask = namespace(v).broadcast_to(like(kept[..., None, None], v), (*kept.shape, *self.block))
        return untiled(mask)[..., : v.shape[-2], : v.shape[-1]]

    def kept_blocks(self, v: Any) -> np.ndarray:
        """Mask [..., ceil(R / r), ceil(C / c)] of the blocks that the projection keeps, a NumPy array."""
        v = checked_array(v)
        self._grid.check_fit(v)
        tiles = tiles_of(with_headroom(v), self.block)
        xp = namespace(tiles)
        rows = xp.reshape(tiles, (-1, tiles.shape[-1]))
        self._check_count(rows.shape[0])
        scaled, factor = scale_into_range(xp, rows, xp.max(xp.abs(rows), axis=1))
        norms = host(xp.linalg.vector_norm(scaled, axis=1) / factor)
        kept = largest(norms, self.k, tie_margin(rows.shape[1]), lambda chosen: exact_norms(host(rows)[chosen]))
        return kept.reshape(tuple(tiles.shape[:-1]))

    def _project_compiled(self, source: np.ndarray, target: np.ndarray) -> bool | None:
        self._grid.check_fit(source)
        (r, c), (rows, cols) = self.block, source.shape[-2:]
        if rows % r or cols % c:
            return None
        self._check_count(source.size // (r * c))
        return keep_top_blocks(source.reshape(-1, cols), target.reshape(-1, cols), self.block, self.k)

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Shape of a matrix with k blocks or some more, drawn by rng."""
        down = int(rng.integers(1, 4))
        return down * self.block[0], (-(-max(self.k, 1) // down) + int(rng.integers(0, 3))) * self.block[1]

    def check_fit(self, v: Array) -> None:
        """ValueError unless v [..., R, C] can be cut into k blocks or more."""
        self._grid.check_fit(v)
        (r, c), (*lead, rows, cols) = self.block, v.shape
        self._check_count(int(np.prod(lead)) * -(-rows // r) * -(-cols // c))

    def _check_count(self, count: int) -> None:
        if self.k > count:
            raise ValueError(f"v has {count} blocks, but k is {self.k}: k is at most that")

    def __repr__(self) -> str:
        return f"TopBlocks({self.k}, {self.block}, remainder={self.remainder!r})"


def keep_top_blocks(source: np.ndarray, target: np.ndarray, block: tuple[int, int], k: int) -> bool | None:
    """Copy the k blocks of source [R, C] with the largest norms to target, by the compiled core; 0 elsewhere.

    None, and nothing done, where a norm is not finite or too small for its precision; else True.
    """
    norms = block_norms(source, block)
    grid, limits = norms.shape, np.finfo(source.dtype)
    norms = norms.ravel().astype(np.float64)
    small = (norms > 0) & (norms < limits.tiny / limits.eps)
    if not np.isfinite(norms).all() or small.any():
        return None
    blocks = source.reshape(grid[0], block[0], grid[1], block[1])
    margin = (block[0] * -(-block[1] // 16) + 16) * float(limits.eps)  # twice the error of sums in 16 lanes

    def recomputed(chosen: np.ndarray) -> np.ndarray:
        i, j = np.divmod(chosen, grid[1])
        return exact_norms(blocks[i, :, j, :].reshape(len(chosen), -1).astype(np.float64))

    kept = largest(norms, k, margin, recomputed)
    rows, cols = source.shape
    layout = BlockLayout(rows, cols, cols, cols, block, source.dtype)
    keep_blocks_ptr(source.ctypes.data, target.ctypes.data, layout, kept)
    return True
