"""Problems: objective, gradient, violation and gap, dense and sparse; smoothness against eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_problem
from scipy import sparse

import sparseopt as so
from sparseopt import problem as problem_module
from sparseopt.penalties import GroupPenalty, Power, Ratio

FORMATS = ["csr", "csc", "coo", "lil"]


def hessian(problem):
    """X' C X, column by column."""
    X = np.asarray(problem.X.todense() if sparse.issparse(problem.X) else problem.X)
    return np.array([X.T @ problem.datafit.curvature(X[:, j]) for j in range(X.shape[1])])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("intercept", [False, True])
def test_sparse_and_dense_agree(form, intercept):
    dense = random_problem(0, intercept=intercept)
    thinned = np.where(np.abs(dense.X) > 0.7, dense.X, 0)
    dense = so.Problem(thinned, dense.datafit, dense.penalty)
    other = so.Problem(sparse.csr_array(thinned).asformat(form), dense.datafit, dense.penalty)
    w = np.random.default_rng(1).standard_normal(8)
    assert other.objective(w) == pytest.approx(dense.objective(w), rel=1e-13)
    assert other.gradient(w) == pytest.approx(dense.gradient(w), rel=1e-12, abs=1e-14)
    assert other.violation(w) == pytest.approx(dense.violation(w), rel=1e-12)
    assert other.gap(w) == pytest.approx(dense.gap(w), rel=1e-12)
    assert other.smoothness == pytest.approx(dense.smoothness, rel=1e-12)


def test_objective_and_gradient_written_out():
    problem, w = random_problem(0), np.random.default_rng(1).standard_normal(8)
    y, groups = problem.datafit.y, problem.penalty.groups
    residual = y - problem.X @ w
    penalty = sum(
        problem.penalty.lam * np.sqrt(len(groups.members(g))) * np.linalg.norm(w[groups.members(g)]) for g in range(4)
    )
    assert problem.objective(w) == pytest.approx(residual @ residual / (2 * len(y)) + penalty, rel=1e-14)
    assert problem.gradient(w) == pytest.approx(-problem.X.T @ residual / len(y), rel=1e-12)


@pytest.mark.parametrize("shape", [(12, 8), (5, 8), (1, 8), (8, 8)])
@pytest.mark.parametrize("intercept", [False, True])
def test_smoothness_is_the_largest_eigenvalue(shape, intercept):
    rng = np.random.default_rng(0)
    datafit = so.LeastSquares(rng.standard_normal(shape[0]), rng.uniform(0.1, 2, shape[0]), intercept=intercept)
    problem = so.Problem(rng.standard_normal(shape), datafit, so.GroupLasso(1.0, so.Groups.uniform(4, 2)))
    expected = np.linalg.eigvalsh(hessian(problem))[-1]
    assert problem.smoothness == pytest.approx(expected if expected > 1e-12 else 1.0, rel=1e-11)
    assert so.Problem(sparse.csr_array(problem.X), datafit, problem.penalty).smoothness == pytest.approx(
        problem.smoothness, rel=1e-12
    )


def test_smoothness_of_large_problems_comes_from_lanczos(monkeypatch):
    monkeypatch.setattr(problem_module, "DENSE_LIMIT", 3)
    for seed, intercept in [(0, False), (1, True), (2, False)]:
        problem = random_problem(seed, n=30, intercept=intercept)
        assert problem.smoothness == pytest.approx(np.linalg.eigvalsh(hessian(problem))[-1], rel=1e-5)


def test_smoothness_of_columns_far_from_zero():
    """With an intercept a constant added to a column changes nothing."""
    problem = random_problem(0, intercept=True)
    shifted = so.Problem(problem.X + 1e6, problem.datafit, problem.penalty)
    assert shifted.smoothness == pytest.approx(problem.smoothness, rel=1e-8)


def test_smoothness_of_nothing_is_one_and_of_too_much_an_error():
    penalty = so.GroupLasso(1.0, so.Groups.uniform(2, 1))
    assert so.Problem(np.zeros((3, 2)), so.LeastSquares([1.0, 2, 3]), penalty).smoothness == 1
    with pytest.raises(ValueError, match="squares of X overflow"):
        _ = so.Problem(np.full((3, 2), 1e200), so.LeastSquares([1.0, 2, 3]), penalty).smoothness


def test_quadratic_problems():
    H, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([1.0, -3.0])
    problem = so.Problem.quadratic(H, b, so.GroupLasso(0.1, so.Groups.uniform(2, 1)))
    w = np.array([0.3, -0.7])
    assert problem.objective(w) == pytest.approx(w @ H @ w / 2 - b @ w + 0.1)
    assert problem.gradient(w) == pytest.approx(H @ w - b)
    assert problem.smoothness == pytest.approx(np.linalg.eigvalsh(H)[-1])


@given(seed=st.integers(0, 2**32 - 1), log_scale=st.integers(-8, 3))
def test_the_gap_is_nonnegative_and_bounds_the_suboptimality(seed, log_scale):
    problem = random_problem(seed % 50, intercept=bool(seed % 2))
    best = so.solve(problem, tol=1e-12).w
    w = best + 10.0**log_scale * np.random.default_rng(seed).standard_normal(8)
    rounding = 1e-14 * (1 + problem.objective(w))
    assert problem.gap(w) >= -rounding
    assert problem.objective(w) - problem.objective(best) <= problem.gap(w) + rounding


def test_the_gap_and_the_violation_vanish_at_the_solution_only():
    problem = random_problem(3)
    w = so.solve(problem, tol=1e-14, throw=False).w
    assert abs(problem.gap(w)) <= 1e-13
    assert problem.violation(w) <= 1e-6
    assert problem.gap(w + 0.1) > 1e-4
    assert problem.violation(w + 0.1) > 1e-3


def test_the_gap_of_zero_above_lambda_max_is_zero():
    problem = random_problem(3)
    problem = problem.with_lam(1.01 * so.lambda_max(problem))
    assert problem.gap(np.zeros(8)) == pytest.approx(0, abs=1e-15)
    assert problem.violation(np.zeros(8)) == 0


def test_violation_where_the_slope_at_zero_is_infinite():
    problem = random_problem(3).with_penalty(GroupPenalty(Power(0.5), 1e-4, random_problem(3).penalty.groups))
    assert problem.violation(np.zeros(8)) > 1e-3
    assert problem.with_lam(1e3).violation(np.zeros(8)) == 0


def test_nonconvex_penalties_have_no_gap():
    problem = random_problem(3).with_penalty(GroupPenalty(Ratio(), 0.1, random_problem(3).penalty.groups))
    assert not problem.convex
    with pytest.raises(ValueError, match="is not convex, so there is no duality gap"):
        problem.gap(np.zeros(8))


def test_other_penalties_and_strengths_share_the_data():
    problem = random_problem(3)
    first = problem.smoothness
    other = problem.with_lam(0.5)
    assert other.penalty.lam == 0.5
    assert other.X is problem.X
    assert other.__dict__["smoothness"] == first
    R = so.InverseSum(0.2, problem.penalty.groups, Power(0.5))
    assert problem.with_penalty(R).objective(np.zeros(8)) == pytest.approx(problem.objective(np.zeros(8)))
    with pytest.raises(ValueError, match="groups cover 3"):
        problem.with_penalty(so.GroupLasso(1.0, so.Groups.uniform(3, 1)))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool, np.float32])
def test_other_dtypes_are_converted(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 2, (6, 4)).astype(dtype), rng.integers(0, 2, 6).astype(dtype)
    before = X.copy()
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(0.1, so.Groups.uniform(2, 2)))
    same = so.Problem(X.astype(float), so.LeastSquares(y.astype(float)), problem.penalty)
    assert problem.objective(np.ones(4)) == pytest.approx(same.objective(np.ones(4)), rel=1e-6)
    assert problem.gradient(np.ones(4, dtype=int)) == pytest.approx(same.gradient(np.ones(4)), rel=1e-6)
    assert problem.gradient(np.ones(4)).dtype == np.float64
    assert np.array_equal(X, before)
    assert X.dtype == dtype


def test_lists_and_views_are_fine():
    problem = random_problem(3)
    strided = np.empty((24, 16))
    strided[::2, ::2] = problem.X
    same = so.Problem(strided[::2, ::2], so.LeastSquares(problem.datafit.y.tolist()), problem.penalty)
    w = list(range(8))
    assert same.objective(w) == pytest.approx(problem.objective(w), rel=1e-14)


def test_repr_says_what_it_is():
    assert "X [12, 8], LeastSquares, GroupLasso" in repr(random_problem(0))
