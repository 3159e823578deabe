"""Block coordinate descent from a Gram matrix: arrays in Python, work in C++ (csrc/cpu/bcd_gram.inc)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .bcd import BlockCache, BlockPenalty, Descent, never
from .loader import address, core
from .strengths import Strengths


class GramColumns:
    """What `Descent` asks of a design, where only products of columns are known, in the groups' order."""

    def __init__(self, groups: Any) -> None:
        self.groups, self.n, self.p = groups, 1, groups.n_features
        self.squares = np.concatenate([[0], np.cumsum(groups.sizes.astype(np.int64) ** 2)])
        self.columns = np.arange(self.p, dtype=np.int64)
        self.offsets = np.ascontiguousarray(groups.offsets, dtype=np.int64)
        self.fields: dict[str, Any] = {
            "n": 1,
            "storage": 0,
            "ld": 0,
            "values": 0,
            "starts": 0,
            "rows": 0,
            "groups": groups.n_groups,
            "largest": int(groups.sizes.max()),
            "offsets": address(self.offsets),
            "columns": address(self.columns),
            "squares": address(self.squares),
        }


class Rows(NamedTuple):
    """Solutions at several strengths, by position.

    b: [L, p], coefficients.  pull: [L, p], c - H b.  epochs, seconds: [L], sweeps and time of each.
    """

    b: np.ndarray
    pull: np.ndarray
    epochs: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of(cls, count: int, p: int) -> Rows:
        """Zeros."""
        return cls(np.zeros((count, p)), np.zeros((count, p)), np.zeros(count, dtype=np.int64), np.zeros(count))

    def part(self, chosen: slice) -> Rows:
        """Some of the rows, which share memory."""
        return Rows(*(array[chosen] for array in self))


class GramDescent:
    """min over b of  b' H b / 2 - c' b + square / 2 + sum_g strength_g |b_g|, at several strengths.

    H: [p, p] symmetric, in the order of the groups.  c: [p].  square: number.  penalty: a convex radial one.
    """

    def __init__(self, groups: Any, H: np.ndarray, c: np.ndarray, square: float, penalty: BlockPenalty) -> None:
        self.H, self.c, self.square = H, c, square
        columns = GramColumns(groups)
        self.cache = BlockCache(columns)  # type: ignore[arg-type]
        self._eigenbases(columns)
        self.descent = Descent(columns, self.cache, penalty=penalty)  # type: ignore[arg-type]
        largest = columns.fields["largest"]
        self.workspace = np.empty(8 * largest + 64 + max(largest, 64) ** 2 + groups.n_groups)
        self.fields: dict[str, Any] = {
            "p": columns.p,
            "matrix": address(H),
            "at_zero": address(c),
            "square": float(square),
        }

    def _eigenbases(self, columns: GramColumns) -> None:
        """Eigenbases of all blocks, groups of one size at a time."""
        sizes = np.diff(columns.offsets)
        for size in np.unique(sizes):
            chosen = np.flatnonzero(sizes == size)
            rows = columns.offsets[chosen][:, None] + np.arange(size)
            values, basis = np.linalg.eigh(self.H[rows[:, :, None], rows[:, None, :]])
            self.cache.curvature[rows] = np.maximum(values, 0.0)
            squares = columns.squares[chosen][:, None] + np.arange(size**2)
            self.cache.basis[squares] = basis.reshape(len(chosen), -1)
        self.cache.ready[:] = 1

    def lower(
        self, strengths: Strengths, rows: Rows, gap_target: float, max_epochs: int, ask: Callable[[], bool] = never
    ) -> int:
        """Sweep at each of the strengths until the relative gap is at most gap_target; how many rows are known then.

        rows: in and out; where none are known, each one starts where it is.
        """
        return core.gram_path(
            self.descent.fields,
            self.fields,
            strengths.fields,
            tuple(map(address, rows)),
            max_epochs,
            10,
            float(gap_target),
            address(self.workspace),
            ask,
        )
