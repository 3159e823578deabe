"""A pruned layer: units that are kept or dropped together, in one weight or in several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from .. import kernels
from ..kernels import Cut
from .weights import Weight

Tensor = torch.Tensor


@dataclass(frozen=True)
class View:
    """Rows first, ..., stop - 1 (all of them where stop is None) of a weight, cut into blocks: one for each unit."""

    weight: Weight
    cut: Cut
    first: int = 0
    stop: int | None = None

    @property
    def name(self) -> str:
        """The weight's, and the first row where it is a part."""
        return self.weight.name if self.stop is None else f"{self.weight.name}:{self.first}"

    def matrix(self, tensor: Tensor | None = None) -> Tensor:
        """A tensor like the parameter (by default itself) as a matrix [rows, channels * taps] of its memory.

        It is a copy where the memory is in another order (channels last).
        """
        tensor = self.weight.parameter if tensor is None else tensor
        return tensor.detach().flatten(1)[self.first : self.stop]

    def grid(self, values: Tensor) -> Tensor:
        """Values of the units [n] as the kernels want them, [grid]."""
        return values.reshape(self.cut.grid(self.matrix()))

    def change(self, operation: Callable[[Tensor], Any], tensor: Tensor | None = None) -> Any:
        """Let an operation change the matrix in place, also where it is a copy."""
        tensor = self.weight.parameter.detach() if tensor is None else tensor.detach()
        matrix = self.matrix(tensor)
        result = operation(matrix)
        if matrix.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr():
            tensor[self.first : self.stop].copy_(matrix.reshape(tensor[self.first : self.stop].shape))
        return result

    def norms(self, tensor: Tensor | None = None) -> Tensor:
        """Norms of the units [n]."""
        matrix = self.matrix(tensor)
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
class Layer:
    """Units 0, ..., n - 1 of one or several views: unit i is block i of each of them.

    chosen_by: of a granularity whose masks are those of a set, the function (view, matrix) -> mask; None
    where units are counted.
    """

    name: str
    views: tuple[View, ...]
    chosen_by: Callable[[View, Tensor], Tensor] | None = None
    sizes: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = sum(view.cut.sizes(view.matrix()).flatten() for view in self.views)
        object.__setattr__(self, "sizes", sizes)

    @property
    def units(self) -> int:
        """Number of units n."""
        return len(self.sizes)

    @property
    def entries(self) -> int:
        """Number of weights in all units."""
        return int(self.sizes.sum())

    def norms(self, tensors: Sequence[Tensor] | None = None) -> Tensor:
        """Norms of the units [n], over all views: of the weights, or of a tensor like the weight for each view."""
        given = [None] * len(self.views) if tensors is None else tensors
        first, *others = (view.norms(tensor) for view, tensor in zip(self.views, given, strict=True))
        if not others:
            return first
        return torch.stack([first, *others]).norm(dim=0)

    def gradient_norms(self) -> Tensor:
        """Norms of the gradients of the units [n], 0 without a gradient."""
        gradients = [view.weight.parameter.grad for view in self.views]
        weights = [view.weight.parameter for view in self.views]
        return self.norms([torch.zeros_like(w) if g is None else g for w, g in zip(weights, gradients, strict=True)])

    def products(self) -> Tensor:
        """|<w, gradient>| of the units [n], 0 without a gradient."""
        total = torch.zeros(())
        for view in self.views:
            gradient = view.weight.parameter.grad
            if gradient is not None:
                w = view.matrix().contiguous()
                total = total + kernels.block_dots(w, view.matrix(gradient).contiguous(), view.cut).flatten()
        return total.abs().expand(self.units)

    def mask(self, kept: Tensor, parameters: Mapping[str, Tensor] | None = None) -> None:
        """Set the units without kept (bool [n]) to 0: of the weights, or of parameters like them with these names."""
        for view in self.views:
            view.mask(kept, None if parameters is None else parameters[view.weight.name])

    def scale(self, factors: Tensor) -> None:
        """Multiply the units by factors [n]."""
        for view in self.views:
            view.scale(factors)

    def projected_mask(self, matrix: Tensor | None = None) -> Tensor:
        """Mask of the units [n] by the set of the granularity, of the weight or another matrix like it.

        Only where units are not counted.
        """
        assert self.chosen_by is not None
        return self.chosen_by(self.views[0], self.views[0].matrix() if matrix is None else matrix)

    def zeros(self) -> int:
        """Number of weights that are exactly 0."""
        return sum(int((view.matrix() == 0).sum()) for view in self.views)


def _mask(w: Tensor, kept: Tensor, cut: Cut) -> None:
    kernels.mask_blocks_(w, kept, cut)


def _scale(w: Tensor, factors: Tensor, cut: Cut) -> None:
    kernels.scale_blocks_(w, factors, cut)
