"""Masks with values between 0 and 1 that are trained by logits: what SequentialAttention and SMART share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ... import kernels
from ...kernels.reference import working
from .. import together
from ..layer import Layer
from ..leaves import Twin
from ..schedules import Phase
from ..sharding import summed
from .behind import Behind

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
Products = list[Tensor | None]
Found = tuple[list[Tensor], Callable[[Products], Products]]
"""Mask values of every layer, and what takes derivatives by them to those by the logits, None where there is none."""
Values = Callable[[list[Tensor]], Found]
"""Both as a function of the logits, without autograd: it takes as long as passes over the weights of small layers."""


class SoftMasks(Behind):
    """Layers compute with s_b w_b.  In memory: "logits.<i>" and, for each layer, its mask values "soft.<i>".

    Logits are trained by a twin of the optimiser of the first weight, with the settings of its group: schedulers and
    weight decay act on them too.  Their gradients are set ahead of the step, after a gradient scaler has unscaled those
    of the weights.  They are float32 or float64: steps of 1e-3 would be lost beside logits of half type.
    """

    logit_decay: float | None = None
    """Weight decay of the logits; None: that of the weights."""

    def values(self, sp: Sparsifier) -> list[Tensor]:
        """s."""
        return [sp.memory[f"soft.{i}"] for i in range(len(sp.layers))]

    def write(self, sp: Sparsifier, cuts: Any, outs: list[Tensor], ws: list[Tensor], values: Any = None) -> None:
        """s_b w_b."""
        kernels.foreach_scale_blocks_into_(outs, ws, values, cuts)

    def attach(self, sp: Sparsifier, phase: Phase) -> None:
        """Train the logits."""
        if phase.kind in self.soft_kind:
            for logit in logits_of(sp):
                logit.requires_grad_(True)
            sp.twin = Twin(sp.optimisers.group_of(next(sp.parameters()))[0], logits_of(sp), sp.memory)

    def train(self, sp: Sparsifier) -> None:
        """A step of the logits; behind that of the weights, before masks are chosen."""
        assert sp.twin is not None  # attached
        group = sp.optimisers.group_of(next(sp.parameters()))[1]
        sp.twin.step(group if self.logit_decay is None else group | {"weight_decay": self.logit_decay})

    def detach(self, sp: Sparsifier, phase: Phase) -> None:
        """Stop training the logits."""
        if sp.twin is not None:
            sp.twin.forget()
            for logit in sp.twin.leaves:
                logit.requires_grad_(False)
                logit.grad = None
            sp.twin = None

    def create(self, sp: Sparsifier, logits: list[Tensor]) -> None:
        """Put logits into memory."""
        for i, logit in enumerate(logits):
            sp.memory[f"logits.{i}"] = working(logit.detach()).clone()

    def set_values(self, sp: Sparsifier, values: list[Tensor]) -> None:
        """Put mask values, which nothing else may change, into memory."""
        for i, value in enumerate(values):
            sp.memory[f"soft.{i}"] = value

    def evaluate(self, sp: Sparsifier, values: Values) -> None:
        """Put mask values of the logits into memory; what they leave is kept for the derivative at the next step."""
        found, pull = values(logits_of(sp))
        self.set_values(sp, found)
        if sp.twin is not None:
            sp.twin.pull = pull

    def pull_back(self, sp: Sparsifier, values: Values | None) -> None:
        """From gradients of what layers compute with to those of the weights and, unless values is None, the logits."""
        products = sp.carry("products", pulled(sp.layers, self.values(sp)))
        if values is None or all(product is None for product in products):
            return
        logits = logits_of(sp)
        pull = (sp.twin.take() if sp.twin is not None else None) or values(logits)[1]
        for logit, derivative in zip(logits, pull(products), strict=True):
            logit.grad = derivative

    def fold(self, sp: Sparsifier) -> None:
        """Multiply the masks into the weights, and forget them."""
        for i, layer in enumerate(sp.layers):
            layer.scale(sp.memory.pop(f"soft.{i}"))
        for i in range(len(logits_of(sp))):
            del sp.memory[f"logits.{i}"]


def pulled(layers: Sequence[Layer], scales: Sequence[Tensor]) -> list[Tensor | None]:
    """Scale the gradients of layers by units; returns <w_b, gradient_b before> [n] of each, None without a gradient."""
    views, products = together.change_gradients(
        together.views_of(layers),
        together.values_of(layers, scales),
        _scaled,
    )
    if len(products) == len(layers) and all(layer.alone for layer in layers):
        pairs = zip(products, scales, strict=True)
        return [x if x.ndim == 1 and x.dtype is s.dtype else x.flatten().to(s.dtype) for x, s in pairs]
    found = {id(view): product for view, product in zip(views, products, strict=True)}
    idle = [all(id(view) not in found for view in layer.views) for layer in layers]
    totals = summed(layers, [_total(layer, scale, found) for layer, scale in zip(layers, scales, strict=True)])
    return [None if without else total for without, total in zip(idle, totals, strict=True)]


def _scaled(cuts: Any, gradients: list[Tensor], ws: list[Tensor], factors: list[Tensor]) -> list[Tensor]:
    """<w_b, gradient_b>, and the gradients scaled; of float16 in float32, as the products would underflow."""
    if all(w.dtype != torch.float16 for w in ws):
        return kernels.foreach_scale_blocks_vjp_(gradients, ws, factors, cuts)
    triples = zip(ws, gradients, cuts, strict=True)
    found = [kernels.block_dots(working(w).contiguous(), working(g).contiguous(), cut) for w, g, cut in triples]
    kernels.foreach_scale_blocks_(gradients, factors, cuts)
    return found


def _total(layer: Layer, values: Tensor, found: dict[int, Tensor]) -> Tensor:
    """Products [n] of a layer from those of its views; 0 for views without a gradient."""
    parts = [found[id(x)] if id(x) in found else x.grid(torch.zeros_like(values)) for x in layer.views]
    return (parts[0].flatten() if layer.alone else layer.total(parts)).to(values.dtype)


def logits_of(sp: Sparsifier) -> list[Tensor]:
    """The logits in memory."""
    logits: list[Tensor] = []
    while (logit := sp.memory.get(f"logits.{len(logits)}")) is not None:
        logits.append(logit)
    return logits
