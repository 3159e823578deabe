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
CHANGED = "changed masks"


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
            self._keep(sp, self._choose(sp))
            sp.record_masks([sp.memory[f"kept.{i}"] for i in range(len(sp.layers))])
        else:
            sp.memory.clear()
        super().enter(sp, phase)

    def values(self, sp: Sparsifier) -> list[Tensor]:
        """The masks."""
        return [sp.memory[f"kept.{i}"] for i in range(len(sp.layers))]

    def write(self, sp: Sparsifier, cuts: Any, outs: list[Tensor], ws: list[Tensor], values: Any = None) -> None:
        """The projection; behind a choice of masks that wrote that by the masks before, what changed."""
        changed = sp.carried.pop(CHANGED, None)
        if changed is None:
            kernels.foreach_mask_blocks_into_(outs, ws, values, cuts)
        else:
            kernels.foreach_remask_blocks_into_(outs, ws, values, changed, cuts)

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
        """Choose masks anew, from norms that are found while the weights are written by the masks before."""
        if phase.kind != "straight" or (sp.step - phase.start) % self.every:
            return
        old = self.values(sp)
        norms = together.masked_norms(sp.layers, self.targets(sp), old) if sp.counted else None
        masks = self._choose(sp) if norms is None else sp.choose(sp.comparable(norms))
        changed = [torch.from_numpy(a.cpu().numpy() != b.cpu().numpy()) for a, b in zip(old, masks, strict=True)]
        sp.record("flips", sum(int(np.count_nonzero(units)) for units in changed))
        self._keep(sp, masks)
        if norms is not None:
            sp.carried[CHANGED] = changed

    def _choose(self, sp: Sparsifier) -> list[Tensor]:
        """Masks."""
        return sp.choose(sp.norms() if sp.counted else [])

    def _keep(self, sp: Sparsifier, masks: list[Tensor]) -> None:
        """Put masks into memory."""
        sp.memory.update((f"kept.{i}", mask) for i, mask in enumerate(masks))
