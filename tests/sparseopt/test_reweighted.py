"""The reweighted group LASSO descends to stationary points; FISTA with strong convexity keeps its rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from reference import random_problem

import sparseopt as so
from sparseopt.solvers import FISTA, ReweightedGroupLasso


@pytest.mark.parametrize("make", [so.GroupMCP, so.GroupSCAD, so.GroupLogSum, so.GroupLq])
@pytest.mark.parametrize("seed", range(3))
def test_the_objective_never_rises_and_the_end_is_stationary(make, seed):
    convex = random_problem(seed, n=30)
    problem = convex.with_penalty(make(convex.penalty.lam, convex.penalty.groups))
    start = so.solve(convex.with_lam(0.1 * convex.penalty.lam), tol=1e-10).w
    objectives = [s.objective for s in itertools.islice(so.iterate(problem, ReweightedGroupLasso(), start), 40)]
    assert (np.diff(objectives) <= 0).all()
    assert objectives[0] == pytest.approx(problem.objective(start))
    result = so.solve(problem, ReweightedGroupLasso(), tol=1e-5, w0=start, max_iter=300)
    assert problem.violation(result.w) <= 1e-5 * np.max(problem.penalty.groups.norms(problem.gradient_at_zero))


@pytest.mark.parametrize("make", [so.GroupL0, so.GroupExpMask])
def test_penalties_that_are_not_concave_with_a_slope_are_refused(make):
    convex = random_problem(0)
    with pytest.raises(ValueError, match="concave"):
        so.solve(convex.with_penalty(make(0.1, convex.penalty.groups)), ReweightedGroupLasso())


def test_a_start_that_would_stay_is_refused_with_advice():
    convex = random_problem(0)
    with pytest.raises(ValueError, match="give a dense w0"):
        so.solve(convex.with_penalty(so.GroupLq(0.1, convex.penalty.groups)), ReweightedGroupLasso())


@pytest.mark.parametrize("seed", range(5))
def test_rate_of_fista_for_strongly_convex_losses(seed):
    """D4: F_k - F* <= (1 - q)^k (F_0 - F* + mu / 2 |w_0 - w*|^2)."""
    problem = random_problem(seed, n=30)
    values = np.linalg.eigvalsh(problem.X.T @ problem.X / 30)
    mu, q = float(values[0]), float(np.sqrt(values[0] / problem.smoothness))
    best = so.solve(problem, tol=1e-14, throw=False).w
    lowest, start = problem.objective(best), np.ones(problem.n_features)
    first = problem.objective(start) - lowest + mu / 2 * float(((start - best) ** 2).sum())
    states = so.iterate(problem, FISTA(strong_convexity=mu), start)
    for k, state in enumerate(itertools.islice(states, 100)):
        assert problem.objective(state.w) - lowest <= (1 - q) ** k * first + 1e-13
