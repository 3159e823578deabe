"""Several strengths of a penalty, whose solutions are found in one call."""

from __future__ import annotations

from dataclasses import dataclass

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
    def of(cls, weights: np.ndarray, lams: np.ndarray, before: np.ndarray) -> Strengths:
        """Those of `GroupPenalty` with these weights [G] at lams [L - known], after those `before` [known]."""
        known = len(before)
        strength = np.empty((known + len(lams), len(weights)))
        np.multiply(lams[:, None], weights, out=strength[known:])
        return cls(strength, np.concatenate([before, lams]), known)

    def part(self, chosen: slice, known: int = 2) -> Strengths:
        """Some of them, of which the first ones are known."""
        return Strengths(self.strength[chosen], self.lam[chosen], known)

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """Counts and pointers for the compiled loop."""
        return len(self.lam), self.known, address(self.strength), address(self.lam)
