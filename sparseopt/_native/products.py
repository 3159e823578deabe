"""Products with block-sparse matrices (csrc/product.h) on addresses in host memory; only indices are checked.

There is no pure-Python stand-in here: the torch formulas of `sparseopt.kernels.products` are that.
"""

from __future__ import annotations

from dataclasses import dataclass

from .loader import core

SIDES = (16, 32, 64)
"""Sides of the blocks that the compiled product takes."""


@dataclass(frozen=True)
class BlockMatrix:
    """A matrix W [rows, cols], float32, of which only `count` blocks of side b are stored, as three addresses.

    values [count, b, b]: entry (i, o) of a block is W[row + o, column + i].  starts [ceil(rows / b) + 1], int32: the
    blocks of block row r are starts[r], ..., starts[r + 1] - 1.  columns [count], int32: block columns.
    """

    values: int
    starts: int
    columns: int
    rows: int
    cols: int
    b: int
    count: int

    @property
    def given(self) -> tuple[int, int, int, int, int, int, int]:
        """What the compiled functions take."""
        return (self.values, self.starts, self.columns, self.rows, self.cols, self.b, self.count)


def product_ptr(w: BlockMatrix, x: int, bias: int, y: int, n: int, *, threads: int = 0) -> None:
    """y [n, rows] = x [n, cols] W' + bias [rows], no bias for address 0; ValueError for indices outside W."""
    _check(core.block_product_f32(w.given, x, bias, y, n, threads))


def product_transposed_ptr(w: BlockMatrix, x: int, y: int, n: int, *, threads: int = 0) -> None:
    """y [n, cols] = x [n, rows] W; ValueError for indices outside W."""
    _check(core.block_product_transposed_f32(w.given, x, y, n, threads))


def _check(valid: bool) -> None:
    if not valid:
        raise ValueError(
            "starts and columns describe no block-sparse matrix: starts must rise from 0 to the number of blocks, and "
            "columns must be block columns of the matrix; build them with BlockSparse.of"
        )
