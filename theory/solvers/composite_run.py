"""Runs of proximal methods against a rate: random group LASSOs, the instances that attain it, and exact ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..instances import EPS, conditioned_quadratic, random_groups, real_data
from ..theorem import Evidence
from .at_point import SLACK


@dataclass(frozen=True)
class Run:
    """`steps` steps of a proximal method on a convex problem from w0 [p].  mu: strong convexity of the loss, > 0."""

    problem: so.Problem
    solver: Any
    w0: np.ndarray
    mu: float
    steps: int = 40

    @cached_property
    def points(self) -> list[np.ndarray]:
        """w_0, ..., w_steps."""
        return [state.w for state in itertools.islice(so.iterate(self.problem, self.solver, self.w0), self.steps + 1)]

    @cached_property
    def solution(self) -> np.ndarray:
        """A point [p] of relative gap 1e-13 or as close as the solver comes."""
        return so.solve(self.problem, tol=1e-13, max_iter=2000, throw=False).w

    @cached_property
    def gap(self) -> float:
        """Upper bound on its distance to the minimum."""
        return max(so.certify.duality_gap(self.problem, self.solution).upper, 0.0)

    @cached_property
    def error(self) -> float:
        """Bound on |solution - w*|."""
        return float(np.sqrt(2 * self.gap / self.mu))

    @cached_property
    def excess(self) -> np.ndarray:
        """F(w_k) - F(solution) [steps + 1]; F* is below F(solution) by at most `gap`."""
        least = self.problem.objective(self.solution)
        return np.array([self.problem.objective(w) - least for w in self.points])

    @cached_property
    def rounding(self) -> float:
        """64 eps p times the terms of the objective (ledger, section 0), and the gap."""
        reach = max(float(np.abs(w).max()) for w in self.points) + float(np.abs(self.solution).max())
        size = self.problem.smoothness * reach**2 * len(self.w0) + abs(self.problem.objective(self.w0))
        return 64 * EPS * len(self.w0) * size + self.gap

    @property
    def distance(self) -> float:
        """Upper bound on |w0 - w*|."""
        return float(np.linalg.norm(self.w0 - self.solution)) + self.error

    @property
    def relative_step(self) -> float:
        """step * L."""
        return (self.solver.step_size or 1 / self.problem.smoothness) * self.problem.smoothness

    def worst(self, claim: str, rates: Any) -> Evidence:
        """The step at which F(w_k) - F* is the largest part of rates[k] L |w0 - w*|^2, rates [steps + 1]."""
        bounds = np.asarray(rates) * self.problem.smoothness * self.distance**2
        k = 1 + int(np.argmax(self.excess[1:] / bounds[1:]))
        return Evidence(f"{claim} at k = {k}", float(self.excess[k]), float(bounds[k]), self.rounding)


def random_run(rng: np.random.Generator, solver: Any) -> Run:
    """A group LASSO with a quadratic of condition 1 to 1000, from a Gaussian point."""
    groups = random_groups(rng, int(rng.integers(2, 6)), 3)
    loss = conditioned_quadratic(rng, groups, float(10 ** rng.uniform(0, 3)), "sqrt" if rng.random() < 0.3 else "none")
    problem = loss.problem.with_lam(float(rng.uniform(0.02, 0.9)) * float(loss.tau.max()))
    return Run(problem, solver, float(10 ** rng.uniform(-1, 1)) * rng.standard_normal(groups.n_features), loss.mu)


def real_run(name: str, solver: Any) -> Run:
    """The group LASSO on a bundled data set at .1 lambda_max, from 0; the intercept is minimised out."""
    loss = real_data(name, "sqrt")
    lasso = loss.problem.penalty.with_lam(0.1 * float(loss.tau.max()))
    return Run(so.Problem.quadratic(loss.H, loss.b, lasso), solver, np.zeros(len(loss.b)), loss.mu)


@dataclass(frozen=True)
class ExactRun:
    """Values of a run in floats that are taken as the rational numbers they are.

    excess: F(w_k) - F*, k = 0, 1, ...  bounds: what they are to be below.  step: step * L.  convex: whether F is.
    assumed: curvature that the method assumes less the true one.  accelerated: whether the momentum is the method's.
    """

    excess: tuple[Fraction, ...]
    bounds: tuple[Fraction, ...]
    step: Fraction = Fraction(1)
    convex: bool = True
    assumed: Fraction = Fraction(0)
    accelerated: bool = True

    def evidence(self) -> tuple[Evidence, ...]:
        """Every value against its bound."""
        pairs = list(zip(self.excess, self.bounds, strict=True))[1:]
        k = max(range(len(pairs)), key=lambda i: pairs[i][0] - pairs[i][1])
        return (Evidence(f"F(x_k) - F* is below the rate at k = {k + 1}", *pairs[k]),)


def exact_run(problem: so.Problem, solver: Any, w0: Any, steps: int) -> list[list[Fraction]]:
    """The points of a run of the library, as the rational numbers that its floats are."""
    states = itertools.islice(so.iterate(problem, solver, np.array(w0, dtype=float)), steps + 1)
    return [[Fraction(float(v)) for v in state.w] for state in states]


def slope_problem(slope: float) -> so.Problem:
    """f = u_2^2 / 2 and h = slope (|u_1| + |u_2|): from (1, 0) the method runs on |u_1| alone, with L = 1."""
    penalty = so.GroupLasso(slope, so.Groups.uniform(2, 1), "none")
    return so.Problem.quadratic(np.diag([0.0, 1.0]), np.zeros(2), penalty)


def attained(solver: Any, rate: Any, steps: tuple[int, ...]) -> tuple[Evidence, ...]:
    """F(x_n) on `slope_problem` with slope 2 rate(n) is rate(n): the rate is tight."""
    found = []
    for n in steps:
        target = float(rate(n))
        problem = slope_problem(2 * target)
        states = so.iterate(problem, solver, np.array([1.0, 0.0]))
        value = problem.objective(next(itertools.islice(states, n, None)).w)
        found.append(Evidence(f"the rate of {n} steps is attained", abs(value / target - 1), 0.0, 64 * EPS * n**2))
    return tuple(found)


def square_run(step: float, steps: int) -> list[Fraction]:
    """Excess of F = u^2/2 along proximal gradient with this step, from u = 1."""
    problem = so.Problem.quadratic([[1.0]], [0.0], so.GroupLasso(2.0**-60, so.Groups.uniform(1, 1), "none"))
    points = exact_run(problem, so.solvers.ProximalGradient(step_size=step), [1.0], steps)
    return [u[0] ** 2 / 2 for u in points]


def convex_margin(instance: Run | ExactRun) -> float:
    """1 where the penalty is convex."""
    return 1.0 if (instance.convex if isinstance(instance, ExactRun) else instance.problem.convex) else -1.0


def step_margin(instance: Run | ExactRun) -> float:
    """1 - step * L, plus 2^-40 where it may be 0."""
    step = instance.step if isinstance(instance, ExactRun) else instance.relative_step
    return float(1 - step) + SLACK
