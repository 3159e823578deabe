"""Products with block-sparse matrices (csrc/product.h) on addresses in host memory; only indices are checked.

There is no pure-Python stand-in here: the torch formulas of `sparseopt.kernels.products` are that.
"""

from __future__ import annotations

from .loader import core

SIDES = (16, 32, 64)
"""Sides of the blocks that the compiled product takes."""


BlockMatrix = tuple[int, int, int, int, int, int, int]
"""A matrix W [rows, cols], float32, of which `count` blocks of side b are stored: three addresses and four sizes,
(values, starts, columns, rows, cols, b, count).

values [count, b, b]: entry (i, o) of a block is W[row + o, column + i].  starts [ceil(rows / b) + 1], int32: the blocks
of block row r are starts[r], ..., starts[r + 1] - 1.  columns [count], int32: block columns.
"""


def product_ptr(w: BlockMatrix, x: int, bias: int, y: int, n: int, *, threads: int = 0) -> None:
    """y [n, rows] = x [n, cols] W' + bias [rows], no bias for address 0; ValueError for indices outside W."""
    _check(core.block_product_f32(w, x, bias, y, n, threads))


def product_transposed_ptr(w: BlockMatrix, x: int, y: int, n: int, *, threads: int = 0) -> None:
    """y [n, cols] = x [n, rows] W; ValueError for indices outside W."""
    _check(core.block_product_transposed_f32(w, x, y, n, threads))


def _check(valid: bool) -> None:
    if not valid:
        raise ValueError(
            "starts and columns describe no block-sparse matrix: starts must rise from 0 to the number of blocks, and "
            "columns must be block columns of the matrix; build them with BlockSparse.of"
        )
