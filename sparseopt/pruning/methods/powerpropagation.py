"""Powerpropagation of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch

from ... import kernels
from ..layer import View
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

    def values(self, sp: Sparsifier) -> list[Tensor]:
        """|v|, kept for the next step: v does not change until then."""
        norms = norms_of(sp.layers)
        for i, norm in enumerate(norms):
            sp.memory[f"{NORMS}{i}"] = norm
        return norms

    def write(self, view: View, values: Tensor, w: Tensor, out: Tensor) -> None:
        """|v_b| v_b."""
        kernels.scale_blocks_into_(out, w, view.grid(values), view.cut)

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """dv_b = |v_b| dw_b + <v_b, dw_b> v_b / |v_b|."""
        if phase.kind != "powered":
            return
        norms = [sp.memory[f"{NORMS}{i}"] for i in range(len(sp.layers))]
        for layer, norm, inner in zip(sp.layers, norms, pulled(sp.layers, norms), strict=True):
            if inner is None:
                continue
            along = torch.where(norm > 0, inner / torch.where(norm > 0, norm, torch.ones_like(norm)), norm)
            for view in layer.views:
                gradient = view.weight.parameter.grad
                if gradient is not None:
                    add = partial(kernels.add_scaled_blocks_, w=view.matrix(), scale=view.grid(along), cut=view.cut)
                    view.change(add, gradient)

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """Forget the norms."""
        for name in [name for name in sp.memory if name.startswith(NORMS)]:
            del sp.memory[name]

    def _scale(self, sp: Sparsifier, power: float) -> None:
        """Multiply every unit by its norm to a power; zero units stay."""
        for layer, norms in zip(sp.layers, norms_of(sp.layers), strict=True):
            layer.scale(torch.where(norms > 0, norms, torch.ones_like(norms)) ** power)
