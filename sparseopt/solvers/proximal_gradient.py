"""Proximal gradient descent (ISTA)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array import positive_scalar
from ..problem import Problem
from ..solve import State


@dataclass(frozen=True)
class ProximalGradient:
    """w <- prox_{step * penalty}(w - step * gradient(w)), with step = 1 / smoothness by default.

    Convex penalties: objective - minimum <= L |w0 - w*|^2 / (2 k) after k steps of 1/L (ledger D4).  Others: the
    objective decreases and the limit points are fixed points of the map, nothing more.
    step: > 0; above 2 / smoothness the iteration can diverge, which is reported as a status.
    """

    step_size: float | None = None

    def init(self, problem: Problem, w0: np.ndarray) -> State:
        """State at w0 [p]; ValueError when the penalty has no prox."""
        problem._require("prox")
        return State(w=w0, z=problem.X @ w0, passes=1.0)

    def step(self, problem: Problem, state: State) -> State:
        """One proximal gradient step: two passes over X."""
        w = proximal_step(problem, state.w, state.z, resolve_step(self.step_size, problem))
        return State(w=w, z=problem.X @ w, passes=state.passes + 2)


def proximal_step(problem: Problem, point: np.ndarray, z: np.ndarray, step: float) -> np.ndarray:
    """prox_{step * penalty}(point - step * gradient(point)) [p], for z = X point [n]."""
    gradient = problem.X.T @ problem.datafit.gradient(z)
    return problem.penalty.prox(point - step * gradient, step)


def resolve_step(step: float | None, problem: Problem) -> float:
    """`step`, checked, or 1 / smoothness."""
    return 1 / problem.smoothness if step is None else positive_scalar(step, "step_size")
