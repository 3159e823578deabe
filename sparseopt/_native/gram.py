"""Block coordinate descent from a Gram matrix: arrays in Python, work in C++ (csrc/cpu/bcd_gram.inc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .bcd import BlockCache, BlockPenalty, Descent, never
from .loader import address, core

LONGEST = 2.0
"""Extrapolations go at most this much farther than the last two solutions are apart."""


def length_ahead(strength: float, now: float, before: float) -> float:
    """How far the solution at a strength is ahead of that `now`, on the line from that `before`, in their distances.

    0 where it is not ahead, or too far.
    """
    length = (strength - now) / (now - before) if now != before else 0.0
    return length if 0 < length <= LONGEST else 0.0


class GramColumns:
    """What `Descent` asks of a design, where only products of columns are known, in the groups' order."""

    def __init__(self, groups: Any) -> None:
        self.groups, self.n, self.p = groups, 1, groups.n_features
        self.squares = np.concatenate([[0], np.cumsum(groups.sizes.astype(np.int64) ** 2)])
        self.columns = np.arange(self.p, dtype=np.int64)
        self.offsets = np.ascontiguousarray(groups.offsets, dtype=np.int64)
        self.fields: dict[str, Any] = {
            "n": 1,
            "storage": 0,
            "ld": 0,
            "values": 0,
            "starts": 0,
            "rows": 0,
            "groups": groups.n_groups,
            "largest": int(groups.sizes.max()),
            "offsets": address(self.offsets),
            "columns": address(self.columns),
            "squares": address(self.squares),
        }


class GramDescent:
    """min over b of  b' H b / 2 - c' b + square / 2 + sum_g strength_g |b_g|, at one strength after the other.

    H: [p, p] symmetric, in the order of the groups.  c: [p].  square: number.  penalty: a convex radial one.
    pull: [p] c - H b, which follows b.  The descent at a strength starts on the line through the two solutions before.
    """

    def __init__(self, groups: Any, H: np.ndarray, c: np.ndarray, square: float, penalty: BlockPenalty) -> None:
        self.H, self.c, self.square = H, c, square
        columns = GramColumns(groups)
        self.cache = BlockCache(columns)  # type: ignore[arg-type]
        self._eigenbases(columns)
        own = replace(penalty, strength=penalty.strength.copy())  # rewritten for every strength
        self.descent = Descent(columns, self.cache, penalty=own)  # type: ignore[arg-type]
        self.descent.strength[:] = np.inf  # where 0 is the solution
        self.pull, self.kappa = c.copy(), 0.0
        self.before: tuple[float, np.ndarray, np.ndarray] | None = None  # strength, coefficients and pull
        largest = columns.fields["largest"]
        self.workspace = np.empty(8 * largest + 64 + max(largest, 64) ** 2 + groups.n_groups)
        self.fields: dict[str, Any] = {
            "p": columns.p,
            "matrix": address(H),
            "at_zero": address(c),
            "pull": address(self.pull),
            "square": float(square),
        }

    def _eigenbases(self, columns: GramColumns) -> None:
        """Eigenbases of all blocks, groups of one size at a time."""
        sizes = np.diff(columns.offsets)
        for size in np.unique(sizes):
            chosen = np.flatnonzero(sizes == size)
            rows = columns.offsets[chosen][:, None] + np.arange(size)
            values, basis = np.linalg.eigh(self.H[rows[:, :, None], rows[:, None, :]])
            self.cache.curvature[rows] = np.maximum(values, 0.0)
            squares = columns.squares[chosen][:, None] + np.arange(size**2)
            self.cache.basis[squares] = basis.reshape(len(chosen), -1)
        self.cache.ready[:] = 1

    def lower(
        self, strength: np.ndarray, gap_target: float, max_epochs: int, ask: Callable[[], bool] = never
    ) -> tuple[int, float]:
        """Sweep until the relative gap at these strengths [G] is at most gap_target; returns sweeps and the gap."""
        self._extrapolate(strength)
        self.descent.strength[:] = strength
        epochs, _, _, gap, self.kappa, *_ = core.gram_inner(
            self.descent.fields,
            self.fields | {"kappa": float(self.kappa)},
            max_epochs,
            10,
            float(gap_target),
            address(self.workspace),
            ask,
        )
        return epochs, gap

    def go_to(self, b: np.ndarray, pull: np.ndarray) -> None:
        """Go on from b [p], where c - H b is known to be pull [p]: more exactly than H tells."""
        self.descent.set_coefficients(np.ascontiguousarray(b[:, None]))
        self.pull[:], self.before = pull, None

    def _extrapolate(self, strength: np.ndarray) -> None:
        """Move on along the line through the last two solutions; H b follows, since it is linear."""
        g = int(strength.argmax())
        now, b = float(self.descent.strength[g]), self.descent.b
        here = (now, b.copy(), self.pull.copy())
        if self.before is not None:
            length = length_ahead(float(strength[g]), now, self.before[0])
            if length > 0:
                b += length * (b - self.before[1])
                self.pull += length * (self.pull - self.before[2])
        self.before = here

    @property
    def coefficients(self) -> np.ndarray:
        """b [p] in the order of the groups."""
        return self.descent.coefficients()[:, 0]
