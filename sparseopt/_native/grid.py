"""Passes over grids of blocks (csrc/grid.h) on addresses in host memory, unchecked: `sparseopt.kernels` checks.

One call works on a list of matrices: every operand is a list of addresses, one for each.  There is no pure-Python
stand-in here: the torch formulas of `sparseopt.kernels.reference` are that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .loader import core

Addresses = list[int]


class GridLayout(NamedTuple):
    """A matrix [rows, channels * taps] in memory, cut into blocks br x bc of each tap, cut off at the border.

    ld: distance between rows, in elements; element (o, i, t) is at o * ld + i * taps + t.
    """

    rows: int
    channels: int
    taps: int
    ld: int
    br: int
    bc: int


class Grids(NamedTuple):
    """Layouts of the matrices of a list, all "f32" or all "f64", and the threads to work on them (0: all)."""

    layouts: list[GridLayout]
    dtype: str
    threads: int = 0

    def call(self, name: str, *given: Any) -> Any:
        """A compiled function of operands with these layouts."""
        return getattr(core, f"grid_{name}_{self.dtype}")(*given, self.layouts, self.threads)


def dots_ptr(a: Addresses, b: Addresses, out: Addresses, grids: Grids) -> None:
    """out [grid] = sum of a b over each block, added in double precision from columns of up to 64 rows."""
    grids.call("dots", a, b, out)


def norms_ptr(w: Addresses, out: Addresses, grids: Grids) -> None:
    """out [grid] = |w| of each block."""
    grids.call("norms", w, out)


def sum_norms_ptr(a: Addresses, b: Addresses, out: Addresses, grids: Grids) -> None:
    """out [grid] = |a + b| of each block."""
    grids.call("sum_norms", a, b, out)


def scale_ptr(w: Addresses, scale: Addresses, out: Addresses, grids: Grids) -> None:
    """out = each block of w times its entry of scale [grid]; exactly 0 where that is 0.  out may be w."""
    grids.call("scale", w, scale, out)


def mask_ptr(w: Addresses, kept: Addresses, out: Addresses, grids: Grids) -> None:
    """out = w in the blocks with kept [grid] (bytes), else 0.  out may be w."""
    grids.call("mask", w, kept, out)


def remask_ptr(w: Addresses, kept: Addresses, changed: Addresses, out: Addresses, grids: Grids) -> None:
    """The same, which out is already but in the blocks with changed [grid] (bytes)."""
    grids.call("remask", w, kept, changed, out)


def mask_norms_ptr(w: Addresses, kept: Addresses, norms: Addresses, out: Addresses, grids: Grids) -> None:
    """norms [grid] = |w_b|, out = w where kept [grid] (bytes), else 0, from memory once; out may not be w."""
    grids.call("mask_norms", w, kept, norms, out)


def add_scaled_ptr(w: Addresses, scale: Addresses, g: Addresses, grids: Grids) -> None:
    """g += each block of w times its entry of scale [grid], where that is not 0."""
    grids.call("add_scaled", w, scale, g)


def scale_vjp_ptr(w: Addresses, g: Addresses, scale: Addresses, dw: Addresses, dscale: Addresses, grids: Grids) -> None:
    """dw = g times scale, dscale [grid] = sum of w g over each block, in one pass.  dw may be g."""
    grids.call("scale_vjp", w, g, scale, dw, dscale)


def power_ptr(w: Addresses, norms: Addresses, out: Addresses, grids: Grids) -> None:
    """norms [grid] = |w_b|, out = |w_b| w_b, from memory once; out may not be w."""
    grids.call("power", w, norms, out)


def power_vjp_ptr(w: Addresses, norms: Addresses, g: Addresses, grids: Grids) -> None:
    """g = |w_b| g_b + <w_b, g_b> w_b / |w_b|, the second term 0 where the norm is, from memory once."""
    grids.call("power_vjp", w, norms, g)


def prox_ptr(
    w: Addresses, norms: Addresses, steps: Addresses, per_block: list[bool], rho: tuple[int, float], grids: Grids
) -> None:
    """norms [grid] = |w_b|, w = its prox by rho (code, parameter).  steps: of one double, or where per_block [grid]."""
    grids.call("prox", w, norms, steps, per_block, *rho)


def admm_ptr(w: Addresses, z: Addresses, u: Addresses, kept: Addresses, grids: Grids) -> list[float]:
    """z = w + u in the blocks with kept [grid] (bytes), else 0; u += w - z; for each |w - z|^2, |z - z before|^2."""
    return grids.call("admm", w, z, u, kept)


def decay_ptr(w: Addresses, g: Addresses, kept: Addresses, pull: float, grids: Grids) -> None:
    """g += pull * w in the blocks without kept [grid] (bytes)."""
    grids.call("decay", w, g, kept, pull)


def augment_ptr(w: Addresses, z: Addresses, u: Addresses, g: Addresses, rho: float, grids: Grids) -> None:
    """g += rho * (w - z + u); u: an empty list for 0."""
    grids.call("augment", w, z, u, g, rho)
