"""Powerpropagation of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from ... import kernels
from .. import together
from ..layer import Layer
from ..schedules import Phase, Timeline, checked_fraction
from ..sharding import norms_of
from .behind import Behind
from .soft_masks import pulled

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
NORMS = "norms."


@dataclass(frozen=True)
class Powerpropagation(Behind):
    """min over v of L(w), w_b = |v_b| v_b for each unit: the rich get richer; weight decay of v is a group LASSO of w.

    until: fraction of the steps in which v is trained, starting from w / sqrt|w_b|; then w is trained again, the
    units of largest norm are kept, and training goes on.
    Source: Schwarz et al. (2021); for groups SequentialAttention++ (arXiv 2402.17902), Lemma 2.3.
    """

    until: float = 0.75
    needs_counted = True
    soft_kind: ClassVar[tuple[str, ...]] = ("powered",)

    def __post_init__(self) -> None:
        checked_fraction(self.until, "until")

    def timeline(self, total_steps: int) -> Timeline:
        """Powered, sparse."""
        return Timeline.of(total_steps, ("powered", self.until))

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Train v in place of w, or w again."""
        if phase.kind == "powered":
            self._scale(sp, -0.5)
        elif phase.start > 0:
            self._scale(sp, 1.0)
            sp.optimisers.reset(sp.parameters())
        super().enter(sp, phase)

    def write(self, sp: Sparsifier, cuts: Any, outs: list[Tensor], ws: list[Tensor], values: Any = None) -> None:
        """|v_b| v_b; the norms are kept for the next step: v does not change until then."""
        if sp.layers.alone and sp.layers.blocks:
            norms = [found.flatten() for found in kernels.foreach_power_blocks_into_(outs, ws, cuts)]
        else:
            norms = norms_of(sp.layers)
            kernels.foreach_scale_blocks_into_(outs, ws, together.grids_of(sp.layers, norms), cuts)
        for i, norm in enumerate(norms):
            sp.memory[f"{NORMS}{i}"] = norm

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """dv_b = |v_b| dw_b + <v_b, dw_b> v_b / |v_b|."""
        if phase.kind != "powered":
            return
        norms = [sp.memory[f"{NORMS}{i}"] for i in range(len(sp.layers))]
        if sp.layers.alone:
            _pull_back(sp.layers, norms)
            return
        pairs = list(zip(sp.layers, norms, strict=True))
        here = together.Layers(layer for layer in sp.layers if layer.alone)
        _pull_back(here, [norm for layer, norm in pairs if layer.alone])
        _pull_back_parts([(layer, norm) for layer, norm in pairs if not layer.alone])

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """Forget the norms."""
        sp.forget(NORMS)

    def _scale(self, sp: Sparsifier, power: float) -> None:
        """Multiply every unit by its norm to a power; zero units stay."""
        for layer, norms in zip(sp.layers, norms_of(sp.layers), strict=True):
            layer.scale(torch.where(norms > 0, norms, torch.ones_like(norms)) ** power)


def _pull_back(layers: together.Layers, norms: list[Tensor]) -> None:
    """Of layers whose units lie together, with their norms."""
    together.change_gradients(
        layers.views, norms, lambda cuts, gs, ws, given: kernels.foreach_power_blocks_vjp_(gs, ws, given, cuts)
    )


def _pull_back_parts(pairs: list[tuple[Layer, Tensor]]) -> None:
    """Of layers whose units have parts in several weights or processes."""
    layers, norms = [layer for layer, _ in pairs], [norm for _, norm in pairs]
    for layer, norm, inner in zip(layers, norms, pulled(layers, norms), strict=True):
        if inner is None:
            continue
        along = torch.where(norm > 0, inner / torch.where(norm > 0, norm, torch.ones_like(norm)), norm)
        for view in layer.views:
            gradient = view.weight.parameter.grad
            if gradient is not None:
                add = partial(kernels.add_scaled_blocks_, w=view.matrix(), scale=view.grid(along), cut=view.cut)
                view.change(add, gradient)
