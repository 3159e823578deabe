"""Runs of the package's ADMM on sets: random instances and what their checks share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..instances import EPS, conditioned_quadratic, real_data

PATTERNS = np.array([[[1, 1], [0, 0]], [[0, 0], [1, 1]], [[1, 0], [0, 1]], [[0, 1], [1, 0]]], dtype=bool)
"""Four patterns of two in a tile of 2 x 2."""


@dataclass(frozen=True)
class Run:
    """ADMM on a set for the given number of sweeps from x = start [p] or [p, T], with its dual start -gradient / rho.

    bound: a number that the loss is never below.  mu: strong convexity of the loss.
    """

    problem: so.Problem
    solver: so.solvers.ADMM
    start: np.ndarray
    sweeps: int
    bound: float
    mu: float = 0.0

    @property
    def rho(self) -> float:
        """The strength of the coupling."""
        return float(self.solver.rho or self.solver.certified_rho(self.problem))

    @property
    def curvature(self) -> float:
        """L, the largest curvature of the loss."""
        return float(self.problem.smoothness)

    @cached_property
    def states(self) -> list[Any]:
        """The start and all sweeps."""
        return list(itertools.islice(so.iterate(self.problem, self.solver, self.start), self.sweeps + 1))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Of the loss at x."""
        return np.asarray(self.problem.gradient(x))

    def project(self, v: np.ndarray) -> np.ndarray:
        """Onto the set."""
        return np.asarray(self.problem.penalty.prox(v))

    @cached_property
    def size(self) -> float:
        """Largest norm of x, z, u and gradient / rho in the run."""
        norms = [np.linalg.norm(v) for s in self.states for v in (s.x, s.w, s.multiplier)]
        slopes = [np.linalg.norm(self.gradient(s.x)) for s in self.states]
        return float(max(*norms, *(slope / self.rho for slope in slopes)))

    @property
    def rounding(self) -> float:
        """64 eps p size max(1, L / rho), the error of a point of the run (ledger, section 0)."""
        return 64 * EPS * self.start.size * self.size * max(1.0, self.curvature / self.rho)

    @property
    def value_rounding(self) -> float:
        """64 eps p (L + rho) size^2 and the loss at the start, the error of a Lagrangian."""
        loss = abs(self.problem.datafit.value(self.problem.X @ self.start))
        return 64 * EPS * self.start.size * ((self.curvature + self.rho) * self.size**2 + loss)


def random_set_problem(rng: np.random.Generator) -> tuple[so.Problem, float, float]:
    """A loss over 1:2, 2:4, top groups or patterns; the problem, a lower bound of the loss, its strong convexity.

    Quadratics of condition 1 to 100, rank-deficient least squares, and several responses over tiles of patterns.
    """
    kind = int(rng.integers(4))
    if kind == 3:
        X, Y = rng.standard_normal((8, 4)), rng.standard_normal((8, 2))
        return so.Problem(X, so.MultiResponse(Y), so.sets.PatternLibrary(PATTERNS)), 0.0, 0.0
    groups = so.Groups.uniform(4, 2)
    sets = (so.sets.NM(1, 2), so.sets.NM(2, 4), so.sets.TopGroups(int(rng.integers(1, 4)), groups))
    chosen = sets[int(rng.integers(3))]
    if kind == 2:
        X, y = rng.standard_normal((5, 8)), rng.standard_normal(5)
        return so.Problem(X, so.LeastSquares(y), chosen), 0.0, 0.0
    case = conditioned_quadratic(rng, groups, float(10 ** rng.uniform(0, 2)))
    least = float(case.b @ np.linalg.solve(case.H, case.b)) / 2
    return so.Problem.quadratic(case.H, case.b, chosen), -least * (1 + 1e-6), float(case.eigenvalues[0])


def draw_run(rng: np.random.Generator, sweeps: int, ratio: float, z_first: bool = True) -> Run:
    """A run with rho = ratio L from a random start."""
    problem, bound, mu = random_set_problem(rng)
    solver = so.solvers.ADMM(rho=ratio * float(problem.smoothness), z_first=z_first)
    return Run(problem, solver, rng.standard_normal(problem.w_shape), sweeps, bound, mu)


def real_run(name: str, sweeps: int, ratio: float, z_first: bool = True) -> Run:
    """A run on a bundled data set with at most 3 groups, from 0, with rho = ratio L; the intercept is minimised out."""
    loss = real_data(name)
    problem = so.Problem.quadratic(loss.H, loss.b, so.sets.TopGroups(3, loss.groups))
    least = float(loss.b @ np.linalg.lstsq(loss.H, loss.b)[0]) / 2
    solver = so.solvers.ADMM(rho=ratio * float(problem.smoothness), z_first=z_first)
    return Run(problem, solver, np.zeros(len(loss.b)), sweeps, -least * (1 + 1e-6), loss.mu)
