"""Least squares on tall dense data: descent on columns packed to 16 bits, made exact again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native import HAS_NATIVE
from .._native.bcd import BlockCache
from .._native.packed import PackedColumns, PackedDescent
from .._native.reading import padded
from ..datafits import LeastSquares
from ..penalties import GroupLasso
from ..problem import Problem
from .frames import MAX_EPOCHS, LeastSquaresFrame

if TYPE_CHECKING:
    from .descent import GroupDescent

TALL = 3
"""Samples for each column from which on packing pays."""

SMALLEST_SIZE = 2**18
"""Entries of X from which on packing pays: smaller designs stay in the cache."""

FIRST_GAP = 1e-4
"""Gap wanted of the first surrogate: packing limits what it can reach."""

SHRINKS = 0.25
"""An exact refresh that leaves more than this part of the gap before it does not pay."""

MAX_REFRESHES = 8
"""Surrogates of one round at most."""


class PackedFrame(LeastSquaresFrame):
    """Surrogates  |P (w - w0)|^2 / (2n) + <gradient(w0), w - w0> + penalty(w)  with P the packed columns.

    The gradient at w0 is exact (float64, from X), so a minimum of the surrogate misses that of the problem by the
    packing error of w - w0 only, which shrinks by the same factor each time.  Where that does not pay (heavy-tailed
    columns), the descent goes on with X itself.  The gap of the run is always measured with X in float64.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        datafit: Any = problem.datafit
        kept = problem.kept
        if "packed" not in kept:
            kept["packed"] = PackedColumns(self.store, self.inner.share, datafit.fit_intercept)
        self.kept = kept
        size = float(np.sqrt(datafit.share @ datafit.target**2)) or 1.0
        self.surrogate = PackedDescent(self.inner, kept["packed"], float(2.0 ** np.round(np.log2(size))))

    def _blocks(self, problem: Problem, cache: BlockCache) -> BlockCache:
        """Those of packed columns, apart from those of the columns themselves."""
        return problem.kept.setdefault("packed_blocks", BlockCache(self.store))

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        goal = min(target, 0.5 * run.options.accuracy) if run.options.accuracy else target
        before, factor = np.inf, np.inf
        self.surrogate.pull[:] = -run.gradient[self.store.columns]
        scores = run.scores.copy()
        for refresh in range(MAX_REFRESHES if self.kept.get("packing pays", True) else 0):
            wanted = max(0.5 * goal, FIRST_GAP if refresh == 0 else 1e-3 * before)
            reached = self._lower(run, scores, wanted, careful=refresh >= 2)
            moved = float(np.linalg.norm(self.surrogate.s))
            run.move(self.inner.coefficients())
            if run.ask() or reached + factor * moved <= goal:
                return
            gap = self._refresh(run, scores)
            if gap <= goal:
                return
            if gap > SHRINKS * before:
                break
            before, factor = gap, gap / moved if moved > 0 else np.inf
        self.kept["packing pays"] = False
        self._forget_blocks()
        super().descend(run, target)

    def _lower(self, run: GroupDescent, scores: np.ndarray, wanted: float, careful: bool) -> float:
        order = run.working[np.argsort(-scores[run.working], kind="stable")]
        root = self.surrogate.packed.root
        residual = run.force * self.store.n
        if root is not None:
            residual = np.divide(residual, root, out=np.zeros_like(root), where=root > 0)
        return self.surrogate.lower(
            order,
            scores,
            residual,
            gap_target=wanted,
            careful=careful,
            max_epochs=MAX_EPOCHS,
            anderson=run.options.anderson,
            ask=run.ask,
        )

    def _refresh(self, run: GroupDescent, scores: np.ndarray) -> float:
        """Exact gradients of the active groups; the relative gap over the working set, the others' as packed."""
        need = (run.norms > 0).astype(np.uint8)
        pull, norms = self.surrogate.renewed[:, None].copy(), np.zeros(len(need))
        self.inner.gradient(padded(run.force), need, pull, norms, 1, run.ask)
        self.surrogate.pull[:] = pull[:, 0]
        active = need > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            scores[active] = norms[active] / run.strength[active]
        return run.gap_over_working(scores)

    def _forget_blocks(self) -> None:
        """Back to the eigenbases of the columns themselves."""
        w = self.inner.coefficients()
        self.inner.cache.ready[:] = 0
        self.inner.set_coefficients(w)


def packing_pays(problem: Problem) -> bool:
    """Whether the problem is one of tall dense columns in memory: convex group LASSO least squares."""
    X = problem.X
    return (
        HAS_NATIVE
        and isinstance(problem.datafit, LeastSquares)
        and type(problem.penalty) is GroupLasso
        and not problem.penalty.positive
        and isinstance(X, np.ndarray)
        and not isinstance(X, np.memmap)
        and X.shape[0] >= TALL * X.shape[1]
        and X.size >= SMALLEST_SIZE
    )
