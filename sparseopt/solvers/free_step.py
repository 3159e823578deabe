"""The exact fit of the unpenalised groups as a step of a descent: sweeps creep where they separate samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..unpenalised import coefficients_of, movable, refit

if TYPE_CHECKING:
    from .descent import GroupDescent


def free_step(run: GroupDescent) -> None:
    """Fit the unpenalised groups of `run` with all others held, where that does not raise the objective.

    Only where the gap is measured, which asks for the same fit: it then finds nothing left to do.
    """
    problem = run.problem
    if run.by_norms or not problem.convex or hasattr(problem.penalty, "conjugate"):
        return
    chosen, columns = problem.unpenalised
    if len(chosen) == 0:
        return
    w = run.by_column(run.by_position)
    positive = getattr(problem.penalty, "positive", False)
    moved = movable(problem.datafit, problem.penalty, w[chosen])
    z, _ = refit(problem.datafit, columns, run.z, run.ask, moved)
    step = coefficients_of(columns, z - run.z, moved)
    w[chosen] = _nonnegative(problem.datafit, w[chosen], step) if positive else w[chosen] + step
    if run.try_move(np.ascontiguousarray(w.reshape(len(w), -1)[run.store.columns]), run.value):
        run.inner.set_coefficients(run.by_position)


def _nonnegative(datafit: object, w: np.ndarray, step: np.ndarray) -> np.ndarray:
    """w [k] or [k, T] after a step, made >= 0: by a constant in all outputs where that changes nothing, or shorter."""
    after = w + step
    if getattr(datafit, "reference", False):
        return np.asarray(after - after.min(axis=1, keepdims=True))
    crossing = after < 0
    return np.maximum(w + np.min(w[crossing] / -step[crossing], initial=1.0) * step, 0.0)
