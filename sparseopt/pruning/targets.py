"""From a model to the layers that are pruned: checks, choice of weights, cuts, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..kernels.layout import DTYPES, HALF
from ..sets.entries import checked_count
from .allocation import Allocation, checked_sparsity
from .layer import Layer
from .weights import Skipped, Weight, choose_weights, local

FLOATS = (*DTYPES, *HALF)


def checked_model(model: Any) -> nn.Module:
    """`model`; ValueError unless it is a torch module."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is of type {type(model).__name__}: give a torch.nn.Module")
    return model


def layers_of(
    model: nn.Module, granularity: Any, sparsity: Any, exclude: Sequence[str], include: Sequence[str], smallest: int
) -> tuple[list[Layer], list[Skipped]]:
    """The layers to prune and the weights that stay dense.

    ValueError where no layer is left, or a weight to prune has no memory, no floating type, or entries not finite.
    """
    smallest = checked_count(smallest, "smallest", 1)
    if not isinstance(sparsity, dict):
        checked_sparsity(sparsity)
    weights, skipped = choose_weights(model, exclude, include)
    for weight in weights:
        checked_weight(weight)
    layers, misfits = granularity.layers(weights)
    skipped += [Skipped(weight.name, weight.parameter.numel(), reason) for weight, reason in misfits]
    kept = []
    for layer in layers:
        reason = _too_small(layer, granularity, sparsity, smallest)
        if reason is None:
            kept.append(layer)
        else:
            skipped.append(Skipped(layer.name, layer.entries, reason))
    if not kept:
        found = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:8]) or "it has no linear or conv layer"
        raise ValueError(
            f"nothing is left to prune in {type(model).__name__} ({found}): choose another granularity or sparsity, "
            "a smaller `smallest`, or name layers in include=[...]"
        )
    return kept, skipped


def _too_small(layer: Layer, granularity: Any, sparsity: Any, smallest: int) -> str | None:
    if not granularity.counted:
        return None
    if layer.units < smallest:
        return f"{layer.units} units, fewer than smallest={smallest}"
    target = Allocation.of([layer], sparsity, "layer").targets[0]
    if (1 - target) * layer.units < 1:
        return f"a density of {1 - target:g} is less than one of its {layer.units} units"
    return None


def checked_weight(weight: Weight) -> Weight:
    """`weight`; ValueError unless it is a dense floating tensor in memory of its own with finite entries."""
    parameter, name = weight.parameter, weight.name
    if parameter.device.type == "meta":
        raise ValueError(
            f"{name} is on the meta device: materialise the model first, e.g. model.to_empty(device='cpu')"
        )
    if parameter.dtype not in FLOATS or parameter.is_quantized or parameter.is_sparse:
        raise ValueError(f"{name} is {parameter.dtype} ({parameter.layout}): dense floating weights can be pruned")
    if any(step == 0 and size > 1 for step, size in zip(parameter.stride(), parameter.shape, strict=True)):
        raise ValueError(f"{name} is expanded, so that entries share memory: give its module a .clone() of it")
    if getattr(weight.module, "sparse", False):
        raise ValueError(f"{name} has sparse gradients: build its nn.Embedding with sparse=False, or exclude it")
    if not bool(torch.isfinite(local(parameter.detach())).all()):
        raise ValueError(f"{name} has NaN or infinite entries: repair the model first")
    return weight
