"""Projections of matrices onto mask sets, on addresses and NumPy arrays: checks in Python, work in C++.

There is no pure-Python stand-in here: the formulas of `sparseopt.sets` are that, and tests pin the two to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .blocks import BlockLayout
from .cuda import check_launch
from .loader import address, core

LARGEST_TILE = 64
"""Entries of a window or a tile that the compiled projections take: one bit each."""


@dataclass(frozen=True)
class Plane:
    """A matrix [rows, cols] in memory; ld, ld_out: distance between rows of input and output, in elements.

    suffix: of the functions for its dtype, f32 or f64, and on CUDA devices bf16 or f16.
    """

    rows: int
    cols: int
    ld: int
    ld_out: int
    suffix: str

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """What the compiled functions take."""
        return self.rows, self.cols, self.ld, self.ld_out


@dataclass(frozen=True)
class TileLibrary:
    """Patterns of tiles r x c as `masks` [K], uint64: bit i * c + j for entry (i, j).

    transposable24: they are the 186 maximal patterns with at most two entries in each row and column of 4 x 4.
    """

    r: int
    c: int
    masks: np.ndarray
    transposable24: bool = False

    @classmethod
    def of(cls, patterns: np.ndarray, transposable24: bool = False) -> TileLibrary:
        """The library of patterns [K, r, c], bool, with r c <= 64."""
        count, r, c = patterns.shape
        bits = np.left_shift(np.uint64(1), np.arange(r * c, dtype=np.uint64))
        masks = (patterns.reshape(count, -1) * bits).sum(axis=1, dtype=np.uint64)
        return cls(r, c, masks, transposable24)

    @property
    def given(self) -> tuple[int, int, int, int, bool]:
        """What the compiled functions take."""
        return self.r, self.c, len(self.masks), address(self.masks), self.transposable24


def project_nm_ptr(w: int, out: int, plane: Plane, n: int, m: int, *, threads: int = 0) -> bool:
    """Keep the n largest magnitudes of each window of m <= 64 entries of a row, at addresses in host memory, unchecked.

    out: may be w, else they must not overlap.  The last window of a row may be shorter.  threads: 0 for OpenMP's own
    choice; the result does not depend on it.  Returns whether all entries were finite; if not, out is not to be used.
    """
    return bool(getattr(core, "project_nm_" + plane.suffix)(w, out, plane.shape, n, m, threads))


def project_library_ptr(w: int, out: int, plane: Plane, library: TileLibrary, *, threads: int = 0) -> bool:
    """Keep in each tile the pattern with the largest energy; otherwise as `project_nm_ptr`.

    Tiles at the border may be cut off.
    """
    function = getattr(core, "project_library_" + plane.suffix)
    return bool(function(w, out, plane.shape, library.given, threads))


def keep_blocks_ptr(w: int, out: int, layout: BlockLayout, kept: np.ndarray, *, threads: int = 0) -> None:
    """Set the blocks with kept [rows / br, cols / bc] False to 0, copy the others; otherwise as `project_nm_ptr`."""
    kept = np.ascontiguousarray(kept, dtype=np.bool_)
    getattr(core, "keep_blocks_" + layout.function_suffix)(w, out, layout.shape, address(kept), threads)


def project_nm_cuda_ptr(w: int, out: int, plane: Plane, n: int, m: int, *, device: int = 0, stream: int = 0) -> None:
    """`project_nm_ptr` on a CUDA device, on a stream; windows of entries that are not finite are copied as they are."""
    check_launch(getattr(core, "project_nm_cuda_" + plane.suffix)(w, out, plane.shape, n, m, device, stream))


def project_library_cuda_ptr(
    w: int, out: int, plane: Plane, library: TileLibrary, masks: int, *, device: int = 0, stream: int = 0
) -> None:
    """`project_library_ptr` on a CUDA device; masks: address there of a copy of library.masks; as above otherwise."""
    given = (library.r, library.c, len(library.masks), masks, library.transposable24)
    check_launch(getattr(core, "project_library_cuda_" + plane.suffix)(w, out, plane.shape, given, device, stream))
