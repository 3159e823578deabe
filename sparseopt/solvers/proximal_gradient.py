"""Proximal gradient descent (ISTA)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array import positive_scalar
from ..problem import Problem
from ..solve import State

FIRST_STEP = 64.0
"""First step of a line search times the local curvature bound, which is pessimistic."""

MAX_HALVINGS = 100


@dataclass(frozen=True, kw_only=True)
class SteppedState(State):
    """State of a proximal gradient method.

    step_size: the step that led here; a line search starts from it.
    """

    step_size: float


@dataclass(frozen=True)
class ProximalGradient:
    """w <- prox_{step * penalty}(w - step * gradient(w)), with step = 1 / smoothness by default.

    Convex penalties: objective - minimum <= L |w0 - w*|^2 / (2 k) after k steps of 1/L (ledger D4).  Others: the
    objective decreases and the limit points are fixed points of the map, nothing more.
    Where the gradient has no Lipschitz constant (Poisson), steps are found by a line search.
    step_size: > 0; above 2 / smoothness the iteration can diverge, which is reported as the status UNSTABLE.
    """

    step_size: float | None = None

    def init(self, problem: Problem, w0: np.ndarray) -> SteppedState:
        """State at w0 [p] or [p, T]; ValueError when the penalty has no prox."""
        problem._require("prox")
        z = problem.product(w0)
        return SteppedState(w=w0, z=z, passes=1.0, step_size=resolve_step(self.step_size, problem, z))

    def step(self, problem: Problem, state: SteppedState) -> SteppedState:
        """One proximal gradient step: two passes over X, in a line search one more for every step refused."""
        if self.step_size is None and not problem.smooth:
            w, z, step, passes = line_search(problem, state.w, state.z, 2 * state.step_size)
        else:
            w, step, passes = proximal_step(problem, state.w, state.z, state.step_size), state.step_size, 2.0
            z = problem.product(w)
        return SteppedState(w=w, z=z, passes=state.passes + passes, step_size=step)

    def caution(self, problem: Problem) -> str | None:
        """For steps above 2 / smoothness the sentence with the step to use, else None."""
        return caution_on_step(problem, self.step_size, 2.0)


def caution_on_step(problem: Problem, step: float | None, limit: float) -> str | None:
    """The sentence on a step above limit / smoothness, with the step to use instead; None for others."""
    if step is None or not problem.smooth or positive_scalar(step, "step_size") * problem.smoothness <= limit:
        return None
    return (
        f"step_size = {step:g} is above {limit:g} / smoothness = {limit / problem.smoothness:g}, so the iterates may "
        f"diverge or cycle: use step_size = {1 / problem.smoothness:g}"
    )


def proximal_step(problem: Problem, point: np.ndarray, z: np.ndarray, step: float) -> np.ndarray:
    """prox_{step * penalty}(point - step * gradient(point)) [p] or [p, T], for z = X point."""
    gradient = problem.transposed_product(problem.datafit.gradient(z))
    return problem.penalty.prox(point - step * gradient, step)


def line_search(
    problem: Problem, point: np.ndarray, z: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """A proximal step from `point`, z = X point, with the first of step, step / 2, step / 4, ... that is short enough.

    The search starts at 1 / local_smoothness where that is longer, so that a steep start does not leave tiny steps.
    Short enough: <gradient(w) - gradient(point), w - point> <= |w - point|^2 / (2 step).  By convexity the loss at w is
    then below the quadratic model, and unlike a difference of losses this is not lost in rounding.
    Returns w, X w, the step and the passes over X.
    """
    force = problem.datafit.gradient(z)
    gradient = problem.transposed_product(force)
    step, passes = max(step, 1 / problem.local_smoothness(z)), 1.0
    for _ in range(MAX_HALVINGS):
        w = problem.penalty.prox(point - step * gradient, step)
        z_new, passes = problem.product(w), passes + 1
        if np.vdot(problem.datafit.gradient(z_new) - force, z_new - z) <= np.sum((w - point) ** 2) / (2 * step):
            break
        step /= 2
    return w, z_new, step, passes


def resolve_step(step: float | None, problem: Problem, z: np.ndarray) -> float:
    """`step`, checked, or 1 / smoothness, or a long first step for a line search at z = X w."""
    if step is not None:
        return positive_scalar(step, "step_size")
    return 1 / problem.smoothness if problem.smooth else FIRST_STEP / problem.local_smoothness(z)
