"""Distances to stationarity, against the formula in floats; global gaps by branch and bound."""

from __future__ import annotations

import numpy as np
import pytest
from reference import random_problem
from test_branch_and_bound import l0, mcp, planted, scad

import sparseopt as so

PENALTIES = [so.GroupMCP, so.GroupSCAD, so.GroupLogSum, so.GroupLq, so.GroupL0, so.GroupLasso, so.GroupExpMask]


@pytest.mark.parametrize("make", PENALTIES)
@pytest.mark.parametrize("seed", range(5))
def test_encloses_the_distance(make, seed):
    convex = random_problem(seed)
    problem = convex.with_penalty(make(convex.penalty.lam, convex.penalty.groups))
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(problem.n_features)
    w[problem.penalty.groups.members(1)] = 0.0
    certificate = so.certify.stationarity(problem, w)
    distance = float(np.max(problem.penalty.violation(w, problem.gradient(w))))
    assert certificate.lower <= distance * (1 + 1e-12) + 1e-14
    assert certificate.upper >= distance * (1 - 1e-12) - 1e-14
    assert certificate.upper - certificate.lower <= 1e-9 * max(distance, 1)


@pytest.mark.parametrize("make", [so.GroupMCP, so.GroupSCAD, so.GroupLogSum])
def test_solutions_are_proved_and_others_refuted(make):
    convex = random_problem(2, n=30)
    problem = convex.with_penalty(make(convex.penalty.lam, convex.penalty.groups))
    w = so.solve(problem, tol=1e-9, throw=False).w
    assert so.certify.stationarity(problem, w, tol=1e-6).proved
    assert so.certify.stationarity(problem, w + 0.1, tol=1e-6).verdict == "refuted"


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("penalty", [l0, mcp, scad])
@pytest.mark.parametrize("seed", range(3))
def test_global_gap_by_branch_and_bound(penalty, seed):
    problem = planted(seed, penalty, groups=6)
    optimum = so.solvers.BranchAndBound().prove(problem)
    certificate = so.certify.global_gap(problem, optimum.w)
    assert certificate.proved, certificate.reason
    assert certificate.lower <= certificate.upper
    worse = so.certify.global_gap(problem, np.zeros(problem.n_features))
    assert worse.verdict == "refuted"
    exact = problem.objective(np.zeros(problem.n_features)) - problem.objective(optimum.w)
    assert worse.lower <= exact * (1 + 1e-9)
    assert worse.upper >= exact * (1 - 1e-9)


def test_global_gap_is_undecided_for_many_groups():
    problem = planted(0, mcp, groups=100, size=1, n=30)
    certificate = so.certify.global_gap(problem, np.zeros(100))
    assert certificate.verdict == "undecided"
    assert "100 groups" in certificate.reason
