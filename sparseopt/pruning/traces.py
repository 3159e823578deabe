"""Weights that somebody else changes between two steps: noticed, and followed where they only moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch

from .weights import Weight, local

if TYPE_CHECKING:
    from .sparsifier import Sparsifier

Tensor = torch.Tensor


class Trace(NamedTuple):
    """Where a weight lies, what it is, and how often it was changed in place (not by way of .data)."""

    address: int
    version: int
    dtype: torch.dtype
    device: torch.device
    stride: tuple[int, ...]


def traces_of(weights: Iterable[Weight]) -> list[Trace]:
    """Of each weight."""
    held = [local(weight.parameter) for weight in weights]
    return [Trace(x.data_ptr(), x._version, x.dtype, x.device, x.stride()) for x in held]


def placed(sp: Sparsifier, name: str, tensor: Tensor) -> Tensor:
    """A tensor of the memory where the weight that it belongs to lies; of its type and order where it is like it.

    In the memory "<what>.<weight>" and "<what>.<weight>:<row>" belong to a weight, "<what>.<i>" and "leaf.<i>.<key>" to
    layer i.
    """
    what, _, owner = name.partition(".")
    owner = owner.partition(".")[0] if what == "leaf" else owner
    if owner.isdecimal():
        layer = sp.layers[min(int(owner), len(sp.layers) - 1)]
        return tensor.to(layer.weights[0].parameter.device)
    weight = next((item for item in sp.weights if item.name in (owner, owner.rpartition(":")[0])), None)
    if weight is None:
        return tensor
    held = local(weight.parameter).detach()
    if tensor.shape == held.shape:
        same = tensor.dtype == held.dtype and tensor.device == held.device and tensor.stride() == held.stride()
        return tensor if same else torch.empty_like(held).copy_(tensor)
    return tensor.to(held.device, held.dtype if tensor.ndim == 2 else tensor.dtype)


def follow(sp: Sparsifier) -> None:
    """Move the memory to where the weights are now; its tensors stay the same objects, as optimisers know them."""
    for name, tensor in sp.memory.items():
        moved = placed(sp, name, tensor)
        if moved is not tensor:
            tensor.data = moved.detach()
    if sp.twin is not None:
        sp.twin.pull = None
    for layer in sp.layers:
        if layer.name in sp.masks:
            sp.masks[layer.name] = sp.masks[layer.name].to(layer.weights[0].parameter.device)
