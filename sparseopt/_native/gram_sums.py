"""Products of columns of a dense design with each other, packed, and with vectors: work in C++ (csrc/cpu/gram.inc)."""

from __future__ import annotations

import numpy as np

from .loader import address, core
from .packed import PackedColumns

UNIT = 2.0**-24
"""Relative rounding error of single precision."""

SUMMED = 65
"""Roundings in single precision of a sum before it is taken over in double precision (csrc/gram.h)."""

ROUNDED = 0.51
"""Largest distance of an entry from its packed value, in units of the column (csrc/cpu/bcd_packing.inc)."""

NEGLIGIBLE = 1e-290
"""Columns whose entries are all smaller are packed as 0."""

ALL_THREADS = 0


def packed_products(packed: PackedColumns, threads: int = ALL_THREADS) -> tuple[np.ndarray, np.ndarray]:
    """H [p, p], products of all pairs of packed columns over n, by position, and error [p].

    With columns x = q + e, q packed and |e| <= error:  |x_i'x_j - H_ij| <= |x_i| error_j + error_i |q_j|.  The roots of
    the diagonal are |q_j|, nearly.  Sums are exact over 16 rows.  Columns that are too small to be packed count as 0.
    """
    store, n = packed.store, packed.store.n
    unit = packed.unit / np.sqrt(n)
    start, step = packed.places()
    H, rounded = np.empty((store.p, store.p)), np.empty(store.p)
    pointers = (address(array) for array in (packed.values, start, step, unit))
    core.gram_matrix((packed.blocks, store.p, *pointers), address(H), address(rounded), threads)
    error = (ROUNDED * np.sqrt(n) + np.sqrt(rounded)) * unit + SUMMED * UNIT * np.sqrt(np.diag(H))
    return H, np.where(unit > 0, error, NEGLIGIBLE)


class GramSums:
    """Columns root_i (x_ij - mean_j) of X [n, p], stored by columns, in float32 or float64.

    columns: [k] of X.  mean: [k] or None.  root: [n] or None.
    """

    def __init__(self, X: np.ndarray, columns: np.ndarray, mean: np.ndarray | None, root: np.ndarray | None) -> None:
        self.X, self.mean, self.root = X, mean, root
        self.columns = np.ascontiguousarray(columns, dtype=np.int64)

    def product(self, of: GramSums, v: np.ndarray) -> np.ndarray:
        """[m, k] products of these columns with those of `of` times v [m, columns of `of`], in float64.

        With a root these columns are taken times it, too; their mean is not taken off, which changes nothing where that
        of the others is.
        """
        v, out = np.ascontiguousarray(v), np.empty((len(v), len(self.columns)))
        core.gram_product(of._fields(), self._fields(), address(v), len(v), address(out))
        return out

    def part(self, chosen: np.ndarray) -> GramSums:
        """Some of the columns."""
        return GramSums(self.X, self.columns[chosen], None if self.mean is None else self.mean[chosen], self.root)

    def _fields(self) -> tuple[int, ...]:
        X = self.X
        rows = X.strides[1] // X.itemsize
        pointers = [address(array) for array in (self.mean, self.root)]
        single = int(X.dtype == np.float32)
        return single, X.shape[0], rows, len(self.columns), address(X), address(self.columns), *pointers
