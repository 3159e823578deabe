"""Solvers with one mistake each; all else is inherited from the correct ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from planted import Planted

import sparseopt as so
from sparseopt.solvers import ADMM, FISTA, IHT, ProximalGradient


@dataclass(frozen=True)
class WrongMomentum(FISTA):
    """Extrapolates by more than the last move, and never restarts."""

    restart: bool = False

    def step(self, problem, state):
        new = super().step(problem, state)
        return replace(new, point=new.w + 1.5 * (new.w - state.w), z_point=new.z + 1.5 * (new.z - state.z))


@dataclass(frozen=True)
class PenaltyTwice(ProximalGradient):
    """The gradient step is half as long as that of the prox."""

    def step(self, problem, state):
        gradient = problem.gradient(state.w)
        w = problem.penalty.prox(state.w - state.step_size / 2 * gradient, state.step_size)
        return replace(state, w=w, z=problem.X @ w, passes=state.passes + 2)


@dataclass(frozen=True)
class WeightsForgotten(ProximalGradient):
    def step(self, problem, state):
        penalty = problem.penalty
        plain = so.GroupLasso(penalty.lam, penalty.groups, weights="none")
        return super().step(problem.with_penalty(plain), state)


@dataclass(frozen=True)
class DualNotRescaled(ADMM):
    """u is kept where rho changes."""

    rho: float | None = 0.01
    balancing: bool = True

    def step(self, problem, state):
        new = super().step(problem, state)
        return replace(new, multiplier=new.multiplier * (new.rho / state.rho))


@dataclass(frozen=True)
class InPlace(ProximalGradient):
    def step(self, problem, state):
        new = super().step(problem, state)
        state.w[...] = new.w
        return replace(new, w=state.w)


@dataclass(frozen=True)
class StaleProduct(ProximalGradient):
    """z is that of the iterate before."""

    def step(self, problem, state):
        return replace(super().step(problem, state), z=problem.X @ state.w)


@dataclass(frozen=True)
class SinglePrecision(ProximalGradient):
    def step(self, problem, state):
        new = super().step(problem, state)
        w = new.w.astype(np.float32).astype(np.float64)
        return replace(new, w=w, z=problem.X @ w)


@dataclass(frozen=True)
class RandomSteps(ProximalGradient):
    """Each step of another length, from a generator without a seed."""

    def step(self, problem, state):
        factor = float(np.random.default_rng().uniform(0.5, 1.0))
        return replace(
            super().step(problem, replace(state, step_size=state.step_size * factor)), step_size=state.step_size
        )


@dataclass(frozen=True)
class NotProjected(IHT):
    """The gradient step after the projection."""

    def step(self, problem, state):
        new = super().step(problem, state)
        w = new.w - new.step_size * problem.gradient(new.w)
        return replace(new, w=w, z=problem.X @ w)


@dataclass(frozen=True)
class PassesNotCounted(ProximalGradient):
    def step(self, problem, state):
        return replace(super().step(problem, state), passes=0.0)


@dataclass(frozen=True)
class StepTooLong(ProximalGradient):
    """2.5 / L."""

    def init(self, problem, w0):
        state = super().init(problem, w0)
        return replace(state, step_size=2.5 * state.step_size)


def solvers() -> list[Planted]:
    """The wrong solvers."""
    solved, fixed = "convex problems are solved", "solutions are fixed points"
    entries = [
        ("wrong momentum", WrongMomentum(), solved),
        ("prox and gradient with different steps", PenaltyTwice(), fixed),
        ("weights forgotten", WeightsForgotten(), fixed),
        ("dual not rescaled with rho", DualNotRescaled(), "the dual is rescaled with rho"),
        ("state overwritten", InPlace(), "states and data are not modified"),
        ("z of the iterate before", StaleProduct(), "states are consistent"),
        ("float32 iterates", SinglePrecision(), solved),
        ("random steps", RandomSteps(), "runs are repeatable"),
        ("not projected", NotProjected(), "iterates are in the set"),
        ("passes not counted", PassesNotCounted(), "states are consistent"),
        ("step too long", StepTooLong(), solved),
    ]
    return [Planted("solver", *entry) for entry in entries]
