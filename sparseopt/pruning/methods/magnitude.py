"""Gradual magnitude pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..schedules import Cubic, Phase, Timeline, checked_fraction, checked_steps
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier


@dataclass(frozen=True)
class Magnitude(Method):
    """min L(w) over w with few non-zero units, by projection on the units of largest norm at a growing sparsity.

    begin, end: fractions of the steps between which the sparsity grows, by the curve `growth` (of progress in [0, 1]);
    before, training is dense, after, the masks stay.  updates: how often the masks are chosen anew in between.
    A unit that was dropped stays 0.  N:M and patterns are projected upon once, at the end.
    Source: Zhu and Gupta (2017), arXiv 1710.01878, for the cubic curve.
    """

    begin: float = 0.0
    end: float = 0.75
    updates: int = 100
    growth: Callable[[float], float] = field(default_factory=Cubic)

    def __post_init__(self) -> None:
        if checked_fraction(self.begin, "begin") > checked_fraction(self.end, "end"):
            raise ValueError(f"begin is {self.begin} and end is {self.end}: begin <= end is needed")
        checked_steps(self.updates, "updates")

    def timeline(self, total_steps: int) -> Timeline:
        """Dense, pruning, sparse."""
        return Timeline.of(total_steps, ("dense", self.begin), ("pruning", self.end - self.begin))

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Choose the masks anew every now and then."""
        if phase.kind == "pruning" and phase.due(sp.step, self.updates) and sp.counted:
            sp.prune(sp.norms(), self.growth(phase.progress(sp.step)))
