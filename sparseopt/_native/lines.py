"""Passes over matrices in blocks of whole cache lines (csrc/lines.h), on addresses, unchecked: `sparseopt.kernels` checks.

There is no pure-Python stand-in here: the torch formulas of `sparseopt.kernels.reference` are that.
"""

from __future__ import annotations

from .grid import GridLayout
from .loader import core

LINE = 64
"""Bytes."""


def takes(layout: GridLayout) -> bool:
    """Whether the blocks have whole lines, none of them cut off on the right."""
    whole = layout.block[1] * layout.dtype.itemsize % LINE == 0
    return layout.taps == 1 and whole and layout.channels % layout.block[1] == 0


def add_ptr(w: int, u: int, norms: int, squares: int, layout: GridLayout, *, threads: int = 0) -> None:
    """u += w; norms [grid] = |u_b| after that; squares [grid], float64, = |w_b|^2."""
    getattr(core, "lines_add_" + layout.function_suffix)(w, u, norms, squares, layout.given, threads)


def split_ptr(
    w: int, z: int, u: int, kept: int, squares: int, layout: GridLayout, *, threads: int = 0
) -> tuple[float, float]:
    """With w + u in u: z = u in the blocks with kept [grid] (bytes), else 0; u -= z; (|w - z|^2, |z - z before|^2)."""
    split = getattr(core, "lines_split_" + layout.function_suffix)
    found: tuple[float, float] = split(w, z, u, kept, squares, layout.given, threads)
    return found
