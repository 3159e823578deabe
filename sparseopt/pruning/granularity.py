"""What is kept or dropped together: single weights, blocks, N:M windows, patterns, channels, heads.

A granularity turns the weights that were chosen into layers, or says why one stays dense:
  layers(weights)   layers [list], and (weight, reason) for the weights that do not fit;
  counted           whether a number of units is to be kept; else a set of `sparseopt.sets` decides, and
  sparsity          the fraction of weights that it drops.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from ..kernels import Cut
from ..kernels.reference import working
from ..sets import NM as NMSet
from ..sets import PatternLibrary
from ..sets.entries import checked_count
from .layer import Grouping, Layer, View
from .weights import Weight

Tensor = torch.Tensor
Fitted = tuple[list[Layer], list[tuple[Weight, str]]]
INDIVISIBLE = ("pad", "skip", "error")


def checked_indivisible(policy: Any) -> str:
    """What to do with shapes that blocks do not divide: "pad" (blocks cut off at the border), "skip" or "error"."""
    if policy not in INDIVISIBLE:
        raise ValueError(f'indivisible is {policy!r}: allowed are "pad", "skip" and "error"')
    return policy


class Counted:
    """A granularity of units that are counted; a subclass gives the cut of a weight, or why there is none."""

    counted = True
    sparsity: float | None = None

    def cut(self, weight: Weight) -> Cut | str:
        """Blocks of a weight, or why it stays dense."""
        raise NotImplementedError

    def grouping(self, view: View) -> Grouping | None:
        """Groups of blocks that keep equally many, or None."""
        return None

    def layers(self, weights: list[Weight]) -> Fitted:
        """One layer for each weight that fits."""
        layers, misfits = [], []
        for weight in weights:
            cut = self.cut(weight)
            if isinstance(cut, Cut):
                view = View(weight, cut)
                layers.append(Layer(weight.name, (view,), balanced=self.grouping(view)))
            else:
                misfits.append((weight, cut))
        return layers, misfits


@dataclass(frozen=True)
class Unstructured(Counted):
    """Single weights."""

    def cut(self, weight: Weight) -> Cut:
        """1 x 1."""
        return Cut(1, 1, weight.taps)


@dataclass(frozen=True)
class Block(Counted):
    """Blocks of r outputs x c inputs.

    conv: "taps" cuts each tap of a convolution on its own (r x c x 1 x 1), "flat" cuts [outputs, inputs * taps].
    indivisible: "pad" lets blocks at the border be cut off, "skip" leaves such layers dense, "error" refuses them.
    balance: "row" keeps equally many blocks for each r outputs, which `export(..., "balanced")` needs; scope="layer".
    """

    r: int
    c: int
    conv: str = "taps"
    indivisible: str = "pad"
    balance: str | None = None

    def __post_init__(self) -> None:
        checked_count(self.r, "r", 1)
        checked_count(self.c, "c", 1)
        checked_indivisible(self.indivisible)
        if self.conv not in ("taps", "flat"):
            raise ValueError(f'conv is {self.conv!r}: allowed are "taps" and "flat"')
        if self.balance not in (None, "row"):
            raise ValueError(f'balance is {self.balance!r}: allowed are None and "row"')

    def grouping(self, view: View) -> Grouping | None:
        """The blocks of each r outputs, where they are balanced."""
        if self.balance is None:
            return None
        down, across, taps = view.cut.grid(view.frame)
        return Grouping(down, across * taps, view.weight.transposed)

    def cut(self, weight: Weight) -> Cut | str:
        """r x c, exchanged for transposed weights."""
        r, c = (self.c, self.r) if weight.transposed else (self.r, self.c)
        cut = Cut(r, c, weight.taps if self.conv == "taps" else 1)
        rows, channels = weight.shape
        columns = channels * weight.taps // cut.taps
        if r > rows or c > columns:
            return f"a block {r} x {c} is larger than the layer, {rows} x {columns}"
        if (rows % r == 0 and columns % c == 0) or self.indivisible == "pad":
            return cut
        reason = f"blocks {r} x {c} do not divide the layer, {rows} x {columns}"
        if self.indivisible == "error":
            raise ValueError(f'{weight.name}: {reason}; choose other blocks, indivisible="pad", or exclude the layer')
        return reason


@dataclass(frozen=True)
class Channel(Counted):
    """Whole outputs (axis "out": rows of a linear layer, filters of a convolution) or whole inputs (axis "in")."""

    axis: str = "out"

    def __post_init__(self) -> None:
        if self.axis not in ("out", "in"):
            raise ValueError(f'axis is {self.axis!r}: allowed are "out" and "in"')

    def cut(self, weight: Weight) -> Cut | str:
        """One row, or one channel with its taps."""
        rows, channels = weight.shape
        if (self.axis == "out") != weight.transposed:
            return Cut(1, channels * weight.taps)
        return Cut(rows, weight.taps)


class Projected:
    """A granularity whose masks are those of a set, entry by entry."""

    counted = False

    def reason(self, rows: int, columns: int) -> str | None:
        """Why a matrix of outputs x inputs does not fit, or None."""
        raise NotImplementedError

    def support(self, planes: Tensor) -> Tensor:
        """Mask of planes [taps, outputs, inputs]."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Inputs of a window."""
        raise NotImplementedError

    @property
    def height(self) -> int:
        """Outputs of a window."""
        return 1

    def layers(self, weights: list[Weight]) -> Fitted:
        """One layer of single entries for each weight that fits."""
        layers, misfits = [], []
        for weight in weights:
            rows, columns = reversed(weight.shape) if weight.transposed else weight.shape
            reason = self.reason(rows, columns)
            if reason is None:
                view = View(weight, Cut(1, 1, weight.taps))
                layers.append(Layer(weight.name, (view,), partial(mask_of_entries, self), height=self.height))
            else:
                misfits.append((weight, reason))
        return layers, misfits


def mask_of_entries(granularity: Projected, view: View, matrix: Tensor) -> Tensor:
    """Mask of a matrix like the weight, in the order of its memory, bool [rows * channels * taps]."""
    channels = view.weight.shape[1]
    w = working(matrix)
    planes = w.reshape(-1, channels, view.weight.taps).permute(2, 0, 1)
    planes = planes.transpose(1, 2) if view.weight.transposed else planes
    kept = granularity.support(planes.contiguous())
    kept = kept.transpose(1, 2) if view.weight.transposed else kept
    return kept.permute(1, 2, 0).reshape(-1)


def _support(a_set: Any, planes: Tensor) -> Tensor:
    """Where the projection keeps an entry, zeros among them."""
    if bool((planes == 0).any()):
        return a_set.support(planes)
    return a_set.project(planes) != 0  # compiled


@dataclass(frozen=True)
class NM(Projected):
    """n of each m consecutive inputs: `sets.NM(n, m)`, for each tap of a convolution."""

    n: int
    m: int
    indivisible: str = "skip"

    def __post_init__(self) -> None:
        checked_indivisible(self.indivisible)
        NMSet(self.n, self.m)
        checked_count(self.n, "n", 1, self.m)

    @property
    def sparsity(self) -> float:
        """1 - n / m."""
        return 1 - self.n / self.m

    def reason(self, rows: int, columns: int) -> str | None:
        """Windows larger than the rows, or not dividing them."""
        if self.m > columns:
            return f"windows of {self.m} are longer than the {columns} inputs of the layer"
        if columns % self.m and self.indivisible == "error":
            raise ValueError(
                f"windows of {self.m} do not divide {columns} inputs: choose another m or exclude the layer"
            )
        divides = columns % self.m == 0 or self.indivisible == "pad"
        return None if divides else f"windows of {self.m} do not divide {columns} inputs"

    def support(self, planes: Tensor) -> Tensor:
        """By the projection."""
        return _support(NMSet(self.n, self.m, remainder="pad"), planes)

    @property
    def width(self) -> int:
        """m."""
        return self.m


@dataclass(frozen=True)
class Pattern(Projected):
    """In each tile of outputs x inputs one of the patterns [K, r, c]: `sets.PatternLibrary`, for each tap."""

    patterns: np.ndarray = field(repr=False)
    indivisible: str = "skip"
    library: PatternLibrary = field(init=False, compare=False)

    def __post_init__(self) -> None:
        checked_indivisible(self.indivisible)
        given: Any = self.patterns
        library = given if isinstance(given, PatternLibrary) else PatternLibrary(given, remainder="pad")
        object.__setattr__(self, "library", library)
        object.__setattr__(self, "patterns", library.patterns)

    @property
    def sparsity(self) -> float:
        """That of the patterns, which must all keep equally many entries to have one; else of the densest."""
        r, c = self.library.tile
        return 1 - float(self.library.patterns.sum(axis=(1, 2)).max()) / (r * c)

    def reason(self, rows: int, columns: int) -> str | None:
        """Tiles larger than the layer, or not dividing it."""
        r, c = self.library.tile
        if r > rows or c > columns:
            return f"a pattern {r} x {c} is larger than the layer, {rows} x {columns}"
        fits = rows % r == 0 and columns % c == 0
        if not fits and self.indivisible == "error":
            raise ValueError(f"patterns {r} x {c} do not divide a layer of {rows} x {columns}: exclude it")
        return None if fits or self.indivisible == "pad" else f"patterns {r} x {c} do not divide {rows} x {columns}"

    def support(self, planes: Tensor) -> Tensor:
        """By the projection."""
        return _support(self.library, planes)

    @property
    def height(self) -> int:
        """Outputs of a tile."""
        return int(self.library.tile[0])

    @property
    def width(self) -> int:
        """Inputs of a tile."""
        return int(self.library.tile[1])
