"""FISTA: accelerated proximal gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem import Problem
from ..solve import State
from .proximal_gradient import proximal_step, resolve_step


@dataclass(frozen=True, kw_only=True)
class MomentumState(State):
    """State of FISTA.

    point: [p], the extrapolated point y.  z_point: [n] = X y.  t: momentum, t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2.
    """

    point: np.ndarray
    z_point: np.ndarray
    t: float


@dataclass(frozen=True)
class FISTA:
    """w_k = prox(y_k - step * gradient(y_k)),  y_{k+1} = w_k + (t_k - 1) / t_{k+1} * (w_k - w_{k-1}).

    Convex penalties only.  Without restart: objective - minimum <= 2 L |w0 - w*|^2 / (k + 1)^2 for steps of 1/L; the
    objective is not monotone (ledger D4).  restart: drop the momentum whenever it points uphill (the gradient test of
    O'Donoghue and Candes, 2015), which keeps the fast rate in practice and adapts to strong convexity.
    step_size: > 0, default 1 / smoothness.  Source: Beck and Teboulle (2009).
    """

    step_size: float | None = None
    restart: bool = True

    def init(self, problem: Problem, w0: np.ndarray) -> MomentumState:
        """State at w0 [p]; ValueError when the penalty is not convex."""
        problem._require("prox")
        if not problem.convex:
            raise ValueError(f"FISTA needs a convex penalty, not {problem.penalty!r}: use ProximalGradient()")
        z = problem.X @ w0
        return MomentumState(w=w0, z=z, passes=1.0, point=w0, z_point=z, t=1.0)

    def step(self, problem: Problem, state: MomentumState) -> MomentumState:
        """One accelerated step: two passes over X."""
        w = proximal_step(problem, state.point, state.z_point, resolve_step(self.step_size, problem))
        z = problem.X @ w
        uphill = self.restart and (state.point - w) @ (w - state.w) > 0
        t = 1.0 if uphill else (1 + (1 + 4 * state.t**2) ** 0.5) / 2
        momentum = 0.0 if uphill else (state.t - 1) / t
        return MomentumState(
            w=w,
            z=z,
            passes=state.passes + 2,
            point=w + momentum * (w - state.w),
            z_point=z + momentum * (z - state.z),
            t=t,
        )
