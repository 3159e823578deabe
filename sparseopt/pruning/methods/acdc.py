"""AC/DC: dense and sparse phases in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..schedules import Phase, Timeline, checked_fraction, checked_steps
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier


@dataclass(frozen=True)
class ACDC(Method):
    """min L(w) over w with few non-zero units, by iterative hard thresholding in long steps.

    warmup: fraction of the steps that are dense at first; then `rounds` times masked and dense, in equal parts; final:
    fraction of the steps at the end with the last masks.  The masks keep the units of largest norm when a masked phase
    begins; what was dropped is free again in the next dense one.  The optimiser forgets its momenta at every change.
    Source: Peste et al. (2021), AC/DC; the defaults are those of the comparison in SequentialAttention++.
    """

    warmup: float = 0.1
    rounds: int = 7
    final: float = 0.15

    def __post_init__(self) -> None:
        checked_steps(self.rounds, "rounds")
        if checked_fraction(self.warmup, "warmup") + checked_fraction(self.final, "final") > 1:
            raise ValueError(f"warmup + final is {self.warmup + self.final:g}: give fractions that leave time between")

    def timeline(self, total_steps: int) -> Timeline:
        """Dense, (masked, dense) in turn, sparse."""
        part = (1 - self.warmup - self.final) / (2 * self.rounds)
        turns = [("masked", part), ("dense", part)] * self.rounds
        return Timeline.of(total_steps, ("dense", self.warmup), *turns)

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """New masks, or none."""
        if phase.start > 0:
            sp.optimisers.reset(sp.parameters())
        if phase.kind == "dense":
            sp.release()
        else:
            sp.prune(sp.norms())
