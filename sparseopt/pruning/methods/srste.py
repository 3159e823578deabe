"""SR-STE: sparse-refined straight-through training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from ... import kernels
from ..._array import real_number
from .. import together
from ..schedules import Phase, Timeline, checked_fraction, checked_steps
from .behind import Behind

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor


@dataclass(frozen=True)
class SRSTE(Behind):
    """min over w of L(P(w)), P the projection on the sparse weights, by straight-through gradients.

    The forward pass uses P(w), its gradient is passed to all of w, and pull (1 - mask) w is added to it, which draws
    dropped weights to 0 and keeps masks from oscillating.  pull: >= 0; 0 is the plain straight-through estimator.
    until: fraction of the steps in which masks still change; every: steps between two choices of the masks.
    Works with every granularity.  Source: Zhou et al. (2021), arXiv 2102.04010, whose pull is the default; ADMM pattern
    pruning (arXiv 2407.08334).  `sparseopt.solvers.SRSTE` is the same iteration for regression.
    """

    pull: float = 2e-4
    until: float = 0.75
    every: int = 1
    soft_kind: ClassVar[tuple[str, ...]] = ("straight",)

    def __post_init__(self) -> None:
        if not 0 <= real_number(self.pull) < float("inf"):
            raise ValueError(f"pull is {self.pull!r}: give a finite number >= 0")
        checked_fraction(self.until, "until")
        checked_steps(self.every, "every")

    def timeline(self, total_steps: int) -> Timeline:
        """Straight through, sparse."""
        return Timeline.of(total_steps, ("straight", self.until))

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Choose masks, or forget them."""
        if phase.kind == "straight":
            self._choose(sp)
            sp.record_masks([sp.memory[f"kept.{i}"] for i in range(len(sp.layers))])
        else:
            sp.memory.clear()
        super().enter(sp, phase)

    def values(self, sp: Sparsifier) -> list[Tensor]:
        """The masks."""
        return [sp.memory[f"kept.{i}"] for i in range(len(sp.layers))]

    def write(self, sp: Sparsifier, cuts: Any, outs: list[Tensor], ws: list[Tensor], values: Any = None) -> None:
        """The projection."""
        kernels.foreach_mask_blocks_into_(outs, ws, values, cuts)

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Add pull (1 - mask) w to the gradients."""
        if phase.kind != "straight" or self.pull == 0:
            return
        together.change_gradients(
            together.views_of(sp.layers),
            together.values_of(sp.layers, self.values(sp)),
            lambda cuts, gradients, ws, kept: kernels.foreach_sparse_decay_(gradients, ws, kept, self.pull, cuts),
        )

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Choose masks anew."""
        if phase.kind == "straight" and (sp.step - phase.start) % self.every == 0:
            sp.record("flips", self._choose(sp))

    def _choose(self, sp: Sparsifier) -> int:
        """New masks; how many units changed sides."""
        masks = sp.choose(sp.norms() if sp.counted else [])
        names = [f"kept.{i}" for i in range(len(masks))]
        old = [sp.memory[name] for name in names if name in sp.memory]
        sp.memory.update(zip(names, masks, strict=True))
        return (
            sum(int(np.count_nonzero(a.cpu().numpy() != b.cpu().numpy())) for a, b in zip(old, masks, strict=True))
            if old
            else 0
        )
