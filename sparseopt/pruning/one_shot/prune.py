"""One layer after another: measure what flows into it, choose its mask, change its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from ..allocation import Allocation, check_unbalanced
from ..inputs import check_observable, measured
from ..layer import Layer
from ..report import Report, rows_of
from ..sparsifier import target_of
from ..targets import checked_model, layers_of
from ..weights import Weight
from .wanda import Wanda

Tensor = torch.Tensor


class OneShot(Protocol):
    """What Wanda and SparseGPT are."""

    @staticmethod
    def statistic(weight: Weight, x: Tensor) -> Tensor:
        """What is summed over the inputs x of a weight's module."""

    def check(self, layers: list[Layer], granularity: Any) -> None:
        """ValueError where the method cannot do what is asked for."""

    def prune(self, layer: Layer, sums: list[Tensor], granularity: Any, sparsity: float) -> Tensor:
        """Change the weights of a layer, given the statistic of each of its views; returns the mask [n]."""


@torch.no_grad()
def prune_once(
    model: nn.Module,
    granularity: Any,
    batches: Iterable[Any],
    *,
    method: OneShot | None = None,
    sparsity: Any = None,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    smallest: int = 8,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Prune a trained model in place, layer after layer, each on the inputs that the layers pruned before it give.

    batches: of inputs, each a tensor, a tuple of arguments or a dict of named ones; they are passed through the model
    once for each layer.  method: `Wanda()` (the default) or `SparseGPT()`.  Other arguments as for `Sparsifier`.
    progress: called with the name of every layer.  To train on with these masks: a `Sparsifier`, whose
    masks_from_zeros() takes them over.  Raises ValueError, before a weight is changed, for arguments that do not fit.
    """
    chosen: OneShot = Wanda()
    if method is not None:
        chosen = method
    given = list(batches)
    if not given:
        raise ValueError(
            "batches is empty: give a few batches of inputs of the model, e.g. 8 of those it is trained on"
        )
    target = target_of(granularity, sparsity)
    layers, skipped = layers_of(checked_model(model), granularity, target, exclude, include, smallest)
    targets = Allocation.of(layers, target, "layer").targets
    for view in (view for layer in layers for view in layer.views):
        check_observable(view.weight)
        if view.weight.spread:
            raise ValueError(
                f"{view.weight.name} is sharded: prune the whole model in one process, ahead of fully_shard"
            )
    check_unbalanced(layers, type(chosen).__name__)
    chosen.check(layers, granularity)
    masks = {}
    for layer, share in zip(layers, targets, strict=True):
        if progress is not None:
            progress(layer.name)
        sums = measured(model, [view.weight for view in layer.views], given, chosen.statistic)
        masks[layer.name] = chosen.prune(layer, sums, granularity, share)
    return Report(rows_of(layers, masks), tuple(skipped), "pruned in one shot", 0, 0, {})
