"""Least squares on tall dense data: descent on columns packed to 16 bits, made exact again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native.bcd import BlockCache
from .._native.packed import SINGLE, PackedDescent
from .._native.reading import Nearly, padded
from ..first_reading import packed_columns, packing_pays
from ..problem import Problem
from .frames import MAX_EPOCHS, LeastSquaresFrame, NewtonFrame, frame_of

if TYPE_CHECKING:
    from .descent import GroupDescent

FIRST_GAP = 1e-4
"""Gap wanted of the first surrogate: packing limits what it can reach."""

SHRINKS = 0.25
"""An exact refresh that leaves more than this part of the gap before it does not pay."""

MAX_REFRESHES = 8
"""Surrogates of one round at most."""

STALE = 0.01
"""A surrogate starts from gradients that are known to this part of the strength of their group."""

TRUSTED = 2
"""Surrogates of a run that may end by prediction: if these do not suffice, the predictions were wrong."""


class PackedFrame(LeastSquaresFrame):
    """Surrogates  |P (w - w0)|^2 / (2n) + <gradient(w0), w - w0> + penalty(w)  with P the packed columns.

    The gradient at w0 is exact (float64, from X), so a minimum of the surrogate misses that of the problem by the
    packing error of w - w0 only, which shrinks by the same factor each time.  Where that does not pay (heavy-tailed
    columns), the descent goes on with X itself.  The gap of the run is always measured with X in float64.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        datafit: Any = problem.datafit
        self.kept = problem.kept
        size = float(np.sqrt(datafit.share @ datafit.target**2)) or 1.0
        packed = packed_columns(self.kept, self.store, datafit)
        self.surrogate = PackedDescent(self.inner, packed, float(2.0 ** np.round(np.log2(size))))
        self.lowered = 0
        self.uncertain: np.ndarray | None = None  # bounds [G] of the errors of surrogate.renewed, of the last point

    def _blocks(self, problem: Problem, cache: BlockCache) -> BlockCache:
        """Those of packed columns, apart from those of the columns themselves."""
        return problem.kept.setdefault("packed_blocks", BlockCache(self.store))

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        goal = min(target, 0.5 * run.options.accuracy) if run.options.accuracy else target
        before, factor = run.relative_gap if self.lowered else np.inf, np.inf
        self._start(run)
        scores = run.scores.copy()
        for _ in range(MAX_REFRESHES if self.kept.get("packing pays", True) else 0):
            wanted = max(0.5 * goal, 1e-3 * before if self.lowered else FIRST_GAP)
            reached = self._lower(run, scores, wanted)
            moved = self._move(run)
            if run.ask() or reached + factor * moved <= goal:
                return
            gap = self._refresh(run, scores)
            if gap <= goal:
                return
            if gap > SHRINKS * before:
                break
            before, factor = gap, gap / moved if moved > 0 else np.inf
        self.kept["packing pays"], self.uncertain = False, None
        self._forget_blocks()
        super().descend(run, target)

    def nearly(self, run: GroupDescent) -> Nearly | None:
        """What is known of the gradient where the run is."""
        if self.uncertain is None:
            return None
        known = np.where(run.norms > 0, self.uncertain == 0, np.isfinite(self.uncertain))
        return Nearly(known, -self.surrogate.renewed[:, None], self.uncertain)

    def _start(self, run: GroupDescent) -> None:
        """Gradients of the working set where the run is, read again where too little is known."""
        pull = -run.reading.pull
        uncertain = run.reading.uncertainty(-run.force)
        working = np.zeros(len(uncertain), dtype=bool)
        working[run.working] = True
        stale = working & ~(uncertain <= STALE * run.strength)
        if stale.any():
            self._read(run, stale, pull, np.zeros(len(uncertain)))
            uncertain[stale] = 0.0
        self.surrogate.pull[:], self.uncertain = pull[:, 0], uncertain

    def _read(self, run: GroupDescent, need: np.ndarray, pull: np.ndarray, norms: np.ndarray) -> None:
        """Exact gradients of the groups `need`, bool [G], into pull [p, 1], and their norms."""
        self.inner.gradient(padded(run.force), need.astype(np.uint8), pull, norms, 1, run.ask)
        run.count(int(self.store.groups.sizes[need].sum()))

    def _lower(self, run: GroupDescent, scores: np.ndarray, wanted: float) -> float:
        order = run.working[np.argsort(-scores[run.working], kind="stable")]
        root = self.surrogate.packed.root
        residual = run.force * self.store.n
        if root is not None:
            residual = np.divide(residual, root, out=np.zeros_like(root), where=root > 0)
        self.lowered += 1
        return self.surrogate.lower(
            order,
            scores,
            residual,
            gap_target=wanted,
            careful=self.lowered > TRUSTED,
            max_epochs=MAX_EPOCHS,
            anderson=run.options.anderson,
            ask=run.ask,
        )

    def _move(self, run: GroupDescent) -> float:
        """Take the coefficients of the surrogate; bound the errors of its gradients.  Returns the length of the move.

        The exact change of the residual, over n, is s up to its rounding and that of the columns, so that with the
        packed columns P and what packing changed, E:  |X_g' change - P_g' s| <= |E_g| |s| + |X_g| |change - s|.
        """
        surrogate, before, start = self.surrogate, run.force, self.uncertain
        run.move(self.inner.coefficients())
        s = np.multiply(surrogate.s[: self.store.n], surrogate.unit / self.store.n, dtype=np.float64)
        change, moved = run.force - before, float(np.linalg.norm(s))
        packed = surrogate.packed
        if surrogate.interrupted or packed.root is not None or start is None:
            self.uncertain = np.full(len(run.norms), np.inf)
            return moved
        kept = start + packed.lengths * float(np.linalg.norm(change))
        norms = np.sqrt(np.add.reduceat(surrogate.renewed**2, self.store.offsets[:-1]))
        open_ = (run.norms == 0) & (surrogate.scored == 0) & (packed.ready > 0) & ~(norms + kept <= run.strength)
        if open_.any():
            surrogate.score(np.flatnonzero(open_), run.ask)
        off = float(np.linalg.norm(change - s))
        renewed = start + (packed.error + SINGLE * packed.frobenius) * moved + packed.lengths * off
        self.uncertain = np.where(surrogate.scored > 0, renewed, kept) if not surrogate.interrupted else kept + np.inf
        return moved

    def _refresh(self, run: GroupDescent, scores: np.ndarray) -> float:
        """Exact gradients of the active groups; the relative gap over the working set, the others' as packed."""
        active = run.norms > 0
        pull, norms = self.surrogate.renewed[:, None].copy(), np.zeros(len(active))
        self._read(run, active, pull, norms)
        self.surrogate.pull[:] = self.surrogate.renewed[:] = pull[:, 0]
        if self.uncertain is not None:
            self.uncertain[active] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            scores[active] = norms[active] / run.strength[active]
        return run.gap_over_working(scores)

    def _forget_blocks(self) -> None:
        """Back to the eigenbases of the columns themselves."""
        w = self.inner.coefficients()
        self.inner.cache.ready[:] = 0
        self.inner.set_coefficients(w)


def frame_for(problem: Problem) -> LeastSquaresFrame | NewtonFrame:
    """The frame of the problem's loss, with packed columns where they pay."""
    return PackedFrame(problem) if packing_pays(problem.X, problem.datafit, problem.penalty) else frame_of(problem)
