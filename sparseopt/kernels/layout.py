"""How a weight is cut into blocks, and which tensors the compiled core takes."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from .._native import HAS_NATIVE
from .._native.blocks import BlockLayout
from .._native.grid import GridLayout

DTYPES: dict[torch.dtype, np.dtype] = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}
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

    def divides(self, w: torch.Tensor) -> bool:
        """Whether no block is cut off."""
        return w.shape[0] % self.r == 0 and w.shape[1] // self.taps % self.c == 0

    def sizes(self, w: torch.Tensor) -> torch.Tensor:
        """Number of entries of each block, int64 [grid]."""
        rows = torch.full((self.grid(w)[0],), self.r)
        cols = torch.full((self.grid(w)[1],), self.c)
        rows[-1], cols[-1] = w.shape[0] - self.r * (len(rows) - 1), w.shape[1] // self.taps - self.c * (len(cols) - 1)
        return (rows[:, None, None] * cols[None, :, None]).expand(self.grid(w)).contiguous()


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


@dataclass(frozen=True)
class Host:
    """Tensors of one layout in the host's memory, as the compiled core takes them."""

    layout: GridLayout
    threads: int

    @property
    def block_layout(self) -> BlockLayout:
        """The same for the operations on plain matrices, whose blocks are not cut off."""
        g = self.layout
        return BlockLayout(g.rows, g.channels, g.ld, g.ld, g.block, g.dtype)


def host(cut: Cut, w: torch.Tensor, *others: torch.Tensor) -> Host | None:
    """What the compiled core needs to know of w and other matrices like it; None where it cannot take them."""
    if not HAS_NATIVE or w.dtype not in DTYPES or w.device.type != "cpu" or (w.stride(1) != 1 and w.shape[1] > 1):
        return None
    for other in others:
        if other.dtype != w.dtype or other.device != w.device or other.shape != w.shape or other.stride() != w.stride():
            return None
    if w.stride(0) < w.shape[1] and w.shape[0] > 1:  # an expanded or transposed tensor
        return None
    ld = w.stride(0) if w.shape[0] > 1 else w.shape[1]
    layout = GridLayout(w.shape[0], w.shape[1] // cut.taps, cut.taps, ld, (cut.r, cut.c), DTYPES[w.dtype])
    return Host(layout, torch.get_num_threads())
