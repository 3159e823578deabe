"""Products of the columns of a dense design with each other and with some vectors: work in C++ (csrc/cpu/gram.inc)."""

from __future__ import annotations

import numpy as np

from .loader import core

UNIT = 2.0**-24
"""Relative rounding error of single precision."""

CHUNK, CHUNKS = 32, 16
"""Products added in single precision, and sums of that many (SO_GRAM_CHUNK, SO_GRAM_CHUNKS)."""

ROUNDED = (CHUNK + CHUNKS + 4) * UNIT
"""Bound of the error of an entry (i, j) of `matrix`, relative to |x_i| |x_j|.

Both entries of a product are rounded, each product, and each sum; one unit is for products of such errors.
"""

ALL_THREADS = 0


class GramSums:
    """Columns root_i (x_ij - mean_j) of X [n, p], stored by columns, in float32 or float64.

    columns: [k] of X.  mean: [k] or None.  root: [n] or None.
    """

    def __init__(self, X: np.ndarray, columns: np.ndarray, mean: np.ndarray | None, root: np.ndarray | None) -> None:
        self.X, self.mean, self.root = X, mean, root
        self.columns = np.ascontiguousarray(columns, dtype=np.int64)

    def matrix(self, size: np.ndarray, threads: int = ALL_THREADS) -> np.ndarray:
        """[k, k] products of all pairs of columns, each over its size; see `ROUNDED`.

        size: [k] about that of the entries of each column, powers of two.
        """
        inverse = 1.0 / size
        H = np.empty((len(self.columns),) * 2)
        core.gram_matrix(self._fields(inverse), 1, H.ctypes.data, threads)
        return H

    def product(self, of: GramSums, v: np.ndarray) -> np.ndarray:
        """[m, k] products of these columns with those of `of` times v [m, columns of `of`], in float64."""
        v, out = np.ascontiguousarray(v), np.empty((len(v), len(self.columns)))
        core.gram_product(of._fields(None), self._fields(None), v.ctypes.data, len(v), out.ctypes.data, ALL_THREADS)
        return out

    def _fields(self, inverse: np.ndarray | None) -> tuple[int, ...]:
        X = self.X
        rows = X.strides[1] // X.itemsize
        pointers = [0 if array is None else array.ctypes.data for array in (self.mean, inverse, self.root)]
        single = int(X.dtype == np.float32)
        return single, X.shape[0], rows, len(self.columns), X.ctypes.data, self.columns.ctypes.data, *pointers
