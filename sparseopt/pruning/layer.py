"""A pruned layer: units that are kept or dropped together, in one weight or in several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch

from .. import kernels
from ..kernels import Cut
from ..kernels.reference import working
from .weights import Weight, local

Tensor = torch.Tensor


@dataclass(frozen=True)
class View:
    """Rows first, ..., stop - 1 (all of them where stop is None) of a weight, cut into blocks: one for each unit.

    Rows count from the first one that this process holds.  at: the units that the blocks are (parts of); None: all.
    """

    weight: Weight
    cut: Cut
    first: int = 0
    stop: int | None = None
    at: slice | None = None

    @property
    def name(self) -> str:
        """The weight's, and the first row where it is a part."""
        return self.weight.name if self.stop is None else f"{self.weight.name}:{self.first}"

    def matrix(self, tensor: Tensor | None = None) -> Tensor:
        """A tensor like the parameter (by default itself) as a matrix [rows, channels * taps] of its memory.

        It is a copy where the memory is in another order (channels last).
        """
        tensor = local(self.weight.parameter if tensor is None else tensor).detach()
        return tensor.flatten(1) if self.whole else tensor.flatten(1)[self.first : self.stop]

    @property
    def whole(self) -> bool:
        """Whether it has all rows that this process holds."""
        return self.stop is None and self.first == 0

    @property
    def frame(self) -> Tensor:
        """A matrix of the shape of the whole one, whoever holds it, without entries."""
        rows, channels = self.weight.shape
        count = len(range(rows)[self.first : self.stop])
        return torch.empty(count, channels * self.weight.taps, device="meta")

    def own(self, values: Tensor) -> Tensor:
        """Of values of the units [n] those of its blocks."""
        return values if self.at is None else values[self.at]

    def grid(self, values: Tensor) -> Tensor:
        """Values of the units [n] as the kernels want them, [grid]."""
        return self.own(values).reshape(self.grid_shape)

    @cached_property
    def grid_shape(self) -> tuple[int, int, int]:
        """Of the blocks that this process holds."""
        return self.cut.grid(self.matrix())

    def change(self, operation: Callable[[Tensor], Any], tensor: Tensor | None = None) -> Any:
        """Let an operation change the matrix in place, also where it is a copy."""
        matrix = self.matrix(tensor)
        result = operation(matrix)
        self.put_back(matrix, tensor)
        return result

    def put_back(self, matrix: Tensor, tensor: Tensor | None = None) -> None:
        """Write the matrix of a tensor into it, where it is a copy."""
        held = local(self.weight.parameter if tensor is None else tensor).detach()
        if held.is_contiguous():
            return
        if matrix.untyped_storage().data_ptr() != held.untyped_storage().data_ptr():
            held[self.first : self.stop].copy_(matrix.reshape(held[self.first : self.stop].shape))

    def norms(self, tensor: Tensor | None = None) -> Tensor:
        """Norms of the units [n]; of half types in float32, where they tie less."""
        matrix = working(self.matrix(tensor))
        return matrix.abs().flatten() if self.entries else kernels.block_norms(matrix, self.cut).flatten()

    def scale(self, factors: Tensor) -> None:
        """Multiply the units by factors [n]."""
        self.change(partial(_scale, factors=self.grid(factors), cut=self.cut))

    def mask(self, kept: Tensor, tensor: Tensor | None = None) -> None:
        """Set the units without kept (bool [n]) to 0: of the parameter, or of a tensor like it."""
        self.change(partial(_mask, kept=self.grid(kept), cut=self.cut), tensor)

    @property
    def entries(self) -> bool:
        """Whether the units are single entries, in the order of memory."""
        return self.cut[:2] == (1, 1)


@dataclass(frozen=True)
class Grouping:
    """Units [rows, columns] of a layer, in the order of memory, in groups: the rows, or the columns."""

    rows: int
    columns: int
    by_column: bool = False

    @property
    def size(self) -> int:
        """Units of each group."""
        return self.rows if self.by_column else self.columns

    def grouped(self, values: Any) -> Any:
        """Values [n], an array or a tensor, as [groups, size]."""
        values = values.reshape(self.rows, self.columns)
        return values.T if self.by_column else values

    def flat(self, groups: Any) -> Any:
        """The inverse of `grouped`."""
        return (groups.T if self.by_column else groups).reshape(-1)


@dataclass(frozen=True)
class Layer:
    """Units 0, ..., n - 1 of one or several views: unit i is block i of each of them.

    chosen_by: of a granularity whose masks are those of a set, the function (view, matrix) -> mask; None
    where units are counted.  weights: those of the views, and in a process without rows of them too.
    sizes: entries of each unit [n].  height: rows of a window of the set.  group: the processes that
    hold the weights, each its rows; None: this one.  balanced: groups of units, where
    every group is to keep equally many.
    """

    name: str
    views: tuple[View, ...]
    chosen_by: Callable[[View, Tensor], Tensor] | None = None
    weights: tuple[Weight, ...] = ()
    sizes: Tensor = field(default_factory=partial(torch.empty, 0), repr=False, compare=False)
    height: int = 1
    group: Any = field(default=None, repr=False, compare=False)
    balanced: Grouping | None = None

    def __post_init__(self) -> None:
        if not self.weights:
            weights = {view.weight.name: view.weight for view in self.views}
            sizes = sum(view.cut.sizes(view.frame).flatten() for view in self.views)
            object.__setattr__(self, "weights", tuple(weights.values()))
            object.__setattr__(self, "sizes", sizes)

    @property
    def units(self) -> int:
        """Number of units n."""
        return len(self.sizes)

    @cached_property
    def size(self) -> int | None:
        """Entries of a unit; None where they differ."""
        return int(self.sizes[0]) if bool((self.sizes == self.sizes[0]).all()) else None

    @property
    def entries(self) -> int:
        """Number of weights in all units."""
        return int(self.sizes.sum())

    def norms(self, tensors: Sequence[Tensor] | None = None) -> Tensor:
        """Norms of the units [n], over all views: of the weights, or of a tensor like the weight for each view.

        Of the entries that this process holds: see `sharding.norms_of`.
        """
        given = [None] * len(self.views) if tensors is None else tensors
        parts = [view.norms(tensor) for view, tensor in zip(self.views, given, strict=True)]
        return self.root(parts)

    @property
    def alone(self) -> bool:
        """Whether the units lie in one view, and in this process."""
        return len(self.views) == 1 and self.group is None

    @property
    def blocks(self) -> bool:
        """Whether no view is of single entries."""
        return not any(view.entries for view in self.views)

    def root(self, parts: Sequence[Tensor]) -> Tensor:
        """Norms of the units [n] from those of the blocks of each view."""
        return parts[0] if self.alone else self.total(parts, squares=True)

    def total(self, parts: Sequence[Tensor], *, squares: bool = False) -> Tensor:
        """Sum [n] of values of the blocks of each view, or the root of that of their squares; 0 where there is none.

        Of half types in float32.
        """
        parameter = self.weights[0].parameter
        dtype = torch.promote_types(parameter.dtype, torch.float32)
        result = torch.zeros(self.units, dtype=dtype, device=parameter.device)
        for view, part in zip(self.views, parts, strict=True):
            at = slice(None) if view.at is None else view.at
            part = part.flatten().to(dtype)
            result[at] = torch.hypot(result[at], part) if squares else result[at] + part
        return result

    def gradients(self) -> list[Tensor]:
        """That of the weight of each view, 0 where there is none."""
        parameters = [view.weight.parameter for view in self.views]
        return [torch.zeros_like(local(p)) if p.grad is None else p.grad for p in parameters]

    def products(self) -> Tensor:
        """<w, gradient> of the units [n], of the entries that this process holds; 0 without a gradient."""
        parts = []
        for view, gradient in zip(self.views, self.gradients(), strict=True):
            w, g = (working(matrix).contiguous() for matrix in (view.matrix(), view.matrix(gradient)))
            parts.append(kernels.block_dots(w, g, view.cut))
        return self.total(parts)

    def mask(self, kept: Tensor, parameters: Mapping[str, Tensor] | None = None) -> None:
        """Set the units without kept (bool [n]) to 0: of the weights, or of parameters like them with these names."""
        for view in self.views:
            view.mask(kept, None if parameters is None else parameters[view.weight.name])

    def scale(self, factors: Tensor) -> None:
        """Multiply the units by factors [n]."""
        for view in self.views:
            view.scale(factors)

    def projected_mask(self, matrices: Sequence[Tensor] | None = None) -> Tensor:
        """Mask of the units [n] by the set of the granularity, of the weight or a matrix like that of each view.

        Only where units are not counted.  Of the units that this process holds.
        """
        assert self.chosen_by is not None
        given = [view.matrix() for view in self.views] if matrices is None else matrices
        parts = [self.chosen_by(view, matrix) for view, matrix in zip(self.views, given, strict=True)]
        return parts[0] if self.group is None else self.total(parts) > 0

    def zeros(self) -> int:
        """Number of weights that are exactly 0, of those that this process holds."""
        return sum(int((view.matrix() == 0).sum()) for view in self.views)


def _mask(w: Tensor, kept: Tensor, cut: Cut) -> None:
    kernels.mask_blocks_(w, kept, cut)


def _scale(w: Tensor, factors: Tensor, cut: Cut) -> None:
    kernels.scale_blocks_(w, factors, cut)
