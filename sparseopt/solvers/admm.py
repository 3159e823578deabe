"""ADMM: the alternating direction method of multipliers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from .._array import checked_flag, positive_scalar
from ..deadline import deadline, past
from ..problem import Problem
from ..result import History
from ..solve import State
from .iht import fixed_point_residual
from .loss_prox import LossProx

MARGIN = 1.1
"""The certified rho is this much above the largest curvature of the loss."""

BALANCE = 10.0
"""Residuals whose ratio exceeds this are balanced."""

CHANGES = 50
"""Changes of rho by balancing, after which it stays fixed, so that the theory of a fixed rho holds in the end."""


@dataclass(frozen=True)
class ADMMHistory(History):
    """`History` with the residuals, rho and the augmented Lagrangian of every stopping test, each [tests]."""

    primal: np.ndarray
    dual: np.ndarray
    rho: np.ndarray
    augmented_lagrangian: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ADMMState(State):
    """State of ADMM; w is the feasible iterate z of the theory.

    x: as w, the copy that carries the loss.  multiplier: as w, the scaled dual u = y / rho.  rho: > 0.
    primal: |x - w|.  dual: rho |w - previous w|.  augmented_lagrangian: loss(x) + penalty(w) + rho / 2 |x - w + u|^2 -
    rho / 2 |u|^2.  descent_guaranteed: whether the next step does not raise it (ledger C2).  changes: of rho so far.
    end: time, of time.perf_counter, at which the minimisation over x ends with what it has.
    """

    history: ClassVar[type[History]] = ADMMHistory

    x: np.ndarray = field(repr=False)
    multiplier: np.ndarray = field(repr=False)
    rho: float
    primal: float
    dual: float
    augmented_lagrangian: float
    descent_guaranteed: bool
    changes: int = 0
    end: float = np.inf


@dataclass(frozen=True)
class ADMM:
    """min loss(x) + penalty(z) subject to x = z, by alternating exact minimisation of the augmented Lagrangian.

    z_first (order Z): z <- prox_{penalty / rho}(x + u), x <- argmin loss + rho / 2 |x - z + u|^2, u <- u + x - z.
    Otherwise (order X, usual in pruning): x, z, u.  The prox of a set is its projection.  Any penalty with a prox.

    rho: > 0; by default the certified one, 1.1 times the largest curvature L of the loss.  Convex penalties converge
    for every rho.  For others, sets or not, order Z with rho > L lowers the augmented Lagrangian at every step by at
    least (rho - L)(rho + 2 L) / (2 rho) |x+ - x|^2 (rho / 2 from 2 L on) and its limit points are fixed points of
    z = prox(z - gradient(z) / rho); for rho <= L it may cycle.  In order X the augmented Lagrangian may rise at any
    rho.  Stationarity is measured as |z - prox(z - gradient / rho)| rho, so that a larger rho admits more points.
    balancing: whether rho is doubled or halved, and u rescaled with it (u = y / rho), where one residual is ten times
    the other; 50 times at most, and not below the certified rho where the penalty is not convex.  The primal residual
    is multiplied by L (if finite), so that both have the units of a gradient and X may have any scale.
    time_limit: seconds of a run, in which its minimisations end too (`solve` sets it).
    Sources: Boyd, Parikh, Chu, Peleato and Eckstein (2011), section 3.4.1; descent: ledger C2.
    """

    rho: float | None = None
    z_first: bool = True
    balancing: bool = False
    time_limit: float | None = None

    check_every: ClassVar[int] = 1
    starts_outside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rho is not None:
            positive_scalar(self.rho, "rho")
        checked_flag(self.z_first, "z_first")
        checked_flag(self.balancing, "balancing")

    def init(self, problem: Problem, w0: np.ndarray) -> ADMMState:
        """State with x = w0 [p] or [p, T], u = -gradient(x) / rho, the optimal one for x, and w the prox of x + u.

        So a solution stays: with the prox of x alone the first x of order X would leave it.
        """
        problem._require("prox")
        rho = self.certified_rho(problem) if self.rho is None else float(self.rho)
        u = -problem.gradient(w0) / rho
        w = problem.penalty.prox(w0 + u, 1 / rho)
        state = self._state(problem, w0, w, u, rho, dual=0.0, passes=2.0, changes=0)
        return replace(state, end=deadline(self.time_limit))

    def step(self, problem: Problem, state: ADMMState) -> ADMMState:
        """One sweep over z, x and u in the chosen order, then a change of rho where residuals are balanced."""
        rho, u, x, w = state.rho, state.multiplier, state.x, state.w
        prox = LossProx(problem, past(state.end))
        if self.z_first:
            w = problem.penalty.prox(x + u, 1 / rho)
            x = prox(w - u, rho, x)
        else:
            x = prox(w - u, rho, x)
            w = problem.penalty.prox(x + u, 1 / rho)
        u = u + x - w
        dual = rho * float(np.linalg.norm(w - state.w))
        changes, factor = state.changes, self._factor(problem, float(np.linalg.norm(x - w)), dual, rho)
        if factor != 1 and changes < CHANGES:
            rho, u, changes = rho * factor, u / factor, changes + 1
        return replace(self._state(problem, x, w, u, rho, dual, state.passes + 4.0, changes), end=state.end)

    def violation(self, problem: Problem, state: ADMMState, gradient: np.ndarray) -> float:
        """max_g rho |w - prox(w - gradient / rho)|_g, with the gradient [p] of the loss at w."""
        return fixed_point_residual(problem, state.w, gradient, 1 / state.rho)

    def caution(self, problem: Problem) -> str | None:
        """For a nonconvex penalty and rho <= L the sentence with the rho to use, else None."""
        if problem.convex or self.rho is None:
            return None
        if not problem.smooth:
            return f"{type(problem.datafit).__name__} has no largest curvature, so no rho is certified: raise rho"
        if self.rho > problem.smoothness:
            return None
        return (
            f"rho = {self.rho:g} is not above {problem.smoothness:g}, the largest curvature of the loss, so the "
            f"iterates may cycle: use rho = {self.certified_rho(problem):g}"
        )

    @staticmethod
    def certified_rho(problem: Problem) -> float:
        """1.1 times the largest curvature of the loss; ValueError where there is none (Poisson)."""
        if not problem.smooth:
            raise ValueError(f"{type(problem.datafit).__name__} has no largest curvature: give rho, e.g. ADMM(rho=1.0)")
        return MARGIN * problem.smoothness

    def _factor(self, problem: Problem, primal: float, dual: float, rho: float) -> float:
        if not self.balancing:
            return 1.0
        primal *= problem.smoothness if problem.smooth else 1.0
        if primal > BALANCE * dual:
            return 2.0
        lowest = 0.0 if problem.convex else self.certified_rho(problem)
        return 0.5 if dual > BALANCE * primal and rho / 2 >= lowest else 1.0

    def _state(
        self,
        problem: Problem,
        x: np.ndarray,
        w: np.ndarray,
        u: np.ndarray,
        rho: float,
        dual: float,
        passes: float,
        changes: int,
    ) -> ADMMState:
        apart = x - w
        coupling = rho / 2 * float(np.sum((apart + u) ** 2) - np.sum(u**2))
        certified = self.z_first and problem.smooth and rho > problem.smoothness
        return ADMMState(
            w=w,
            z=problem.X @ w,
            passes=passes,
            x=x,
            multiplier=u,
            rho=rho,
            primal=float(np.linalg.norm(apart)),
            dual=dual,
            augmented_lagrangian=problem.datafit.value(problem.X @ x) + float(problem.penalty.value(w)) + coupling,
            descent_guaranteed=bool(certified and (not self.balancing or changes >= CHANGES)),
            changes=changes,
        )
