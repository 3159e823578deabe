"""The update of ADMM in two steps, z = P(w + u), u += w - z, for projections that are chosen by norms of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from .._native import lines
from .._native.grid import Grids
from . import reference
from .blocks import checked_kept, checked_like
from .foreach import foreach_admm_update_, foreach_sum_norms
from .layout import Cut, checked_cut, host
from .operators import PLAIN, operator

Tensor = torch.Tensor
LARGE = 1 << 22
"""Bytes of a matrix from which on memory sets the pace, and the sum is formed once."""


class Former(NamedTuple):
    """What a projection left in z: occupied (bool [grid]), False where it is 0, and held (float64 [grid]) = |z_b|^2.

    stamp: by which z is known to be as it was.
    """

    occupied: Tensor
    held: Tensor
    stamp: tuple[Any, ...]


FORMER = WeakTensorKeyDictionary()
"""Former of each z that was projected; what is 0 and stays so is neither read nor written."""


class Splitting:
    """z <- P(w + u), u <- u + w - z, in place, for lists of matrices and a P that keeps some blocks; others become 0.

    ws, zs, us: lists of matrices, alike at each place; cuts: one for each.  `norms`, where they are wanted, then
    `project`, in turns; between the two u may hold w + u.  Of a z that no torch operation changed since the last turn,
    of this object or another one, it is known which blocks are 0; what torch does not count, as writing to `z.data` or
    by way of numpy, must not change a z between turns.
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
            z, cut = self.zs[i], self.cuts[i]
            former = _former(z, cut)
            found[i] = _split(z, self.us[i], former.occupied, former.held, squares, kepts[i], *cut)
            if type(z) in PLAIN and not z.is_inference():
                FORMER[z] = former._replace(stamp=_stamp(z, cut))
        self.squares = {}
        return [found[i] for i in range(len(self.ws))]


def _stamp(z: Tensor, cut: Cut) -> tuple[Any, ...]:
    return z._version, z.data_ptr(), z.shape, z.stride(), cut


def _former(z: Tensor, cut: Cut) -> Former:
    """What is known of z; otherwise what there is to find, by the sums of `_add`: a resumed run has the same bits."""
    known: Former | None = FORMER.get(z)
    if known is not None and known.stamp == _stamp(z, cut):
        return known
    norms, squares = _add(torch.zeros_like(z), z.detach(), *cut)
    return Former(norms != 0, squares[..., 1].contiguous(), ())


def _in_lines(at: Grids | None) -> Grids | None:
    return at if at is not None and lines.takes(at) else None


@operator("admm_add_", mutates_args=("u",))
def _add(u: Tensor, w: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    """u <- u + w; |u_b| after that, and, in float64 [grid, 3], |u_b|^2 before, |w_b|^2, |u_b|^2 after."""
    cut = Cut(r, c, taps)
    at = _in_lines(host(cut, w, u))
    if at is None:
        before = u.clone()
        u.copy_(reference.working(u) + reference.working(w))
        squares = [reference.block_sums(x.double() ** 2, cut) for x in (before, w, u)]
        return reference.block_norms(u, cut), torch.stack(squares, -1)
    norms, found = w.new_empty(cut.grid(w)), w.new_empty((*cut.grid(w), 3), dtype=torch.float64)
    lines.add_ptr(w.data_ptr(), u.data_ptr(), norms.data_ptr(), found.data_ptr(), at)
    return norms, found


@operator("admm_split_", mutates_args=("z", "u", "occupied", "held"))
def _split(
    z: Tensor, u: Tensor, occupied: Tensor, held: Tensor, squares: Tensor, kept: Tensor, r: int, c: int, taps: int
) -> Tensor:
    """With w + u in u: z <- u in the blocks with kept, else 0; u <- u - z; the residuals, as `admm_update_` has them.

    squares: what `_add` returned.  occupied and held, contiguous: of the z before, as in `Former`; then of the new one.
    """
    cut = Cut(r, c, taps)
    at = _in_lines(host(cut, u, z))
    if at is None:
        projected = reference.mask_blocks(u, kept, cut)
        primal, dual = torch.where(kept, squares[..., 0], squares[..., 1]), (projected.double() - z.double()) ** 2
        u.sub_(projected)
        z.copy_(projected)
        occupied.copy_(kept)
        held.copy_(torch.where(kept, squares[..., 2], 0.0))
        return torch.stack([primal.sum(), dual.sum()])
    kept, squares = kept.contiguous(), squares.contiguous()
    given = (z.data_ptr(), u.data_ptr(), squares.data_ptr(), kept.data_ptr(), occupied.data_ptr(), held.data_ptr())
    return torch.tensor(lines.split_ptr(*given, at), dtype=torch.float64)


@_add.register_fake
def _(u: Tensor, w: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    grid = Cut(r, c, taps).grid(w)
    return w.new_empty(grid), w.new_empty((*grid, 3), dtype=torch.float64)


@_split.register_fake
def _(
    z: Tensor, u: Tensor, occupied: Tensor, held: Tensor, squares: Tensor, kept: Tensor, r: int, c: int, taps: int
) -> Tensor:
    return u.new_empty(2, dtype=torch.float64)
