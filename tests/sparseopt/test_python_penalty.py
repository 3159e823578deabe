"""Scalar penalties written in Python only, in the compiled loops: the same results, and their exceptions unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from test_group_bcd import LOSSES, glm_problem, instance

import sparseopt as so

BCD = so.solvers.GroupBCD


class InPython:
    """A scalar penalty that nobody compiled: another one behind a plain object."""

    def __init__(self, rho):
        self.rho = rho
        self.slope0, self.convex, self.weak_convexity = rho.slope0, rho.convex, rho.weak_convexity
        self.scales_argument = getattr(rho, "scales_argument", False)

    def value(self, t):
        return self.rho.value(t)

    def slope(self, t):
        return self.rho.slope(t)

    def prox(self, v, step=1.0, out=None):
        return self.rho.prox(v, step, out)


RHOS = {
    "linear": so.penalties.Linear(),
    "lq": so.penalties.Power(0.5),
    "log": so.penalties.Log(0.3),
    "mcp": so.penalties.MCP(3.0),
    "scad": so.penalties.SCAD(3.7),
    "l0": so.penalties.L0(),
    "exp": so.penalties.ExpMask(),
}


def pair(problem, rho):
    penalty = problem.penalty
    return [
        problem.with_penalty(so.penalties.GroupPenalty(r, penalty.lam, penalty.groups)) for r in (rho, InPython(rho))
    ]


@pytest.mark.parametrize("name", RHOS)
@pytest.mark.parametrize("intercept", [False, True])
def test_gives_what_its_compiled_twin_gives(name, intercept):
    compiled, called = pair(instance(2, n=60, sizes=(5,) * 7, intercept=intercept), RHOS[name])
    assert BCD.treats(called)
    one, other = (so.solve(problem, tol=1e-8) for problem in (compiled, called))
    np.testing.assert_allclose(other.w, one.w, atol=1e-6 * np.abs(one.w).max())
    assert abs(one.objective - other.objective) <= 1e-9 * abs(one.objective)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss):
    compiled, called = pair(glm_problem(loss, 4, intercept=True, ratio=0.2), RHOS["log"])
    one, other = (so.solve(problem, BCD(), tol=1e-6) for problem in (compiled, called))
    np.testing.assert_allclose(other.w, one.w, atol=1e-4 * np.abs(one.w).max())


class Failure(Exception):
    """Carries a value through the compiled loops."""


@pytest.mark.parametrize("method", ["value", "slope", "prox"])
def test_exceptions_come_through_unchanged(method):
    error = Failure({"anything": 3})

    class Broken(InPython):
        calls = 0

    def broken(self, *arguments, **options):
        self.calls += 1
        if self.calls > 50:
            raise error
        return getattr(self.rho, method)(*arguments, **options)

    setattr(Broken, method, broken)
    problem = instance(2)
    penalty = so.penalties.GroupPenalty(Broken(RHOS["mcp"]), problem.penalty.lam, problem.penalty.groups)
    with pytest.raises(Failure) as caught:
        so.solve(problem.with_penalty(penalty), BCD(), tol=1e-12)
    assert caught.value is error
    assert so.solve(problem, BCD()).status is so.Status.CONVERGED


def test_answers_that_are_no_numbers_are_refused():
    class Wrong(InPython):
        def prox(self, v, step=1.0, out=None):
            return np.array([None] * len(v)) if len(v) == 1 else self.rho.prox(v, step, out)

    problem = instance(2)
    penalty = so.penalties.GroupPenalty(Wrong(RHOS["mcp"]), problem.penalty.lam, problem.penalty.groups)
    with pytest.raises(TypeError):
        so.solve(problem.with_penalty(penalty), BCD())
