"""Losses as the compiled descent sees them: the weighted least-squares problems by which each is treated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native import HAS_NATIVE, radial_twin
from .._native.bcd import BlockCache, ColumnStore, Descent, residual_array
from ..datafits import LeastSquares, Quadratic
from ..penalties import GroupExpMask, GroupLasso, GroupLogSum, GroupLq, GroupPenalty
from ..problem import Problem

if TYPE_CHECKING:
    from .descent import GroupDescent

RADIAL = (GroupPenalty, GroupLasso, GroupLq, GroupLogSum, GroupExpMask)
"""Penalties that are a scalar penalty of each group's norm and nothing else."""

MAX_EPOCHS = 300
"""Sweeps of one round at most, so that callbacks are served."""


class LeastSquaresFrame:
    """Least squares and plain quadratics: one compiled descent, with the duality gap measured inside."""

    def __init__(self, problem: Problem) -> None:
        X, target, total, share = _as_least_squares(problem)
        self.store, self.cache = kept_columns(problem, X, share)
        padded_target = residual_array(self.store.n, 1)
        padded_target[0, : self.store.n] = target
        self.per_sample = total / self.store.n
        self.inner = Descent(
            self.store,
            self.cache,
            penalty=(*radial_twin(problem.penalty.rho), 0.0),
            strength=problem.penalty.strength,
            share=share,
            total=total,
            target=padded_target,
            centred=problem.datafit.fit_intercept,
        )

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        n = self.store.n
        self.inner.r[0, :n] = run.force if self.inner.share is not None else run.force / self.per_sample
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


def _as_least_squares(problem: Problem) -> tuple[Any, np.ndarray, float, np.ndarray | None]:
    """Design, target, sum of the sample weights, and the weights (None where they are equal)."""
    datafit = problem.datafit
    if isinstance(datafit, Quadratic):
        return *datafit.root(), float(datafit.n_samples), None
    equal = bool((datafit.share == datafit.share[0]).all())
    return problem.X, datafit.target, 1.0, None if equal else datafit.share


def kept_columns(problem: Problem, X: Any, share: np.ndarray | None) -> tuple[ColumnStore, BlockCache]:
    """Columns and blocks of the design, kept with the problem for later runs on the same data."""
    kept = problem.kept
    groups = problem.penalty.groups
    if kept.get("groups") != groups:
        kept.clear()
        kept["groups"], kept["store"] = groups, ColumnStore(X, groups)
    if "cache" not in kept:
        kept["cache"] = BlockCache(kept["store"])
    return kept["store"], kept["cache"]


def why_not(problem: Problem) -> str | None:
    """The sentence on why the compiled descent cannot treat a problem, or None where it can."""
    penalty, datafit = problem.penalty, problem.datafit
    if not HAS_NATIVE:
        return "the compiled core was not built"
    if type(penalty) not in RADIAL or radial_twin(penalty.rho) is None:
        return f"{penalty!r} has no compiled twin"
    if getattr(penalty, "positive", False):
        return "its coefficients must not be negative"
    if not isinstance(datafit, LeastSquares | Quadratic):
        return f"{type(datafit).__name__} has no compiled descent"
    if not np.isfinite(penalty.strength).all():
        return "a group is forced out by an infinite weight"
    return None


def frame_of(problem: Problem) -> LeastSquaresFrame:
    """The frame of the problem's loss; ValueError where it has none, naming solvers that work."""
    reason = why_not(problem)
    if reason is not None:
        raise ValueError(f"GroupBCD cannot treat this problem: {reason}; use FISTA() (convex) or ProximalGradient()")
    return LeastSquaresFrame(problem)
