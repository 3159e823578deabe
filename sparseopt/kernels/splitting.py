"""The update of ADMM in two steps, z = P(w + u), u += w - z, for projections that are chosen by norms of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._native import lines
from .._native.grid import Grids
from . import reference
from .blocks import checked_kept, checked_like
from .foreach import foreach_admm_update_, foreach_sum_norms
from .layout import Cut, checked_cut, host
from .operators import operator

Tensor = torch.Tensor
LARGE = 1 << 22
"""Bytes of a matrix from which on memory sets the pace, and the sum is formed once."""


class Splitting:
    """z <- P(w + u), u <- u + w - z, in place, for lists of matrices and a P that keeps some blocks; others become 0.

    ws, zs, us: lists of matrices, alike at each place; cuts: one for each.  `norms`, where they are wanted, then
    `project`, in turns; between the two u may hold w + u.  After the first turn nothing else may change a z: where it
    is 0 it is not read.
    """

    def __init__(self, ws: Sequence[Tensor], zs: Sequence[Tensor], us: Sequence[Tensor], cuts: Sequence[Any]) -> None:
        given = zip(ws, cuts, strict=True)
        self.ws, self.cuts = list(ws), [checked_cut(w, cut) for w, cut in given]
        self.zs = [checked_like(z, w, "z") for z, w in zip(zs, ws, strict=True)]
        self.us = [checked_like(u, w, "u") for u, w in zip(us, ws, strict=True)]
        large = [i for i, w in enumerate(self.ws) if w.numel() * w.element_size() >= LARGE]
        self.large = [i for i in large if _in_lines(host(self.cuts[i], self.ws[i], self.zs[i], self.us[i]))]
        self.small = [i for i in range(len(self.ws)) if i not in self.large]
        self.squares: dict[int, Tensor] = {}
        self.occupied: dict[int, Tensor] = {}

    def norms(self) -> list[Tensor]:
        """|w_b + u_b| of each block, [grid]; of half types in float32."""
        ws, us = ([reference.working(matrices[i]) for i in self.small] for matrices in (self.ws, self.us))
        cuts = [self.cuts[i] for i in self.small]
        found = dict(zip(self.small, foreach_sum_norms(ws, us, cuts) if cuts else [], strict=True))
        for i in self.large:
            found[i], self.squares[i] = _add(self.us[i], self.ws[i], *self.cuts[i])
        return [found[i] for i in range(len(self.ws))]

    def project(self, kepts: Sequence[Tensor]) -> list[Tensor]:
        """z and u for the blocks with kept (bool [grid]).

        Returns [|w - z|^2, |z - z before|^2] of each, float64 on the device of w, as `admm_update_` does.
        """
        for kept, w, cut in zip(kepts, self.ws, self.cuts, strict=True):
            checked_kept(kept, w, cut)
        once = [i for i in range(len(self.ws)) if i not in self.squares]
        ws, zs, us, masks = ([items[i] for i in once] for items in (self.ws, self.zs, self.us, kepts))
        cuts = [self.cuts[i] for i in once]
        found = dict(zip(once, foreach_admm_update_(ws, zs, us, masks, cuts) if once else [], strict=True))
        for i, squares in self.squares.items():
            occupied = self.occupied.get(i, torch.ones_like(kepts[i]))
            found[i] = _split(self.zs[i], self.us[i], self.ws[i], squares, kepts[i], occupied, *self.cuts[i])
        self.squares = {}
        self.occupied = {i: kepts[i].clone() for i in self.large}
        return [found[i] for i in range(len(self.ws))]


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
    lines.add_ptr(w.data_ptr(), u.data_ptr(), norms.data_ptr(), squares.data_ptr(), at)
    return norms, squares


@operator("admm_split_", mutates_args=("z", "u"))
def _split(
    z: Tensor, u: Tensor, w: Tensor, squares: Tensor, kept: Tensor, occupied: Tensor, r: int, c: int, taps: int
) -> Tensor:
    """With w + u in u: z <- u in the blocks with kept, else 0; u <- u - z; the residuals.

    squares: what `_add` returned.  occupied: bool [grid], False where z is 0.
    """
    cut = Cut(r, c, taps)
    at = _in_lines(host(cut, w, z, u))
    if at is None:
        projected = reference.mask_blocks(u, kept, cut)
        residuals = torch.stack([((a.double() - b.double()) ** 2).sum() for a, b in ((w, projected), (projected, z))])
        u.sub_(projected)
        z.copy_(projected)
        return residuals
    flags, squares = kept.to(torch.uint8) + 2 * occupied.to(torch.uint8), squares.contiguous()
    addresses = (w.data_ptr(), z.data_ptr(), u.data_ptr(), flags.data_ptr(), squares.data_ptr())
    return torch.tensor(lines.split_ptr(*addresses, at), dtype=torch.float64)


@_add.register_fake
def _(u: Tensor, w: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    grid = Cut(r, c, taps).grid(w)
    return w.new_empty(grid), w.new_empty(grid, dtype=torch.float64)


@_split.register_fake
def _(
    z: Tensor, u: Tensor, w: Tensor, squares: Tensor, kept: Tensor, occupied: Tensor, r: int, c: int, taps: int
) -> Tensor:
    return w.new_empty(2, dtype=torch.float64)
