"""Passes over grids of blocks (csrc/grid.h) on addresses in host memory, unchecked: `sparseopt.kernels` checks.

There is no pure-Python stand-in here: the torch formulas of `sparseopt.kernels.reference` are that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .blocks import SUFFIX
from .loader import core


@dataclass(frozen=True)
class GridLayout:
    """A matrix [rows, channels * taps] in memory, cut into blocks br x bc of each tap, cut off at the border.

    ld: distance between rows, in elements; element (o, i, t) is at o * ld + i * taps + t.  dtype: float32 or float64.
    """

    rows: int
    channels: int
    taps: int
    ld: int
    block: tuple[int, int]
    dtype: np.dtype

    @property
    def given(self) -> tuple[int, int, int, int, int, int]:
        """What the compiled functions take."""
        return (self.rows, self.channels, self.taps, self.ld, *self.block)

    @property
    def function_suffix(self) -> str:
        """f32 or f64."""
        return SUFFIX[np.dtype(self.dtype)]


def dots_ptr(a: int, b: int, out: int, layout: GridLayout, *, threads: int = 0) -> None:
    """out [grid] = sum of a b over each block, added in double precision from columns of up to 64 rows."""
    getattr(core, "grid_dots_" + layout.function_suffix)(a, b, out, layout.given, threads)


def sum_norms_ptr(a: int, b: int, out: int, layout: GridLayout, *, threads: int = 0) -> None:
    """out [grid] = |a + b| of each block, or |a| where b is 0 (no address)."""
    getattr(core, "grid_sum_norms_" + layout.function_suffix)(a, b, out, layout.given, threads)


def scale_ptr(w: int, scale: int, out: int, layout: GridLayout, *, threads: int = 0) -> None:
    """out = each block of w times its entry of scale [grid]; exactly 0 where that is 0.  out may be w."""
    getattr(core, "grid_scale_" + layout.function_suffix)(w, scale, out, layout.given, threads)


def mask_ptr(w: int, kept: int, out: int, layout: GridLayout, *, threads: int = 0) -> None:
    """out = w in the blocks with kept [grid] (bytes), else 0.  out may be w."""
    getattr(core, "grid_mask_" + layout.function_suffix)(w, kept, out, layout.given, threads)


def add_scaled_ptr(w: int, scale: int, g: int, layout: GridLayout, *, threads: int = 0) -> None:
    """g += each block of w times its entry of scale [grid], where that is not 0."""
    getattr(core, "grid_add_scaled_" + layout.function_suffix)(w, scale, g, layout.given, threads)


def scale_vjp_ptr(w: int, g: int, scale: int, dw: int, dscale: int, layout: GridLayout, *, threads: int = 0) -> None:
    """dw = g times scale, dscale [grid] = sum of w g over each block, in one pass.  dw may be g."""
    getattr(core, "grid_scale_vjp_" + layout.function_suffix)(w, g, scale, dw, dscale, layout.given, threads)


def admm_ptr(w: int, z: int, u: int, kept: int, layout: GridLayout, *, threads: int = 0) -> tuple[float, float]:
    """z = w + u in the blocks with kept [grid] (bytes), else 0; u += w - z; (|w - z|^2, |z - z before|^2)."""
    return getattr(core, "grid_admm_" + layout.function_suffix)(w, z, u, kept, layout.given, threads)


def decay_ptr(w: int, g: int, kept: int, pull: float, layout: GridLayout, *, threads: int = 0) -> None:
    """g += pull * w in the blocks without kept [grid] (bytes)."""
    getattr(core, "grid_decay_" + layout.function_suffix)(w, g, kept, pull, layout.given, threads)


def augment_ptr(w: int, z: int, u: int, g: int, rho: float, layout: GridLayout, *, threads: int = 0) -> None:
    """g += rho * (w - z + u)."""
    getattr(core, "grid_augment_" + layout.function_suffix)(w, z, u, g, rho, layout.given, threads)
