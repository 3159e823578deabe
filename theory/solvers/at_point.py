"""Instances of the theorems on duality: a group LASSO at one strength, and a point of any accuracy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS, Instance, random_loss

SOLVE_TOL = 1e-12
"""Relative duality gap that is asked for where the solution is needed; D1 promises 1e-10 at least."""

SLACK = 2.0**-40
"""Added to margins that may be 0."""


@dataclass(frozen=True)
class AtPoint:
    """The group LASSO of `loss` at lam, and the point w [p]."""

    loss: Instance
    lam: float
    w: np.ndarray

    @cached_property
    def problem(self) -> so.Problem:
        """The problem at lam."""
        return self.loss.problem.with_lam(self.lam)

    @cached_property
    def solution(self) -> np.ndarray:
        """A point [p] of the relative gap SOLVE_TOL, or as close as the solver comes."""
        return so.solve(self.problem, tol=SOLVE_TOL, max_iter=2000, throw=False).w

    @cached_property
    def certificate(self) -> so.certify.Certificate:
        """The enclosed duality gap at w."""
        return so.certify.duality_gap(self.problem, self.w)

    @cached_property
    def last(self) -> so.certify.Certificate:
        """The enclosed duality gap at `solution`."""
        return so.certify.duality_gap(self.problem, self.solution, tol=1e-10)

    @property
    def rounding(self) -> float:
        """64 eps p M, M the sizes of the terms of the objective at 0, w and the solution (ledger, section 0)."""
        sizes = [float(abs(self.problem.objective(v))) for v in (0 * self.w, self.w, self.solution)]
        return 64 * EPS * max(self.problem.X.shape) * (sum(sizes) + float(np.abs(self.loss.b) @ np.abs(self.w)))


def random_point(rng: np.random.Generator) -> AtPoint:
    """A random loss at .05 to .95 of lambda_max, and an iterate of FISTA, one in four a Gaussian point."""
    loss = random_loss(rng, "sqrt" if rng.random() < 0.3 else "none")
    lam = float(rng.uniform(0.05, 0.95)) * float(loss.tau.max())
    if rng.random() < 0.25:
        return AtPoint(loss, lam, rng.standard_normal(len(loss.b)))
    return AtPoint(loss, lam, iterate(loss.problem.with_lam(lam), int(rng.integers(0, 60))))


def iterate(problem: so.Problem, step: int) -> np.ndarray:
    """The iterate [p] of FISTA after so many steps from 0."""
    states = so.iterate(problem, so.solvers.FISTA())
    return next(itertools.islice(states, step, None)).w
