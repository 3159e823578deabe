"""Powerpropagation of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..schedules import Phase, Timeline, checked_fraction
from ..soft import Powered, harden, soften
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier


@dataclass(frozen=True)
class Powerpropagation(Method):
    """min over v of L(w), w_b = |v_b| v_b for each unit: the rich get richer; weight decay of v is a group LASSO of w.

    until: fraction of the steps in which v is trained (the parameters hold v, starting from w / sqrt|w_b|); then the
    parameters become w again, the units of largest norm are kept, and training goes on.  Where a unit lies in several
    weights (heads), each part has its own norm.
    Source: Schwarz et al. (2021); for groups SequentialAttention++ (arXiv 2402.17902), Lemma 2.3.
    """

    until: float = 0.75
    needs_counted = True

    def __post_init__(self) -> None:
        checked_fraction(self.until, "until")

    def timeline(self, total_steps: int) -> Timeline:
        """Powered, sparse."""
        return Timeline.of(total_steps, ("powered", self.until))

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Replace w by v, or v by w."""
        if phase.kind == "powered":
            self._scale(sp, -0.5)
            return
        if phase.start > 0:
            self._scale(sp, 1.0)
            sp.optimisers.reset(sp.parameters())
        super().enter(sp, phase)

    def attach(self, sp: Sparsifier, phase: Phase) -> None:
        """Let the layers use |v| v."""
        if phase.kind == "powered":
            soften(sp.layers, [Powered() for _ in sp.layers])

    def detach(self, sp: Sparsifier, phase: Phase) -> None:
        """Let the layers use their parameters."""
        harden(sp.layers)

    def _scale(self, sp: Sparsifier, power: float) -> None:
        """Multiply every block of every view by its norm to a power; zero blocks stay."""
        for layer in sp.layers:
            for view in layer.views:
                norms = view.norms()
                factors = torch.where(norms > 0, norms, torch.ones_like(norms)) ** power
                view.scale(factors)
