"""Views of many layers, worked on in one call of an operation on lists (`kernels.foreach_...`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from .. import kernels
from ..kernels import Cut
from ..kernels.reference import working
from .layer import Layer, View

Tensor = torch.Tensor


def views_of(layers: Iterable[Layer]) -> list[View]:
    """Of all layers, in their order."""
    return [view for layer in layers for view in layer.views]


def cuts_of(views: Iterable[View]) -> list[Cut]:
    """How each is cut into blocks."""
    return [view.cut for view in views]


def matrices_of(views: Iterable[View]) -> list[Tensor]:
    """Of the weights."""
    return [view.matrix() for view in views]


def grids_of(layers: Iterable[Layer], values: Iterable[Tensor]) -> list[Tensor]:
    """Values [n] of the units of each layer, for each of its views as the kernels want them."""
    return [view.grid(given) for layer, given in zip(layers, values, strict=True) for view in layer.views]


def change(
    views: Sequence[View], operation: Callable[[list[Tensor]], Any], tensors: Sequence[Any] | None = None
) -> Any:
    """Let an operation change the matrices of a tensor for each view (None: the weight), also where they are copies."""
    given = [None] * len(views) if tensors is None else tensors
    matrices = [view.matrix(tensor) for view, tensor in zip(views, given, strict=True)]
    result = operation(matrices)
    for view, matrix, tensor in zip(views, matrices, given, strict=True):
        view.put_back(matrix, tensor)
    return result


def change_gradients(
    views: Sequence[View],
    values: Sequence[Any],
    operation: Callable[[list[Tensor], list[Tensor], list[Any], list[Cut]], Any],
) -> tuple[list[View], Any]:
    """Let an operation change the gradients of views, given their weights, a value for each, and their cuts.

    Returns the views that have a gradient, and what the operation on them returned.
    """
    pairs = zip(views, values, strict=True)
    moved = [(view, value) for view, value in pairs if view.weight.parameter.grad is not None]
    views, given = [view for view, _ in moved], [value for _, value in moved]
    ws, cuts, gradients = matrices_of(views), cuts_of(views), [view.weight.parameter.grad for view in views]
    return views, change(views, lambda matrices: operation(matrices, ws, given, cuts), gradients)


def mask(layers: Sequence[Layer], masks: Sequence[Tensor]) -> None:
    """Set the units without mask (bool [n]) to 0."""
    views, kept = views_of(layers), grids_of(layers, masks)
    change(views, lambda matrices: kernels.foreach_mask_blocks_(matrices, kept, cuts_of(views)))


def norms(layers: Sequence[Layer], tensors: Sequence[Sequence[Any] | None]) -> list[Tensor]:
    """`Layer.norms` of each, of the weights (None) or of a tensor like the weight for each view."""
    pairs = list(zip(layers, tensors, strict=True))
    given = [(layer, its or [None] * len(layer.views)) for layer, its in pairs if layer.blocks]
    views = views_of(layer for layer, _ in given)
    matrices = [working(view.matrix(x)) for layer, its in given for view, x in zip(layer.views, its, strict=True)]
    found = iter(kernels.foreach_block_norms(matrices, cuts_of(views)))
    return [
        layer.root([next(found).flatten() for _ in layer.views]) if layer.blocks else layer.norms(its)
        for layer, its in pairs
    ]
