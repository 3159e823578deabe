"""The update of ADMM in two steps, z = P(w + u), u += w - z, for projections that are chosen by norms of blocks."""

from __future__ import annotations

from typing import Any

import torch

from .._native import lines
from .._native.grid import Grids
from . import reference
from .blocks import checked_kept, checked_like
from .layout import Cut, checked_cut, host
from .operators import operator
from .updates import admm_update_, sum_norms

Tensor = torch.Tensor


class Splitting:
    """z <- P(w + u), u <- u + w - z, in place, for matrices w, z, u alike and a P that keeps some blocks, others are 0.

    First `norms`, then `project`, and neither twice.  Between the two u may hold w + u: where blocks are whole cache
    lines the sum is formed once, and what is not kept is not touched again.
    """

    def __init__(self, w: Tensor, z: Tensor, u: Tensor, cut: Any) -> None:
        self.w, self.cut = w, checked_cut(w, cut)
        self.z, self.u = checked_like(z, w, "z"), checked_like(u, w, "u")
        self.squares: Tensor | None = None

    def norms(self) -> Tensor:
        """|w_b + u_b| of each block, [grid]."""
        if _in_lines(host(self.cut, self.w, self.z, self.u)) is None:
            return sum_norms(self.w, self.u, self.cut)
        norms, self.squares = _add(self.u, self.w, *self.cut)
        return norms

    def project(self, kept: Tensor) -> Tensor:
        """z and u for the blocks with kept (bool [grid]).

        Returns [|w - z|^2, |z - z before|^2], float64 on the device of w, as `admm_update_` does.
        """
        if self.squares is None:
            return admm_update_(self.w, self.z, self.u, kept, self.cut)
        return _split(self.z, self.u, self.w, self.squares, checked_kept(kept, self.w, self.cut), *self.cut)


def _in_lines(at: Grids | None) -> Grids | None:
    return at if at is not None and lines.takes(at) else None


@operator("admm_add_", mutates_args=("u",))
def _add(u: Tensor, w: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    """u <- u + w; |u_b| after that and |w_b|^2, in float64."""
    cut = Cut(r, c, taps)
    at = _in_lines(host(cut, w, u))
    if at is None:
        u.copy_(reference.working(u) + reference.working(w))
        return reference.block_norms(u, cut), reference.block_sums(w.double() ** 2, cut)
    norms, squares = w.new_empty(cut.grid(w)), w.new_empty(cut.grid(w), dtype=torch.float64)
    given = (w.data_ptr(), u.data_ptr(), norms.data_ptr(), squares.data_ptr())
    lines.add_ptr(*given, at)
    return norms, squares


@operator("admm_split_", mutates_args=("z", "u"))
def _split(z: Tensor, u: Tensor, w: Tensor, squares: Tensor, kept: Tensor, r: int, c: int, taps: int) -> Tensor:
    """With w + u in u: z <- u in the blocks with kept, else 0; u <- u - z; the residuals."""
    cut = Cut(r, c, taps)
    at = _in_lines(host(cut, w, z, u))
    if at is None:
        projected = reference.mask_blocks(u, kept, cut)
        residuals = torch.stack([((a.double() - b.double()) ** 2).sum() for a, b in ((w, projected), (projected, z))])
        u.sub_(projected)
        z.copy_(projected)
        return residuals
    kept, squares = kept.contiguous(), squares.contiguous()
    given = (w.data_ptr(), z.data_ptr(), u.data_ptr(), kept.data_ptr(), squares.data_ptr())
    return torch.tensor(lines.split_ptr(*given, at), dtype=torch.float64)


@_add.register_fake
def _(u: Tensor, w: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    grid = Cut(r, c, taps).grid(w)
    return w.new_empty(grid), w.new_empty(grid, dtype=torch.float64)


@_split.register_fake
def _(z: Tensor, u: Tensor, w: Tensor, squares: Tensor, kept: Tensor, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(2, dtype=torch.float64)
