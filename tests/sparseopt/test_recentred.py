"""Columns far from 0 lose their first entry, exactly; all others stay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.recentred import recentred


def problem(X, intercept=True, loss=so.LeastSquares):
    y = np.random.default_rng(1).standard_normal(X.shape[0])
    return so.Problem(X, loss(y, intercept=intercept), so.GroupLasso(0.1, so.Groups.uniform(2, X.shape[1] // 2)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_only_far_columns_are_moved_and_without_rounding(dtype, order):
    X = np.random.default_rng(0).standard_normal((30, 6))
    X[:, 3:] += [-1e5, 1e6, 1e2]
    X = np.asarray(X, dtype=dtype, order=order)
    before = X.copy()
    moved, shift = recentred(problem(X))
    assert np.flatnonzero(shift).tolist() == [3, 4]
    assert moved.X.dtype == dtype
    np.testing.assert_array_equal(moved.X.astype(np.longdouble) + shift, X.astype(np.longdouble))
    np.testing.assert_array_equal(X, before)


def test_a_column_whose_later_rows_differ_is_not_far():
    X = np.ones((40, 4))
    X[20:, :3] = 0.0
    moved, shift = recentred(problem(X))
    assert shift.tolist() == [0, 0, 0, 1]
    assert not moved.X[:, 3].any()


def test_what_cannot_be_moved_is_returned_as_it_is():
    X = 1e9 + np.random.default_rng(0).standard_normal((30, 6))
    for made in (problem(X, intercept=False), problem(sparse.csc_array(X)), problem(X - 1e9)):
        same, shift = recentred(made)
        assert same is made
        assert not shift.any()


def test_paths_and_penalties_share_the_moved_columns():
    X = np.random.default_rng(0).standard_normal((60, 8))
    plain, moved = problem(X), problem(X + 2.0**30)
    lams = [0.2, 0.1, 0.02]
    expected, found = (so.solve_path(made, lams=lams, tol=1e-9) for made in (plain, moved))
    for a, b in zip(expected.results, found.results, strict=True):
        np.testing.assert_allclose(a.w, b.w, atol=1e-4)


@pytest.mark.parametrize("loss", [so.LeastSquares, so.Huber, so.Poisson])
def test_lambda_max_does_not_lose_digits_to_the_means(loss):
    X, y = np.round(np.random.default_rng(0).standard_normal((30, 6)) * 2**10) / 2**10, np.arange(30) % 4
    penalty = so.GroupLasso(1.0, so.Groups.uniform(2, 3))
    exact, found = (so.lambda_max(so.Problem(X + mean, loss(y, intercept=True), penalty)) for mean in (0, 2.0**40))
    assert found == pytest.approx(exact, rel=1e-12)


def test_states_and_callbacks_show_the_columns_as_given():
    made = problem(1e6 + np.random.default_rng(0).standard_normal((30, 6)))
    seen = []
    result = so.solve(made, so.solvers.FISTA(), callback=seen.append, tol=1e-4)
    for state in [*seen, next(so.iterate(made, w0=result.w))]:
        np.testing.assert_allclose(state.z, made.X @ state.w, rtol=1e-12)
    assert result.intercept == pytest.approx(made.datafit.intercept(made.X @ result.w), rel=1e-9)


@pytest.mark.parametrize("solver", [None, so.solvers.FISTA()])
def test_the_model_of_cox_has_no_constant_either(solver):
    X, time = np.round(np.random.default_rng(0).standard_normal((30, 6)) * 2**16) / 2**16, np.arange(30) % 9
    penalty = so.GroupLasso(0.02, so.Groups.uniform(2, 3))
    plain, moved = (so.Problem(X + mean, so.Cox(time, X[:, 0] > -1), penalty) for mean in (0.0, 2.0**30))
    expected, found = so.solve(plain, tol=1e-9), so.solve(moved, solver, tol=1e-9)
    np.testing.assert_allclose(found.w, expected.w, atol=1e-4)
    assert found.intercept == 0
    assert so.certify.duality_gap(moved, found.w, tol=1e-8).proved


def test_objective_gradient_gap_and_violation_are_those_of_the_solution():
    X = 1e10 + np.random.default_rng(0).standard_normal((30, 4))
    made = problem(X)
    result = so.solve(made, tol=1e-8)
    scale = max(result.objective, made.objective(0 * result.w) - result.objective)
    assert made.objective(result.w) == pytest.approx(result.objective, rel=1e-14)
    assert made.gap(result.w) == pytest.approx(result.gap * scale, abs=1e-14)
    assert made.violation(result.w) == pytest.approx(result.violation, abs=1e-13)
    assert made.gap(result.w) <= so.certify.duality_gap(made, result.w).upper + 1e-14
    moved = recentred(made)[0]
    np.testing.assert_array_equal(made.gradient(result.w), moved.gradient(result.w))


def test_columns_too_far_from_zero_are_named_where_no_intercept_takes_the_constant():
    X = np.random.default_rng(0).standard_normal((30, 6)) + 1e7 * np.eye(6)[[0, 5]].sum(axis=0)
    loss = so.Huber(np.random.default_rng(1).standard_normal(30), 0.5)
    with pytest.raises(so.NotConverged, match=r"rounding errors of the gradient.*fit an intercept"):
        so.solve(so.Problem(X, loss, so.GroupLasso(1e-3, so.Groups.uniform(6, 1))), max_iter=3)
