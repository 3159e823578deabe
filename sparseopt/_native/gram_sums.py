"""Products of the columns of a dense design with each other and with some vectors: work in C++ (csrc/cpu/gram.inc)."""

from __future__ import annotations

import numpy as np

from .loader import core

UNIT = 2.0**-24
"""Relative rounding error of single precision."""

ALL_THREADS = 0


class GramSums:
    """Columns root_i (x_ij - mean_j) of X [n, p], stored by columns, in float32 or float64.

    columns: [k] of X.  mean: [k] or None.  root: [n] or None.
    """

    def __init__(self, X: np.ndarray, columns: np.ndarray, mean: np.ndarray | None, root: np.ndarray | None) -> None:
        self.X, self.mean, self.root = X, mean, root
        self.columns = np.ascontiguousarray(columns, dtype=np.int64)

    def matrix(self, size: np.ndarray, threads: int = ALL_THREADS) -> tuple[np.ndarray, np.ndarray]:
        """H [k, k] products of all pairs of columns, each over its size, and spread [k].

        Entries are rounded to single precision, and so are sums over blocks of rows.  The error of H[i, j] is at most
        spread[i] spread[j], from the number of roundings that each product meets.
        size: [k] about that of the entries of each column, powers of two.
        """
        inverse = 1.0 / size
        H, spread = np.empty((len(self.columns),) * 2), np.empty(len(self.columns))
        core.gram_matrix(self._fields(inverse), H.ctypes.data, spread.ctypes.data, threads)
        return H, np.sqrt(UNIT * spread)

    def product(self, of: GramSums, v: np.ndarray) -> np.ndarray:
        """[m, k] products of these columns with those of `of` times v [m, columns of `of`], in float64.

        With a root these columns are taken times it, too; their mean is not taken off, which changes nothing where that
        of the others is.
        """
        v, out = np.ascontiguousarray(v), np.empty((len(v), len(self.columns)))
        core.gram_product(of._fields(None), self._fields(None), v.ctypes.data, len(v), out.ctypes.data)
        return out

    def part(self, chosen: np.ndarray) -> GramSums:
        """Some of the columns."""
        return GramSums(self.X, self.columns[chosen], None if self.mean is None else self.mean[chosen], self.root)

    def _fields(self, inverse: np.ndarray | None) -> tuple[int, ...]:
        X = self.X
        rows = X.strides[1] // X.itemsize
        pointers = [0 if array is None else array.ctypes.data for array in (self.mean, inverse, self.root)]
        single = int(X.dtype == np.float32)
        return single, X.shape[0], rows, len(self.columns), X.ctypes.data, self.columns.ctypes.data, *pointers
