"""FISTA: accelerated proximal gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array import positive_scalar
from ..problem import Problem
from .proximal_gradient import SteppedState, line_search, proximal_step, resolve_step


@dataclass(frozen=True, kw_only=True)
class MomentumState(SteppedState):
    """State of FISTA.

    point: as w, the extrapolated point y.  z_point: as z, X y.  t: momentum, t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2.
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
    step_size: > 0, default 1 / smoothness; where there is none (Poisson) a line search whose steps shrink between
    restarts.  strong_convexity: mu > 0, a lower bound of the curvature of the loss, for a constant momentum
    (1 - q) / (1 + q), q = sqrt(mu * step), and no restarts: objective - minimum <= (1 - q)^k (objective(w0) - minimum +
    mu / 2 |w0 - w*|^2) for steps of 1/L (V-FISTA, ledger D4).
    Sources: Beck and Teboulle (2009); Beck, First-Order Methods in Optimization (2017), theorem 10.42.
    """

    step_size: float | None = None
    restart: bool = True
    strong_convexity: float | None = None

    def __post_init__(self) -> None:
        if self.strong_convexity is not None:
            positive_scalar(self.strong_convexity, "strong_convexity")

    def init(self, problem: Problem, w0: np.ndarray) -> MomentumState:
        """State at w0 [p] or [p, T]; ValueError when the penalty is not convex."""
        problem._require("prox")
        if not problem.convex:
            raise ValueError(f"FISTA needs a convex penalty, not {problem.penalty!r}: use ProximalGradient()")
        z = problem.product(w0)
        step = resolve_step(self.step_size, problem, z)
        return MomentumState(w=w0, z=z, passes=1.0, step_size=step, point=w0, z_point=z, t=1.0)

    def step(self, problem: Problem, state: MomentumState) -> MomentumState:
        """One accelerated step: two passes over X, in a line search one more for every step refused."""
        if self.step_size is None and not problem.smooth:
            start = 2 * state.step_size if state.t == 1 else state.step_size
            w, z, step, passes = line_search(problem, state.point, state.z_point, start)
        else:
            w, step, passes = proximal_step(problem, state.point, state.z_point, state.step_size), state.step_size, 2.0
            z = problem.product(w)
        uphill = self.restart and np.vdot(state.point - w, w - state.w) > 0
        t = 1.0 if uphill else (1 + (1 + 4 * state.t**2) ** 0.5) / 2
        momentum = 0.0 if uphill else (state.t - 1) / t
        if self.strong_convexity is not None:
            q = min(self.strong_convexity * step, 1.0) ** 0.5
            momentum = (1 - q) / (1 + q)
        return MomentumState(
            w=w,
            z=z,
            passes=state.passes + passes,
            step_size=step,
            point=w + momentum * (w - state.w),
            z_point=z + momentum * (z - state.z),
            t=t,
        )
