"""Weights that FSDP2 spreads over processes by rows: what each process holds of the units, and sums over all of them.

Masks, scores and logits belong to units and are the same in every process; weights, what is behind them, multipliers
and momenta are of the rows that a process holds.  A block that lies in several processes has a part in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from . import together
from .layer import Layer, View
from .weights import Weight, local

Tensor = torch.Tensor


def check_wrapping(model: nn.Module) -> None:
    """ValueError for models whose parameters are flattened."""
    if not dist.is_available():
        return
    from torch.distributed.fsdp import FullyShardedDataParallel

    if any(isinstance(module, FullyShardedDataParallel) for module in model.modules()):
        raise ValueError(
            "FullyShardedDataParallel flattens parameters, which hides their rows and columns: use fully_shard of "
            "torch.distributed.fsdp (FSDP2), or DistributedDataParallel"
        )


def check_parallel(group: Any) -> None:
    """ValueError where processes see different data, and the model does not say which of them belong together."""
    if group is None and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        raise ValueError(
            "inputs are averaged over all processes: give the Sparsifier the DistributedDataParallel model itself"
        )


def data_group(model: nn.Module, layers: Sequence[Layer]) -> Any:
    """The processes that see different data of one model: of DistributedDataParallel or of fully_shard, or None."""
    for module in model.modules():
        if isinstance(module, nn.parallel.DistributedDataParallel):
            return module.process_group
    return next((layer.group for layer in layers if layer.group is not None), None)


def spread(layer: Layer) -> Layer:
    """The layer as this process holds it: itself, or views of the rows that are here.

    ValueError for layouts other than rows over one dimension of the mesh, and for windows that would be cut.
    """
    if not any(weight.spread for weight in layer.weights):
        return layer
    held = {weight.name: replace(weight, held=weight.parameter) for weight in layer.weights}
    groups = {id(group): group for group in (_group(weight) for weight in layer.weights)}
    if len(groups) > 1:
        raise ValueError(f"{layer.name} has weights on different meshes: shard the whole model by one fully_shard mesh")
    views = tuple(part for view in layer.views for part in _parts(layer, view, held[view.weight.name]))
    group = next(iter(groups.values()))
    weights = tuple(held.values())
    return Layer(layer.name, views, layer.chosen_by, weights, layer.sizes, layer.height, group, layer.balanced)


def _group(weight: Weight) -> Any:
    """The processes that the rows of a weight are spread over."""
    parameter: Any = weight.parameter
    placements = parameter.placements
    sharded = [i for i, placement in enumerate(placements) if not placement.is_replicate()]
    if len(sharded) != 1 or type(placements[sharded[0]]).__name__ != "Shard" or placements[sharded[0]].dim != 0:
        raise ValueError(
            f"{weight.name} is laid out as {tuple(placements)}: rows (Shard(0)) over one dimension of the mesh can be "
            "pruned; use fully_shard without tensor parallelism or another shard_placement_fn, or exclude the layer"
        )
    return parameter.device_mesh.get_group(sharded[0])


def _first_row(weight: Weight) -> int:
    """Of those that this process holds."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    parameter: Any = weight.parameter
    offsets = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)[1]
    return int(offsets[0])


def gathered(weight: Weight, held: Tensor) -> Tensor:
    """All rows of a tensor [rows of this process, ...] that is spread like a weight; every process takes part."""
    if not weight.spread:
        return held
    from torch.distributed.tensor import DTensor

    parameter: Any = weight.parameter
    shape = torch.Size((parameter.shape[0], *held.shape[1:]))
    stride = torch.empty(shape, device="meta").stride()
    spread_out: Any = DTensor.from_local(
        held.contiguous(), parameter.device_mesh, parameter.placements, shape=shape, stride=stride
    )
    return spread_out.full_tensor()


def rows_here(weight: Weight, whole: Tensor) -> Tensor:
    """Those of a tensor [rows, ...] that this process holds of a weight."""
    if not weight.spread:
        return whole
    first = _first_row(weight)
    return whole[first : first + local(weight.parameter).shape[0]]


def _parts(layer: Layer, view: View, weight: Weight) -> list[View]:
    """Views of the rows that are here: of the blocks that begin in another process, and of the others."""
    start, count = _first_row(weight), local(weight.parameter).shape[0]
    rows = view.frame.shape[0]
    low, high = max(view.first, start) - view.first, min(view.first + rows, start + count) - view.first
    if layer.chosen_by is not None:
        _check_windows(layer, weight, low)
    r, result = view.cut.r, []
    per_row = view.cut.grid(view.frame)[1] * view.cut.taps
    middle = min(high, -(-low // r) * r)
    for a, b in ((low, middle), (middle, high)):
        if b > a:
            at = slice(a // r * per_row, -(-b // r) * per_row)
            result.append(View(weight, view.cut, a + view.first - start, b + view.first - start, at))
    return result


def _check_windows(layer: Layer, weight: Weight, first: int) -> None:
    if weight.transposed or first % layer.height:
        raise ValueError(
            f"the windows of {layer.name} lie in several processes: use another number of processes, blocks instead of "
            "windows, or exclude the layer"
        )


def summed(layers: Sequence[Layer], values: Sequence[Tensor]) -> list[Tensor]:
    """For each layer its values added up over the processes that share it, in one exchange."""
    spread_out = [i for i, layer in enumerate(layers) if layer.group is not None]
    result = list(values)
    if not spread_out:
        return result
    flat = torch.cat([values[i].flatten().double() for i in spread_out])
    dist.all_reduce(flat, group=layers[spread_out[0]].group)
    parts = flat.split([values[i].numel() for i in spread_out])
    for i, part in zip(spread_out, parts, strict=True):
        result[i] = part.reshape(values[i].shape).to(values[i].dtype)
    return result


def norms_of(layers: Sequence[Layer], tensors: Sequence[Sequence[Tensor]] | None = None) -> list[Tensor]:
    """Norms of the units [n] of each layer: of the weights, or of a tensor like the weight for each view."""
    given: Sequence[Sequence[Tensor] | None] = [None] * len(layers) if tensors is None else tensors
    return rooted(layers, together.norms(layers, given))


def rooted(layers: Sequence[Layer], parts: Sequence[Tensor]) -> list[Tensor]:
    """Norms of the units [n] of each layer from those of the parts that this process holds."""
    whole = [layer.group is None for layer in layers]
    totals = summed(layers, [x if one else x.double().square() for one, x in zip(whole, parts, strict=True)])
    return [x if one else x.sqrt().to(part.dtype) for one, x, part in zip(whole, totals, parts, strict=True)]


def masks_of(layers: Sequence[Layer], matrices: Sequence[Sequence[Tensor]] | None = None) -> list[Tensor]:
    """Masks [n] of each layer by the set of the granularity: of the weights, or of a matrix for each view."""
    given: Sequence[Sequence[Tensor] | None] = [None] * len(layers) if matrices is None else matrices
    parts = [layer.projected_mask(matrix) for layer, matrix in zip(layers, given, strict=True)]
    return [total > 0 for total in summed(layers, parts)]


def zeros_of(layers: Sequence[Layer]) -> list[int]:
    """Number of weights of each layer that are exactly 0."""
    return [int(total) for total in summed(layers, [torch.tensor(layer.zeros()) for layer in layers])]


def check_arrived(layers: Sequence[Layer]) -> None:
    """ValueError where weights were spread after the layers were found."""
    if not (dist.is_available() and dist.is_initialized()):
        return
    late = [weight.name for layer in layers if layer.group is None for weight in layer.weights if weight.spread]
    if late:
        raise ValueError(f"{late[0]} was sharded after the Sparsifier was built: build it after fully_shard")
