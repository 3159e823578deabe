"""Views of many layers, worked on in one call of an operation on lists (`kernels.foreach_...`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import torch

from .. import kernels
from ..kernels import Cut
from ..kernels.reference import working
from .layer import Layer, View
from .weights import Weight

Tensor = torch.Tensor
Operation = Callable[..., Any]


class Views(list[View]):
    """Views that are worked on together again and again."""

    @cached_property
    def cuts(self) -> kernels.Cuts | None:
        """How each is cut into blocks; None where one has some rows of a weight only."""
        if not all(view.whole and view.at is None for view in self):
            return None
        if any(view.weight.spread for view in self):
            return None
        sizes = [(*view.weight.shape, view.weight.taps) for view in self]
        return kernels.Cuts([view.cut for view in self], [(rows, channels * taps) for rows, channels, taps in sizes])

    def dense(self, *lists: Sequence[Tensor]) -> kernels.Cuts | None:
        """The cuts, where the compiled core takes lists of tensors like the weights as they are."""
        return self.cuts if self.cuts is not None and self.cuts.dense(*lists) else None


class Layers(list[Layer]):
    """Layers that are worked on together again and again."""

    @cached_property
    def views(self) -> Views:
        """Of all layers, in their order."""
        return Views(view for layer in self for view in layer.views)

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """Of all layers, each once."""
        return tuple({weight.name: weight for layer in self for weight in layer.weights}.values())

    @cached_property
    def even(self) -> bool:
        """Whether all units are of one size."""
        return len({layer.size for layer in self}) == 1 and self[0].size is not None

    @cached_property
    def blocks(self) -> bool:
        """Whether no layer has views of single entries."""
        return all(layer.blocks for layer in self)

    @cached_property
    def alone(self) -> bool:
        """Whether the units of each layer are the blocks of one view, in this process."""
        return all(layer.alone for layer in self)


def views_of(layers: Iterable[Layer]) -> Views:
    """Of all layers, in their order."""
    return layers.views if isinstance(layers, Layers) else Layers(layers).views


def weights_of(views: Iterable[View]) -> list[Tensor]:
    """The parameters."""
    return [view.weight.parameter for view in views]


def cuts_of(views: Iterable[View]) -> list[Cut]:
    """How each is cut into blocks."""
    return [view.cut for view in views]


def matrices_of(views: Iterable[View]) -> list[Tensor]:
    """Of the weights."""
    return [view.matrix() for view in views]


def grids_of(layers: Iterable[Layer], values: Iterable[Tensor]) -> list[Tensor]:
    """Values [n] of the units of each layer, for each of its views as the kernels want them."""
    return [view.grid(given) for layer, given in zip(layers, values, strict=True) for view in layer.views]


def change(views: Sequence[View], operation: Operation, *given: Sequence[Any] | None, values: Any = None) -> Any:
    """operation(cuts, *matrices): let it change the first of lists of matrices, also where they are copies.

    given: tensors like the weights for each view, by default one list, the weights themselves, as is any None.
    values: for each view those of its units [n], the last argument of the operation, unless None.
    """
    lists = [weights_of(views) if each is None else each for each in given or (None,)]
    last = [] if values is None else [values]
    cuts = views.dense(*lists) if isinstance(views, Views) else None
    if cuts is not None:
        return operation(cuts, *lists, *last)
    matrices = [[view.matrix(x) for view, x in zip(views, each, strict=True)] for each in lists]
    grids = [[view.grid(value) for view, value in zip(views, each, strict=True)] for each in last]
    result = operation(cuts_of(views), *matrices, *grids)
    for view, matrix, tensor in zip(views, matrices[0], lists[0], strict=True):
        view.put_back(matrix, tensor)
    return result


def change_gradients(views: Sequence[View], values: Sequence[Tensor], operation: Operation) -> tuple[list[View], Any]:
    """operation(cuts, gradients, weights, values): let it change the gradients of views, given values for each.

    Returns the views that have a gradient, and what the operation on them returned.
    """
    gradients = [view.weight.parameter.grad for view in views]
    if any(gradient is None for gradient in gradients):
        moved = [gradient is not None for gradient in gradients]
        views = [view for view, there in zip(views, moved, strict=True) if there]
        values = [value for value, there in zip(values, moved, strict=True) if there]
        gradients = [gradient for gradient in gradients if gradient is not None]
    return list(views), change(views, operation, gradients, None, values=values)


def values_of(layers: Sequence[Layer], values: Sequence[Tensor]) -> list[Tensor]:
    """Values [n] of the units of each layer, for each of its views."""
    return [given for layer, given in zip(layers, values, strict=True) for _ in layer.views]


def mask(layers: Sequence[Layer], masks: Sequence[Tensor]) -> None:
    """Set the units without mask (bool [n]) to 0."""
    change(
        views_of(layers),
        lambda cuts, matrices, kept: kernels.foreach_mask_blocks_(matrices, kept, cuts),
        values=values_of(layers, masks),
    )


def masked_norms(layers: Layers, outs: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor] | None:
    """Norms of the units of each layer, and its weights without the units that have no mask (bool [n]) into outs.

    None, and nothing is done, where that takes two passes: see `norms` and `change`.
    """
    if not (layers.alone and layers.blocks):
        return None
    weights = weights_of(layers.views)
    cuts = layers.views.dense(weights, outs)
    return None if cuts is None else kernels.foreach_mask_norms_into_(outs, weights, masks, cuts)


def norms(layers: Sequence[Layer], tensors: Sequence[Sequence[Any] | None]) -> list[Tensor]:
    """`Layer.norms` of each, of the weights (None) or of a tensor like the weight for each view."""
    if isinstance(layers, Layers) and layers.alone and layers.blocks and not any(tensors):
        weights = weights_of(layers.views)
        cuts = layers.views.dense(weights)
        if cuts is not None:
            return kernels.foreach_block_norms(weights, cuts)
    pairs = list(zip(layers, tensors, strict=True))
    given = [(layer, its or [None] * len(layer.views)) for layer, its in pairs if layer.blocks]
    views = views_of(layers if len(given) == len(layers) else [layer for layer, _ in given])
    held = [
        view.weight.parameter if x is None else x
        for layer, its in given
        for view, x in zip(layer.views, its, strict=True)
    ]
    cuts = views.dense(held)
    if cuts is None:
        matrices = [working(view.matrix(x)) for view, x in zip(views, held, strict=True)]
        found = iter(kernels.foreach_block_norms(matrices, cuts_of(views)))
    else:
        found = iter(kernels.foreach_block_norms(held, cuts))
    return [
        layer.root([next(found).flatten() for _ in layer.views]) if layer.blocks else layer.norms(its)
        for layer, its in pairs
    ]
