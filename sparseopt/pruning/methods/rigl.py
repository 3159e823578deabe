"""RigL: masks that move to where the gradient is large."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..._array import real_number
from ..allocation import check_scores, check_unbalanced, top
from ..schedules import Phase, Timeline, checked_fraction, checked_steps
from ..sharding import norms_of
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
STEEP = "norms of gradients"


@dataclass(frozen=True)
class RigL(Method):
    """min L(w) over w with few non-zero units, sparse from the first step: small units are exchanged for steep ones.

    The first masks keep the units of largest norm.  `updates` times until the fraction `until` of the steps, each layer
    drops the share alpha/2 (1 + cos(pi t)) of its units of smallest norm (t: progress until then), and grows as many of
    those dropped before, by the norm of their gradient, ties by index; they start at 0 with momenta of 0.
    Entries of a grown unit whose gradient is always 0 (of dead outputs) stay 0.
    With scope "global" the first masks share the budget, and each layer keeps its number of units from then on.
    Source: Evci et al. (2020), arXiv 1911.11134.
    """

    alpha: float = 0.3
    until: float = 0.75
    updates: int = 30
    needs_counted = True
    chooses = True

    def __post_init__(self) -> None:
        if not 0 < real_number(self.alpha) <= 1:
            raise ValueError(f"alpha is {self.alpha!r}: give the share of units to exchange at first, in (0, 1]")
        checked_fraction(self.until, "until")
        checked_steps(self.updates, "updates")

    def timeline(self, total_steps: int) -> Timeline:
        """Moving, sparse."""
        return Timeline.of(total_steps, ("moving", self.until))

    def check(self, sp: Sparsifier) -> None:
        """Units of a whole layer are exchanged."""
        check_unbalanced(sp.layers, "RigL")

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """The first masks."""
        if not sp.masks:
            sp.prune(sp.norms())

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Remember the gradients of the step that masks are exchanged after."""
        if self._due(phase, sp.step + 1):
            sp.carry(STEEP, norms_of(sp.layers, [layer.gradients() for layer in sp.layers]), torch.hypot)

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Exchange units."""
        if not self._due(phase, sp.step):
            return
        share = self.alpha / 2 * (1 + math.cos(math.pi * phase.progress(sp.step)))
        moved = 0
        for layer, norms, steep in zip(sp.layers, sp.norms(), sp.carried[STEEP], strict=True):
            check_scores(norms)
            check_scores(steep)
            old = sp.masks[layer.name]
            new = exchanged(old, norms, steep, share)
            grown = new & ~old
            sp.optimisers.forget(layer, grown)
            layer.mask(new & old)
            sp.masks[layer.name] = new
            moved += int(grown.sum())
        sp.record("moved", moved)
        sp.record_masks([sp.masks[layer.name] for layer in sp.layers])

    def _due(self, phase: Phase, step: int) -> bool:
        return (
            phase.kind == "moving" and step < phase.stop and phase.due(step, self.updates + 1) > 0
        )  # the last moves 0


def exchanged(mask: Tensor, norms: Tensor, gradients: Tensor, share: float) -> Tensor:
    """A mask [n] of as many units: the smallest kept ones are dropped, and as many others with a gradient are grown."""
    count, steep = int(mask.sum()), int((~mask & (gradients > 0)).sum())
    moves = min(int(share * count), steep)
    kept = top(torch.where(mask, norms, -1.0), count - moves)
    grown = top(torch.where(mask, -1.0, gradients), moves)
    return kept | grown
