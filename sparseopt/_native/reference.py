"""The block operations in plain NumPy: the meaning of the compiled ones, and what runs without a compiler."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_blocks(w: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """The blocks of w [R, C] as float64 [R/br, br, C/bc, bc], in C order: sums do not depend on the layout of w."""
    br, bc = block
    rows, cols = w.shape
    return np.ascontiguousarray(w, dtype=np.float64).reshape(rows // br, br, cols // bc, bc)


def norms(w: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Frobenius norms of the blocks of w [R, C], float64 [R/br, C/bc]; NaN or inf where a block holds one.

    Scaled by the largest entry of each block, so that nothing overflows or underflows.
    """
    blocks = as_blocks(w, block)
    largest = np.abs(blocks).max(axis=(1, 3))
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        relative = blocks / scale[:, None, :, None]
        return scale * np.sqrt(np.einsum("irjc,irjc->ij", relative, relative))


def scales(v: np.ndarray, rho: Any, step: np.ndarray) -> np.ndarray:
    """Factor prox(v) / v of each block of norm v [R/br, C/bc]: 0 for a zero block, NaN where v is not finite."""
    usable = np.isfinite(v) & (v > 0)
    safe = np.where(usable, v, 1.0)
    factor = np.asarray(rho.prox(safe, np.broadcast_to(step, v.shape))) / safe
    return np.where(usable, factor, np.where(v == 0, 0.0, np.nan))


def prox(w: np.ndarray, block: tuple[int, int], rho: Any, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radial prox of every block: (result [R, C], norms [R/br, C/bc]), both of the dtype of w.

    rho: a scalar penalty with .prox(v, step); step: [] or [R/br, C/bc].
    """
    v = norms(w, block)
    factor = scales(v, rho, step).astype(w.dtype)
    spread = np.repeat(np.repeat(factor, block[0], axis=0), block[1], axis=1)
    zero = np.zeros((), dtype=w.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(spread == 0, zero, w * spread), v.astype(w.dtype)
