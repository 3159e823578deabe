"""How a weight is cut into blocks, and which tensors the compiled core takes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from .._native import HAS_NATIVE
from .._native.grid import GridLayout, Grids
from .operators import PLAIN, Checked, watched

DTYPES = {torch.float32: "f32", torch.float64: "f64"}
"""Dtypes that the compiled core takes, and how it calls them."""
HALF = (torch.bfloat16, torch.float16)


class Cut(NamedTuple):
    """Blocks r x c of each tap of a matrix [rows, channels * taps]: element (o, i, t) in column i * taps + t.

    taps = 1 for plain matrices; kh * kw for the weight [O, I, kh, kw] of a convolution seen as [O, I * kh * kw], with
    blocks r x c x 1 x 1.  Blocks at the border may be cut off.
    """

    r: int
    c: int
    taps: int = 1

    def grid(self, w: torch.Tensor) -> tuple[int, int, int]:
        """(ceil(rows / r), ceil(channels / c), taps) of w [rows, channels * taps]."""
        return -(-w.shape[0] // self.r), -(-(w.shape[1] // self.taps) // self.c), self.taps

    def sizes(self, w: torch.Tensor) -> torch.Tensor:
        """Number of entries of each block, int64 [grid]."""
        rows = torch.full((self.grid(w)[0],), self.r)
        cols = torch.full((self.grid(w)[1],), self.c)
        rows[-1], cols[-1] = w.shape[0] - self.r * (len(rows) - 1), w.shape[1] // self.taps - self.c * (len(cols) - 1)
        return (rows[:, None, None] * cols[None, :, None]).expand(self.grid(w)).contiguous()


class Cuts(Checked):
    """Cuts of matrices that are worked on again and again, flat as the operators take them, and what follows from them.

    Operations on lists take them in place of a list of cuts where `dense` holds of all matrices; these may then be
    tensors of any shape with as many entries, values over blocks may be flat [n], and those returned are.
    shapes: (rows, channels * taps) of each matrix.
    """

    def __init__(self, cuts: Sequence[Cut], shapes: Sequence[tuple[int, int]]) -> None:
        super().__init__(size for cut in cuts for size in cut)
        pairs = list(zip(cuts, shapes, strict=True))
        self.layouts = [GridLayout(n, m // cut.taps, cut.taps, m, cut.r, cut.c) for cut, (n, m) in pairs]
        self.rows = [GridLayout(n, m, 1, m, 1, m) for n, m in shapes]
        self.entries = [n * m for n, m in shapes]
        self.units = [-(-n // cut.r) * -(-(m // cut.taps) // cut.c) * cut.taps for cut, (n, m) in pairs]

    def check(self, matrices: Sequence[Sequence[torch.Tensor]], values: Sequence[Sequence[torch.Tensor]]) -> None:
        """ValueError unless all lists have one entry for each cut, of its size, dense where they are matrices."""
        if not self.dense(*matrices):
            raise ValueError("Cuts are for matrices without gaps of one dtype on the host: give a list of cuts instead")
        if not all(type(x) in PLAIN for given in values for x in given):
            raise ValueError("Cuts are for values in plain tensors: give a list of cuts instead")
        for lists, sizes in ((matrices, self.entries), (values, self.units)):
            for given in lists:
                if [x.numel() for x in given] != sizes:
                    found = [x.numel() for x in given]
                    raise ValueError(f"a list has tensors of {found} entries: the cuts ask for {sizes}")

    def numbers(self, like: torch.Tensor) -> list[torch.Tensor]:
        """Memory for a number for each block of each matrix, [n]: parts of one tensor."""
        return list(like.new_empty(sum(self.units)).split(self.units))

    def at(self, ws: Sequence[torch.Tensor]) -> Grids:
        """What the compiled core needs to know of tensors that are dense."""
        return Grids(self.layouts, DTYPES[ws[0].dtype], torch.get_num_threads())

    def by_rows(self, ws: Sequence[torch.Tensor]) -> Grids:
        """The same of operations to which blocks mean nothing: rows one by one."""
        return Grids(self.rows, DTYPES[ws[0].dtype], torch.get_num_threads())

    @staticmethod
    def dense(*lists: Sequence[torch.Tensor]) -> bool:
        """Whether the compiled core takes all tensors as they are: without gaps, row by row, of one of its dtypes."""
        if not HAS_NATIVE or not lists[0] or watched() or torch.is_grad_enabled():
            return False
        dtype = lists[0][0].dtype
        return dtype in DTYPES and all(
            type(x) in PLAIN and x.dtype is dtype and x.is_cpu and x.is_contiguous() for given in lists for x in given
        )


def checked_cut(w: torch.Tensor, cut: Any) -> Cut:
    """`cut`, a Cut or (r, c) or (r, c, taps), as a Cut of the matrix w; ValueError for another, or another w."""
    if not isinstance(w, torch.Tensor) or w.ndim != 2 or w.numel() == 0:
        found = f"a tensor of shape {tuple(w.shape)}" if isinstance(w, torch.Tensor) else f"a {type(w).__name__}"
        raise ValueError(f"w is {found}: give a matrix [rows, channels * taps] that is not empty, e.g. w.flatten(1)")
    if w.dtype not in (*DTYPES, *HALF):
        raise ValueError(f"w has dtype {w.dtype}: float32, float64, bfloat16 or float16 is needed")
    try:
        sizes = [operator.index(size) for size in cut]
        given = Cut(*sizes)
    except TypeError:
        raise ValueError(f"cut is {cut!r}: give (rows, columns) or (rows, columns, taps), positive integers") from None
    if min(given) < 1 or w.shape[1] % given.taps:
        raise ValueError(f"cut is {cut!r}: give positive integers; taps must divide the {w.shape[1]} columns of w")
    return given


def common_layout(cut: Cut, w: torch.Tensor, others: Sequence[torch.Tensor]) -> GridLayout | None:
    """Where w lies; None where entries of a row are no neighbours or rows overlap, or others are not like it."""
    shape, strides, dtype, device = w.shape, w.stride(), w.dtype, w.device
    if (strides[1] != 1 and shape[1] > 1) or (strides[0] < shape[1] and shape[0] > 1):  # expanded or transposed
        return None
    for x in others:
        if x.dtype != dtype or x.device != device or x.shape != shape or x.stride() != strides:
            return None
    ld = strides[0] if shape[0] > 1 else shape[1]
    return GridLayout(shape[0], shape[1] // cut.taps, cut.taps, ld, cut.r, cut.c)


def host(cut: Cut, w: torch.Tensor, *others: torch.Tensor) -> Grids | None:
    """What the compiled core needs to know of w and other matrices like it; None where it cannot take them."""
    return hosts([cut], [w], *([other] for other in others))


def hosts(cuts: Sequence[Cut], ws: Sequence[torch.Tensor], *others: Sequence[torch.Tensor]) -> Grids | None:
    """The same of a list of matrices with their cuts, and lists of others like them; all must be of one dtype."""
    if not HAS_NATIVE or not ws or ws[0].dtype not in DTYPES:
        return None
    dtype, layouts = ws[0].dtype, []
    for cut, w, *like in zip(cuts, ws, *others, strict=True):
        at = common_layout(cut, w, like) if w.dtype == dtype and w.is_cpu else None
        if at is None:
            return None
        layouts.append(at)
    return Grids(layouts, DTYPES[dtype], torch.get_num_threads())
