"""Least squares on tall dense data: descent on columns packed to 16 bits, made exact again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native.bcd import BlockCache
from .._native.packed import SINGLE, PackedDescent
from .._native.reading import Nearly, padded
from ..first_reading import packed_columns, packing_pays
from ..problem import Problem
from .frames import FIRST_SWEEPS, MAX_EPOCHS, LeastSquaresFrame, NewtonFrame, frame_of

if TYPE_CHECKING:
    from .descent import GroupDescent

FIRST_GAP = 1e-4
"""Gap wanted of the first surrogate: packing limits what it can reach."""

SHRINKS = 0.25
"""An exact refresh that leaves more than this part of the gap before it does not pay."""

MAX_REFRESHES = 8
"""Surrogates of one round at most."""

ALLOWED = 0.25
"""Errors of the gradient of active groups that do not matter, in units of accuracy x strength: a gap rises by less."""

STALE = 0.01
"""A surrogate starts from gradients that are known to this part of the strength of their group."""

TRUSTED = 2
"""Surrogates of a run that may end by prediction: if these do not suffice, the predictions were wrong."""


class PackedFrame(LeastSquaresFrame):
    """Surrogates  |P (w - w0)|^2 / (2n) + <gradient(w0), w - w0> + penalty(w)  with P the packed columns.

    The gradient at w0 is exact (float64, from X) but for a tiny part, so a minimum of the surrogate misses that of the
    problem by the packing error of w - w0 only, which shrinks by the same factor each time.  Where that does not pay
    (heavy-tailed columns), the descent goes on with X itself.  The gap of the run is made with X in float64, and what
    was read of packed columns for it is allowed for.

    The exact gradient is that at a force nearby, which is known before the exact one: so X is read once and not twice.
    nearby: that force [n].  off: the force at w0 less that, where surrogates begin.  known, uncertain: bounds [G] of
    the errors of the gradients of the surrogate, nearby and at the force of the run.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        datafit: Any = problem.datafit
        self.kept = problem.kept
        size = float(np.sqrt(datafit.share @ datafit.target**2)) or 1.0
        packed = packed_columns(self.kept, self.store, datafit)
        self.surrogate = PackedDescent(self.inner, packed, float(2.0 ** np.round(np.log2(size))))
        self.lowered = self.swept = 0
        self.nearby = self.off = np.zeros(self.store.n)
        self.known = np.zeros(self.store.groups.n_groups)
        self.uncertain: np.ndarray | None = None

    def _blocks(self, problem: Problem, cache: BlockCache) -> BlockCache:
        """Those of packed columns, apart from those of the columns themselves."""
        return problem.kept.setdefault("packed_blocks", BlockCache(self.store))

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        goal = min(target, 0.5 * run.options.accuracy) if run.options.accuracy else target
        before, factor = run.relative_gap if self.lowered else np.inf, np.inf
        self._start(run)
        scores = run.scores.copy()
        self.swept = 0
        for _ in range(MAX_REFRESHES if self.kept.get("packing pays", True) else 0):
            wanted = max(0.5 * goal, 1e-3 * before if self.lowered else FIRST_GAP)
            reached = self._lower(run, scores, wanted)
            moved = self._move(run)
            if reached > wanted and self._products_pay(run, self.swept) and not run.ask():
                break
            if run.ask() or reached + factor * moved <= goal:
                return None if self._known_enough(run) else self._sharpen(run)
            gap = self._refresh(run, scores)
            if gap <= goal:
                return self._sharpen(run)
            if gap > SHRINKS * before:
                break
            before, factor = gap, gap / moved if moved > 0 else np.inf
        self.kept["packing pays"], self.uncertain = False, None
        self._forget_blocks()
        return self._lower_from(run, target, max(self.swept, self.needed))

    def nearly(self, run: GroupDescent) -> Nearly | None:
        """What is known of the gradient where the run is."""
        if self.uncertain is None:
            return None
        return Nearly(-self.surrogate.renewed[:, None], self.uncertain, self._enough(run))

    def _known_enough(self, run: GroupDescent) -> bool:
        assert self.uncertain is not None
        active = run.norms > 0
        return bool((self.uncertain[active] <= self._enough(run)[active]).all())

    def _enough(self, run: GroupDescent) -> np.ndarray:
        """Errors [G] of the gradients of active groups that the gap allows for; 0 where it is not made from norms."""
        return (ALLOWED * (run.options.accuracy or 0.0) if run.by_norms else 0.0) * run.strength

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
        self.surrogate.pull[:], self.known = pull[:, 0], uncertain
        self.nearby, self.off = run.force, np.zeros_like(run.force)

    def _read(self, run: GroupDescent, need: np.ndarray, pull: np.ndarray, norms: np.ndarray) -> None:
        """Exact gradients of the groups `need`, bool [G], into pull [p, 1], and their norms."""
        self.inner.gradient(padded(run.force), need.astype(np.uint8), pull, norms, 1, run.ask)
        run.count(int(self.store.groups.sizes[need].sum()))

    def _lower(self, run: GroupDescent, scores: np.ndarray, wanted: float) -> float:
        order = run.working[np.argsort(-scores[run.working], kind="stable")]
        self.lowered += 1
        gap = self.surrogate.lower(
            order,
            scores,
            self._unweighted(self.nearby) * self.store.n,
            self._unweighted(self.off),
            gap_target=wanted,
            careful=self.lowered > TRUSTED,
            max_epochs=min(max(self.swept, FIRST_SWEEPS), MAX_EPOCHS),
            anderson=run.options.anderson,
            ask=run.ask,
        )
        self.swept += self.surrogate.epochs
        return gap

    def _unweighted(self, force: np.ndarray) -> np.ndarray:
        """A force [n] as packed columns are multiplied with it: over the roots of the sample weights."""
        root = self.surrogate.packed.root
        return force if root is None else np.divide(force, root, out=np.zeros_like(root), where=root > 0)

    def _move(self, run: GroupDescent) -> float:
        """Take the coefficients of the surrogate; bound the errors of its gradients.  Returns the length of the move.

        The next point nearby is the force that the surrogate leads to.  Active groups are multiplied with it while the
        exact force is made in the same read.
        """
        surrogate, root = self.surrogate, self.surrogate.packed.root
        s = np.multiply(surrogate.s[: self.store.n], surrogate.unit / self.store.n, dtype=np.float64)
        moved = float(np.linalg.norm(s))
        self.nearby = self.nearby + (s if root is None else root * s)
        datafit: Any = run.problem.datafit
        if datafit.fit_intercept:
            self.nearby -= datafit.share * self.nearby.sum()
        w = self.inner.coefficients()
        fitted, products = surrogate.fit_and_products(w, self.nearby)
        run.move(w, fitted)
        self.off = run.force - self.nearby
        active = run.norms > 0
        run.count(int(self.store.groups.sizes[active].sum()))
        self.known = np.where(active, 0.0, self._zeros_known(run, moved))
        rows = np.repeat(active, self.store.groups.sizes)
        surrogate.renewed[rows] = products[rows]
        self.uncertain = self.known + self._longest(float(np.linalg.norm(self.off)))
        return moved

    def _zeros_known(self, run: GroupDescent, moved: float) -> np.ndarray:
        """Bounds [G] of the errors of surrogate.renewed at the new point nearby; zeros that may matter are scored.

        With P the packed columns and E what packing changed:  |X_g' s - P_g' s| <= |E_g| |s|,  |s| = moved.
        """
        surrogate, packed = self.surrogate, self.surrogate.packed
        if surrogate.interrupted:
            return np.full(len(run.norms), np.inf)
        kept = self.known + self._longest(moved)
        norms = np.sqrt(np.add.reduceat(surrogate.renewed**2, self.store.offsets[:-1]))
        open_ = (run.norms == 0) & (surrogate.scored == 0) & (packed.ready > 0) & ~(norms + kept <= run.strength)
        if open_.any() and packed.root is None:
            surrogate.score(np.flatnonzero(open_), run.ask)
        renewed = self.known + (packed.error + SINGLE * packed.frobenius) * moved
        return kept + np.inf if surrogate.interrupted else np.where(surrogate.scored > 0, renewed, kept)

    def _longest(self, size: float) -> np.ndarray:
        """Bounds [G] of |X_g' v| for vectors v of this length."""
        return self.surrogate.packed.lengths * size if size > 0 else np.zeros(self.store.groups.n_groups)

    def _sharpen(self, run: GroupDescent) -> None:
        """Gradients of the active groups at the force itself: the little that it is off is seen by packed columns."""
        surrogate, packed = self.surrogate, self.surrogate.packed
        off, active = self._unweighted(self.off), np.flatnonzero(run.norms)
        rows = np.repeat(run.norms > 0, self.store.groups.sizes)
        surrogate.s[: self.store.n] = off * (self.store.n / surrogate.unit)
        surrogate.pull[rows] = surrogate.renewed[rows]
        surrogate.score(active, run.ask)
        slack = (packed.error + SINGLE * packed.frobenius)[active] * float(np.linalg.norm(off))
        assert self.uncertain is not None
        self.uncertain[active] = np.inf if surrogate.interrupted else slack

    def _refresh(self, run: GroupDescent, scores: np.ndarray) -> float:
        """The next surrogate begins nearby.  Returns the relative gap over the working set, nearly."""
        surrogate, active = self.surrogate, run.norms > 0
        surrogate.pull[:] = surrogate.renewed
        norms = np.sqrt(np.add.reduceat(surrogate.renewed**2, self.store.offsets[:-1]))
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
