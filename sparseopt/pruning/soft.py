"""Layers whose weight is transformed in the forward pass, for as long as a method needs it.

The module keeps its parameters, names and class: only its `forward` is replaced on the instance, by an object that
deepcopy and pickle know how to treat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .. import kernels
from ..kernels import Cut
from .layer import Layer

Tensor = torch.Tensor


@dataclass(frozen=True)
class Part:
    """Where a view lies in its weight; without a reference to the model, so that a copied layer copies no more."""

    name: str
    cut: Cut
    first: int
    stop: int | None


@dataclass
class Scaled:
    """w times a factor for each block: `leaf` [n], whose gradient collects <w_b, dw_b>."""

    leaf: Tensor

    def __call__(self, matrix: Tensor, part: Part) -> Tensor:
        """The weight to use, as a matrix."""
        return kernels.scale_blocks(matrix, self.leaf.to(matrix.dtype).reshape(part.cut.grid(matrix)), part.cut)


@dataclass
class Powered:
    """|w_b| w_b for each block."""

    def __call__(self, matrix: Tensor, part: Part) -> Tensor:
        """The weight to use, as a matrix."""
        return kernels.scale_blocks(matrix, kernels.block_norms(matrix, part.cut), part.cut)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, projected: Tensor) -> Tensor:
        return projected.view_as(projected)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return g, None


@dataclass
class StraightThrough:
    """w in the units with kept (bool [n], changed from outside), else 0; its gradient is passed to all of w."""

    kept: Tensor

    def __call__(self, matrix: Tensor, part: Part) -> Tensor:
        """The weight to use, as a matrix."""
        kept = self.kept.reshape(part.cut.grid(matrix))
        return _StraightThrough.apply(matrix, kernels.scale_blocks(matrix.detach(), kept.to(matrix.dtype), part.cut))


@dataclass
class SoftForward:
    """Takes the place of `module.forward`: the weight is made of transformed views, one after another."""

    module: nn.Module
    attribute: str
    parts: list[tuple[Part, Any]]

    def weight(self) -> Tensor:
        """The transformed weight, in the shape of the parameter."""
        w = getattr(self.module, self.attribute)
        flat = w.flatten(1)
        parts = [transform(flat[part.first : part.stop], part) for part, transform in self.parts]
        whole = parts[0] if len(parts) == 1 else torch.cat(parts)
        return whole.reshape(w.shape)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The layer with this weight."""
        module: Any = self.module
        if type(module) is nn.Linear:
            return functional.linear(inputs[0], self.weight(), module.bias)
        if type(module) in (nn.Conv1d, nn.Conv2d, nn.Conv3d):
            return module._conv_forward(inputs[0], self.weight(), module.bias)
        return self._exchanged(*inputs, **named)

    def _exchanged(self, *inputs: Any, **named: Any) -> Any:
        """Other modules: their own forward, with the parameter exchanged while it runs."""
        module, weight = self.module, self.weight()
        parameter = module._parameters.pop(self.attribute)
        module.__dict__[self.attribute] = weight
        try:
            return type(module).forward(module, *inputs, **named)
        finally:
            del module.__dict__[self.attribute]
            module._parameters[self.attribute] = parameter


def soften(layers: list[Layer], transforms: list[Any]) -> None:
    """Let the layers use transformed weights; transforms [list]: one for each layer."""
    for layer, transform in zip(layers, transforms, strict=True):
        for view in layer.views:
            module = view.weight.module
            part = Part(view.name, view.cut, view.first, view.stop)
            present = module.__dict__.setdefault("forward", SoftForward(module, view.weight.attribute, []))
            if not isinstance(present, SoftForward):
                raise ValueError(
                    f"{view.weight.module_name} has a forward of its own (another library's hook?): exclude it"
                )
            present.parts.append((part, transform))
            present.parts.sort(key=lambda item: item[0].first)


def harden(layers: list[Layer]) -> None:
    """Let the layers use their own weights again."""
    for layer in layers:
        for view in layer.views:
            if isinstance(view.weight.module.__dict__.get("forward"), SoftForward):
                del view.weight.module.__dict__["forward"]
