"""The exact fit of the unpenalised groups as a step of a descent: sweeps creep where they separate samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..unpenalised import coefficients_of, movable, refit

if TYPE_CHECKING:
    from .descent import GroupDescent


def free_step(run: GroupDescent) -> bool:
    """Fit the unpenalised groups of `run` with all others held, if that does not raise the objective; whether it did.

    Only where the gap is measured, which asks for the same fit: it then finds nothing left to do.
    """
    problem = run.problem
    if run.by_norms or not problem.convex or hasattr(problem.penalty, "conjugate"):
        return False
    chosen, columns = problem.unpenalised
    if len(chosen) == 0:
        return False
    w = run.by_column(run.by_position)
    moved = movable(problem.datafit, problem.penalty, w[chosen])
    z, _ = refit(problem.datafit, columns, run.z, run.ask, moved)
    step = coefficients_of(columns, z - run.z, moved)
    if getattr(problem.penalty, "positive", False):
        step = _nonnegative(problem.datafit, w[chosen], step)
    w[chosen] += step
    return run.try_move(np.ascontiguousarray(w.reshape(len(w), -1)[run.store.columns]), run.value)


def _nonnegative(datafit: object, w: np.ndarray, step: np.ndarray) -> np.ndarray:
    """A step that leaves w [k] or [k, T] >= 0: by a constant in all outputs where that changes nothing, or shorter."""
    if getattr(datafit, "reference", False):
        return step - np.minimum((w + step).min(axis=1), 0.0)[:, None]
    crossing = w + step < 0
    return np.maximum(np.min(w[crossing] / -step[crossing], initial=1.0) * step, -w)
