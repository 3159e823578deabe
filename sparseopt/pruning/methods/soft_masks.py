"""Masks with values between 0 and 1 that are trained by logits: what SequentialAttention and SMART share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from ..soft import Scaled, harden, soften

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
Values = Callable[[list[Tensor]], list[Tensor]]
"""Mask values of every layer as a differentiable function of the logits."""


class SoftMasks:
    """In memory: "logits.<i>" and, for each layer, "leaf.<i>", the mask values that its weight is multiplied by.

    The loss is differentiated with respect to the leaves; ahead of an optimiser step the chain rule takes these
    derivatives on to the logits, once for all layers.  Leaves and logits are in the optimiser's group of the first
    weight, so that gradient scalers and schedulers treat them like it; weight decay acts on the logits too.
    """

    def __init__(self, sp: Sparsifier) -> None:
        self.sp = sp

    @staticmethod
    def create(sp: Sparsifier, logits: list[Tensor]) -> None:
        """Put logits into memory, and leaves of 1."""
        for i, logit in enumerate(logits):
            sp.memory[f"logits.{i}"] = logit.detach().clone()
        for i, layer in enumerate(sp.layers):
            weight = layer.views[0].weight.parameter
            dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
            sp.memory[f"leaf.{i}"] = torch.ones(layer.units, dtype=dtype, device=weight.device)

    @property
    def logits(self) -> list[Tensor]:
        """The logits in memory."""
        return _numbered(self.sp, "logits")

    @property
    def leaves(self) -> list[Tensor]:
        """The leaves in memory."""
        return _numbered(self.sp, "leaf")

    def attach(self) -> None:
        """Let the layers use the masks, and the optimiser train the logits."""
        trained = [*self.logits, *self.leaves]
        for tensor in trained:
            tensor.requires_grad_(True)
        soften(self.sp.layers, [Scaled(leaf) for leaf in self.leaves])
        self.sp.optimisers.adopt(trained, next(self.sp.parameters()))

    def detach(self) -> None:
        """Undo attach."""
        harden(self.sp.layers)
        trained = [*self.logits, *self.leaves]
        self.sp.optimisers.release(trained)
        for tensor in trained:
            tensor.requires_grad_(False)
            tensor.grad = None

    def pull_back(self, values: Values) -> None:
        """Turn the gradients of the leaves into gradients of the logits."""
        gradients = [leaf.grad for leaf in self.leaves]
        for leaf in self.leaves:
            leaf.grad = None
        if any(gradient is None for gradient in gradients):
            return
        with torch.enable_grad():
            derivatives = torch.autograd.grad(values(self.logits), self.logits, gradients, allow_unused=True)
        for logit, derivative in zip(self.logits, derivatives, strict=True):
            logit.grad = derivative

    def set(self, values: list[Tensor]) -> None:
        """Write mask values into the leaves."""
        with torch.no_grad():
            for leaf, value in zip(self.leaves, values, strict=True):
                leaf.copy_(value)

    def fold(self) -> None:
        """Multiply the weights by the masks and forget them; after detach."""
        for layer, leaf in zip(self.sp.layers, self.leaves, strict=True):
            layer.scale(leaf.detach())
        for name in [name for name in self.sp.memory if name.startswith(("logits.", "leaf."))]:
            del self.sp.memory[name]


def _numbered(sp: Sparsifier, prefix: str) -> list[Tensor]:
    count = sum(name.startswith(prefix + ".") for name in sp.memory)
    return [sp.memory[f"{prefix}.{i}"] for i in range(count)]
