"""lambda_max is sharp, at any weights, and refuses where no strength is special."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_problem

import sparseopt as so
from sparseopt.penalties import GroupPenalty, Log, Power, Ratio


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["sqrt", "none", "array"]), intercept=st.booleans())
def test_lambda_max_is_sharp(seed, kind, intercept):
    weights = np.random.default_rng(seed).uniform(0.2, 4, 4) if kind == "array" else kind
    problem = random_problem(seed % 1000, weights=weights, intercept=intercept)
    top = so.lambda_max(problem)
    assert so.solve(problem.with_lam(top * (1 + 1e-12)), tol=1e-12).w.tolist() == [0] * 8
    assert np.any(so.solve(problem.with_lam(0.999 * top), tol=1e-9).w != 0)


def test_lambda_max_written_out():
    problem = random_problem(0)
    X, y, groups = problem.X, problem.datafit.y, problem.penalty.groups
    correlations = [np.linalg.norm(X[:, groups.members(g)].T @ y) / len(y) for g in range(4)]
    assert so.lambda_max(problem) == pytest.approx(max(correlations / np.sqrt([2, 3, 1, 2])), rel=1e-13)
    assert so.lambda_max(problem.with_lam(17.0)) == so.lambda_max(problem)


def test_lambda_max_of_a_quadratic():
    penalty = so.GroupLasso(1.0, so.Groups.from_sizes([2, 1]), weights="none")
    assert so.lambda_max(so.Problem.quadratic(np.eye(3), [3.0, 4.0, 1.0], penalty)) == 5


def test_lambda_max_with_an_intercept_projects_first():
    problem = random_problem(0)
    shifted = so.Problem(problem.X, so.LeastSquares(problem.datafit.y + 1e3, intercept=True), problem.penalty)
    centred = so.Problem(problem.X, so.LeastSquares(problem.datafit.y, intercept=True), problem.penalty)
    assert so.lambda_max(shifted) == pytest.approx(so.lambda_max(centred), rel=1e-9)


@pytest.mark.parametrize(("rho", "slope"), [(Log(0.5), 2.0), (Ratio(), 1.0)])
def test_lambda_max_counts_the_slope_at_zero(rho, slope):
    problem = random_problem(0)
    other = problem.with_penalty(GroupPenalty(rho, 1.0, problem.penalty.groups))
    assert so.lambda_max(other) == pytest.approx(so.lambda_max(problem) / slope, rel=1e-13)
    at_top = other.with_lam(so.lambda_max(other) * (1 + 1e-12))
    assert at_top.violation(np.zeros(8)) == 0
    assert other.with_lam(0.999 * so.lambda_max(other)).violation(np.zeros(8)) > 0


def test_lambda_max_of_the_inverse_sum_is_that_of_its_companion():
    problem = random_problem(0)
    R = so.InverseSum(0.1, problem.penalty.groups, Log(1.0))
    companion = problem.with_penalty(R.companion)
    assert so.lambda_max(problem.with_penalty(R)) == pytest.approx(so.lambda_max(companion), rel=1e-13)


@pytest.mark.parametrize(
    ("rho", "message"), [(Power(0.5), "stationary for every lam"), (so.penalties.ExpMask(), "0 is never a solution")]
)
def test_no_strength_is_special_for_infinite_or_zero_slopes(rho, message):
    problem = random_problem(0)
    with pytest.raises(ValueError, match=message):
        so.lambda_max(problem.with_penalty(GroupPenalty(rho, 1.0, problem.penalty.groups)))


@pytest.mark.parametrize("intercept", [False, True])
def test_a_vanishing_gradient_has_no_path(intercept):
    y = np.full(12, 2.0) if intercept else np.zeros(12)
    problem = so.Problem(random_problem(0).X, so.LeastSquares(y, intercept=intercept), random_problem(0).penalty)
    with pytest.raises(ValueError, match=r"the gradient at 0 vanishes.*check y, offset and X"):
        so.lambda_max(problem)
