"""Designs in memory-mapped files: read in blocks, never copied whole into memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

BLOCK = 2**21
"""Entries of a block: 16 MB as float64."""


def memory_mapped(X: np.ndarray) -> bool:
    """Whether the entries of X lie in a memory-mapped file."""
    base: Any = X
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def column_major(X: np.ndarray) -> np.ndarray:
    """X [n, p] column-major, a copy: in memory, or for a memory-mapped X in an unnamed temporary file of its size.

    The file is written in blocks of rows and vanishes with the array; TMPDIR names its directory.
    """
    if not memory_mapped(X):
        return np.asfortranarray(X)
    import tempfile

    with tempfile.TemporaryFile() as file:
        out = np.memmap(file, dtype=X.dtype, mode="w+", shape=X.shape, order="F")
        for rows in blocks_of_rows(X):
            out[rows] = X[rows]
        return np.asarray(out)


def product(X: Any, w: np.ndarray) -> np.ndarray:
    """X w for X [n, p] and w [p] or [p, T], float32 arrays block by block in float64."""
    return transposed_product(X.T, w) if isinstance(X, np.ndarray) else X @ w  # a sparse X' is an object to make


def transposed_product(X: Any, v: np.ndarray, kept: dict[str, Any] | None = None) -> np.ndarray:
    """X' v for X [n, p], float32 arrays block by block in float64: a plain product would convert X as a whole.

    kept: where X' of a sparse X is found again, which takes longer to make than a small product.
    """
    if kept is not None and not isinstance(X, np.ndarray):
        if "transposed" not in kept:
            kept["transposed"] = X.T
        return kept["transposed"] @ v
    if not isinstance(X, np.ndarray) or X.dtype == v.dtype or X.size <= BLOCK:
        return X.T @ v
    if X.flags.f_contiguous:
        return np.concatenate([X[:, columns].astype(v.dtype).T @ v for columns in blocks_of_rows(X.T)])
    total = np.zeros((X.shape[1], *v.shape[1:]))
    for rows in blocks_of_rows(X):
        total += X[rows].astype(v.dtype).T @ v[rows]
    return total


def blocks_of_rows(X: np.ndarray) -> list[slice]:
    """Consecutive slices of the rows of X [n, p], of about BLOCK entries each."""
    height = max(1, BLOCK // X.shape[1])
    return [slice(i, i + height) for i in range(0, X.shape[0], height)]
