"""Uniqueness is proved where it holds and refused for duplicated columns."""

from __future__ import annotations

import numpy as np
import pytest
from reference import random_problem

import sparseopt as so


@pytest.mark.parametrize("n", [5, 30])
@pytest.mark.parametrize("seed", range(4))
def test_proved_on_generic_problems(seed, n):
    problem = random_problem(seed, n=n)
    w = so.solve(problem, tol=1e-13, throw=False).w
    assert so.certify.uniqueness(problem, w).proved


@pytest.mark.parametrize("split", [0.0, 0.3, 1.0])
def test_refused_for_duplicated_columns(split):
    """D6: X = [1 1] has a segment of solutions, and any of its points is refused."""
    problem = so.Problem([[1.0, 1.0]], so.LeastSquares([1.0]), so.GroupLasso(0.25, so.Groups.uniform(2, 1)))
    w = 0.75 * np.array([split, 1 - split])
    assert so.certify.duality_gap(problem, w).proved
    assert so.certify.uniqueness(problem, w).verdict == "undecided"


def test_weaker_than_injectivity():
    """A group with two equal columns: X_E is not injective, but the direction X_g X_g'r carries the solution alone."""
    X = np.array([[1.0, 1.0], [0.5, 0.5]])
    problem = so.Problem(X, so.LeastSquares([1.0, 1.0]), so.GroupLasso(0.05, so.Groups.uniform(1, 2)))
    w = so.solve(problem, tol=1e-14, throw=False).w
    assert so.certify.uniqueness(problem, w).proved


def test_zero_above_lambda_max_is_unique():
    problem = random_problem(0)
    problem = problem.with_lam(1.1 * so.lambda_max(problem))
    assert so.certify.uniqueness(problem, np.zeros(problem.n_features)).proved
