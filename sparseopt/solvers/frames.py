"""Losses as the compiled descent sees them: the weighted least-squares problems by which each is treated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native import HAS_NATIVE, radial_twin
from .._native.bcd import BlockCache, ColumnStore, Descent, residual_array
from ..datafits import LeastSquares, Quadratic
from ..penalties import GroupLasso, GroupPenalty
from ..problem import Problem

if TYPE_CHECKING:
    from .descent import GroupDescent

MAX_EPOCHS = 300
"""Sweeps of one round at most, so that callbacks are served."""


class LeastSquaresFrame:
    """Least squares: one compiled descent, with the duality gap measured inside."""

    def __init__(self, problem: Problem) -> None:
        datafit = problem.datafit
        share = None if (datafit.share == datafit.share[0]).all() else datafit.share
        self.store, self.cache = kept_columns(problem)
        target = residual_array(self.store.n, 1)
        target[0, : self.store.n] = datafit.target
        self.inner = Descent(
            self.store,
            self.cache,
            penalty=(*radial_twin(problem.penalty.rho), 0.0),
            strength=problem.penalty.strength,
            share=share,
            target=target,
            centred=problem.datafit.fit_intercept,
        )

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        n = self.store.n
        self.inner.r[0, :n] = run.force if self.inner.share is not None else run.force * n
        self.inner.r[0, n] = 0.0
        convex = run.problem.convex
        self.inner.run(
            run.working,
            run.scores.copy(),
            scored=True,
            max_epochs=MAX_EPOCHS,
            gap_target=target if convex else -1.0,
            violation_target=0.0 if convex else target * run.violation_scale,
            anderson=run.options.anderson,
            ask=run.ask,
        )


def kept_columns(problem: Problem) -> tuple[ColumnStore, BlockCache]:
    """Columns and blocks of the design, kept with the problem for later runs on the same data."""
    kept = problem.kept
    groups = problem.penalty.groups
    if kept.get("groups") != groups:
        kept.clear()
        kept["groups"], kept["store"] = groups, ColumnStore(problem.X, groups)
    if "cache" not in kept:
        kept["cache"] = BlockCache(kept["store"])
    return kept["store"], kept["cache"]


def _radial(penalty: Any) -> bool:
    """Whether a penalty is a scalar penalty of each group's norm and nothing else."""
    if type(penalty) is GroupLasso:
        return not penalty.positive
    return isinstance(penalty, GroupPenalty) and type(penalty).prox is GroupPenalty.prox


def as_least_squares(problem: Problem) -> Problem:
    """The problem itself, or for a plain quadratic the least-squares problem with the same minimisers, kept with it."""
    if not isinstance(problem.datafit, Quadratic):
        return problem
    if "root" not in problem.kept:
        A, t = problem.datafit.root()
        scale = np.sqrt(len(t))
        problem.kept["root"] = Problem(scale * A, LeastSquares(scale * t), problem.penalty)
    return problem.kept["root"].with_penalty(problem.penalty)


def why_not(problem: Problem) -> str | None:
    """The sentence on why the compiled descent cannot treat a problem, or None where it can."""
    penalty, datafit = problem.penalty, problem.datafit
    if not HAS_NATIVE:
        return "the compiled core was not built"
    if not _radial(penalty) or radial_twin(penalty.rho) is None:
        return f"{penalty!r} has no compiled twin"
    if getattr(penalty, "positive", False):
        return "its coefficients must not be negative"
    if not isinstance(datafit, LeastSquares | Quadratic):
        return f"{type(datafit).__name__} has no compiled descent"
    if isinstance(datafit, Quadratic) and not datafit.bounded:
        return "the quadratic is not bounded below"
    if not np.isfinite(penalty.strength).all():
        return "a group is forced out by an infinite weight"
    return None
