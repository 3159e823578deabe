"""Passes over matrices in blocks of whole cache lines (csrc/lines.h) on addresses; `sparseopt.kernels` checks them.

There is no pure-Python stand-in here: the torch formulas of `sparseopt.kernels.reference` are that.
"""

from __future__ import annotations

from typing import Any

from .grid import Grids
from .loader import core

ENTRIES = {"f32": 16, "f64": 8}
"""Of a cache line."""


def takes(grids: Grids) -> bool:
    """Whether the blocks of the one matrix have whole lines, none of them cut off on the right."""
    (layout,) = grids.layouts
    return layout.taps == 1 and layout.bc % ENTRIES[grids.dtype] == 0 and layout.channels % layout.bc == 0


def add_ptr(w: int, u: int, norms: int, squares: int, grids: Grids) -> None:
    """u += w; norms [grid] = |u_b| after that; squares [grid, 3], float64: |u_b|^2 before, |w_b|^2, |u_b|^2 after."""
    _of(grids, "add")(w, u, norms, squares, grids.layouts[0], grids.threads)


def split_ptr(z: int, u: int, squares: int, kept: int, occupied: int, held: int, grids: Grids) -> tuple[float, float]:
    """With w + u in u: z = u in the blocks that are kept, else 0; u -= z; (|w - z|^2, |z - z before|^2).

    squares: as `add_ptr` finds them.  kept: bytes [grid].  occupied, bytes [grid], and held, float64 [grid]: where the
    z before may be other than 0, and |z_b|^2 of it; of the new one afterwards.
    """
    given = (z, u, squares, kept, occupied, held)
    found: tuple[float, float] = _of(grids, "split")(*given, grids.layouts[0], grids.threads)
    return found


def _of(grids: Grids, name: str) -> Any:
    return getattr(core, f"lines_{name}_{grids.dtype}")
