"""Several strengths of a penalty, whose solutions are found in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .loader import address


@dataclass(frozen=True)
class Strengths:
    """Strengths in the order in which they are met, for several solutions in one call.

    strength: [L, G], those of the groups.  lam: [L], what they are multiples of.  known: rows that are solutions
    already, 2 or 0; the next ones start on the line through the two before (so_strengths).
    """

    strength: np.ndarray
    lam: np.ndarray
    known: int

    @classmethod
    def of(cls, penalties: list[Any], before: np.ndarray) -> Strengths:
        """Those of penalties that differ in lam alone, after those `before` [known]."""
        known, G = len(before), len(penalties[0].strength)
        strength = np.empty((known + len(penalties), G))
        for row, penalty in zip(strength[known:], penalties, strict=True):
            row[:] = penalty.strength
        return cls(strength, np.array([*before, *(penalty.lam for penalty in penalties)]), known)

    def part(self, chosen: slice, known: int = 2) -> Strengths:
        """Some of them, of which the first ones are known."""
        return Strengths(self.strength[chosen], self.lam[chosen], known)

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """Counts and pointers for the compiled loop."""
        return len(self.lam), self.known, address(self.strength), address(self.lam)
