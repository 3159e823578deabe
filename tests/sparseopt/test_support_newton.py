"""Newton steps on the support: their Hessian, and least squares whose sweeps are slow."""

from __future__ import annotations

import numpy as np
import pytest
from glm import datafit

import sparseopt as so
from sparseopt.solvers import support_newton
from sparseopt.solvers.descent import GroupDescent
from sparseopt.solvers.support_newton import _centred, _gradient, _hessian, free_outputs

PENALTIES = {
    "GroupLasso": so.GroupLasso(0.3, so.Groups.from_lists([[4, 0], [1], [2, 3, 5]])),
    "SparseGroupLasso": so.SparseGroupLasso(0.3, so.Groups.from_sizes([2, 1, 3]), l1_ratio=0.4),
    "GroupElasticNet": so.GroupElasticNet(0.3, so.Groups.from_sizes([2, 1, 3]), l2=0.2),
    "GroupLogSum": so.GroupLogSum(0.3, so.Groups.from_sizes([2, 1, 3])),
}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ["LeastSquares", "MultiResponse", "Logistic", "Multinomial", "Cox"])
def test_the_hessian_is_the_derivative_of_the_gradient(loss, penalty):
    rng = np.random.default_rng(0)
    X, fit = rng.standard_normal((14, 6)), datafit(loss, intercept=loss not in ("Cox", "Logistic"))
    w0 = rng.standard_normal((6,) if fit.n_outputs is None else (6, fit.n_outputs))
    w0[2] = 0.0
    run = GroupDescent(so.Problem(X, fit, PENALTIES[penalty]), w0, so.solvers.GroupBCD())
    start, rows = run.by_position, np.flatnonzero(run.by_position.any(axis=1))
    columns, free = X[:, run.store.columns[rows]], free_outputs(run)
    hessian, step = _hessian(run, columns, rows, free), 1e-5
    inner = np.zeros((len(rows), start.shape[1]))
    inner[:, :free] = rng.standard_normal((len(rows), free))
    direction = np.zeros_like(start)
    direction[rows] = _centred(inner, free)
    ends = []
    for sign in (1, -1):
        run.move(start + sign * step * direction)
        ends.append(_centred(_gradient(run, columns, rows), free)[:, :free].ravel())
    found = hessian @ inner[:, :free].ravel()
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * step), atol=1e-6 * np.abs(hessian).max())


@pytest.mark.parametrize("weights", ["sqrt", "free"])
def test_more_active_columns_than_samples_take_a_few_rounds(weights):
    """Of correlated columns; sweeps alone take tens of rounds."""
    rng, groups = np.random.default_rng(1), so.Groups.uniform(20, 5)
    X = rng.standard_normal((25, 100)) + 3 * rng.standard_normal((25, 1))
    y = X[:, :20] @ rng.standard_normal(20) + 0.5 * rng.standard_normal(25)
    weights = np.r_[0.0, np.ones(19)] if weights == "free" else weights
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups, weights))
    problem = problem.with_lam(1e-4 * so.lambda_max(problem))
    result = so.solve(problem, tol=1e-9, max_iter=4)
    assert 5 * len(groups.active(result.w)) > 25
    assert so.certify.duality_gap(problem, result.w, tol=1e-8).proved


def test_newton_steps_are_not_tried_where_sweeps_suffice(monkeypatch):
    def fail(run):
        raise AssertionError("a Newton step was tried")

    monkeypatch.setattr("sparseopt.solvers.frames.support_step", fail)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 200)), rng.standard_normal(50)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(40, 5)))
    so.solve(problem.with_lam(0.05 * so.lambda_max(problem)), tol=1e-9)


def test_systems_that_are_not_positive_definite_take_absolute_values():
    hessian, gradient = np.diag([2.0, -4.0]), np.array([1.0, 1.0])
    np.testing.assert_allclose(support_newton._solved(hessian, gradient, 1e-10), [0.5, 0.25], rtol=1e-8)


@pytest.mark.parametrize("limit", ["MOST_ENTRIES", "MOST_PRODUCTS"])
def test_systems_that_take_long_are_not_formed(monkeypatch, limit):
    problem = so.Problem(np.random.default_rng(0).standard_normal((14, 6)), datafit("Cox"), PENALTIES["GroupLasso"])
    run = GroupDescent(problem, np.ones(6), so.solvers.GroupBCD())
    monkeypatch.setattr(support_newton, limit, 5)
    before = run.by_position
    assert not support_newton.support_step(run)
    assert run.by_position is before


def test_cox_with_more_active_columns_than_samples_takes_few_passes():
    """So many that sweeps alone take more than fifty thousand passes."""
    rng, groups = np.random.default_rng(2), so.Groups.uniform(40, 20)
    X, w = rng.standard_normal((200, 800)), np.repeat([1.0, 0.0], [60, 740])
    time = rng.exponential(np.exp(-(X @ w) / np.linalg.norm(w)))
    problem = so.Problem(X, so.Cox(time, rng.random(200) < 0.7), so.GroupLasso(1.0, groups))
    problem = problem.with_lam(so.lambda_max(problem) / 10)
    result = so.solve(problem)
    assert np.count_nonzero(result.w) > 400
    assert result.history.passes[-1] < 5000
