"""Paths: equal to single solves, certified, one error at the end."""

from __future__ import annotations

import pickle

import glm
import numpy as np
import pytest
from reference import random_problem

import sparseopt as so
from sparseopt.solution_path import deviance_explained


@pytest.mark.parametrize("loss", glm.LOSSES)
def test_a_path_equals_single_solves_and_is_certified(loss):
    problem = glm.problem(loss, "GroupLasso", intercept=loss in glm.WITH_INTERCEPT)
    path = so.solve_path(problem, 6, 0.1, tol=1e-7)
    assert len(path) == 6
    assert not path[0].w.any()
    np.testing.assert_allclose(path.lams, so.lambda_max(problem) * np.geomspace(1, 0.1, 6), rtol=1e-12)
    for result in path:
        single = problem.with_lam(result.lam)
        assert so.certify.duality_gap(single, result.latent, tol=1e-6).verdict == "proved"
        alone = so.solve(single, tol=1e-7)
        assert result.objective == pytest.approx(alone.objective, abs=3e-7 * max(abs(alone.objective), 0.1))


@pytest.mark.parametrize("penalty", [so.GroupMCP, so.GroupSCAD, so.GroupLogSum])
def test_nonconvex_paths_are_stationary(penalty):
    rng = np.random.default_rng(0)
    groups = so.Groups.uniform(60, 3)
    X = rng.standard_normal((50, 180))
    y = X[:, :6] @ rng.standard_normal(6) + 0.3 * rng.standard_normal(50)
    problem = so.Problem(X, so.LeastSquares(y), penalty(1.0, groups))
    scale = np.max(groups.norms(problem.gradient_at_zero))
    for result in so.solve_path(problem, 15, 0.05):
        assert problem.with_lam(result.lam).violation(result.w) <= 1e-6 * scale * (1 + 1e-9)


def test_one_error_at_the_end_names_the_lambdas_and_carries_the_path():
    problem = random_problem(1)
    with pytest.raises(so.PathNotConverged) as caught:
        so.solve_path(problem, 5, 0.1, tol=1e-14, solver=so.solvers.ProximalGradient(), max_iter=2)
    path = caught.value.path
    assert isinstance(caught.value, so.NotConverged)
    assert len(path) == 5
    assert path.short
    assert all(f"{lam:.6g}" in str(caught.value) for lam in path.short)
    assert caught.value.result.lam == path.short[0]
    assert pickle.loads(pickle.dumps(caught.value)).path.lams.tolist() == path.lams.tolist()
    same = so.solve_path(problem, 5, 0.1, tol=1e-14, solver=so.solvers.ProximalGradient(), max_iter=2, throw=False)
    assert same.short == path.short


def test_a_time_limit_names_what_was_not_reached():
    problem = random_problem(2)
    path = so.solve_path(problem, 30, 1e-3, time_limit=1e-9, tol=0, throw=False)
    assert len(path) + len(path.unreached) == 30
    assert len(path.unreached) > 0
    with pytest.raises(so.PathNotConverged, match="not reached"):
        so.solve_path(problem, 30, 1e-3, time_limit=1e-9, tol=0)


def test_early_stop_by_explained_deviance():
    problem = random_problem(3)
    whole = so.solve_path(problem, 20)
    share = whole.deviance_explained
    assert np.all(np.diff(share) > -1e-6)
    w, y = whole[-1].w, problem.datafit.y
    assert share[-1] == pytest.approx(1 - ((y - problem.X @ w) ** 2).sum() / (y**2).sum(), rel=1e-12)
    short = so.solve_path(problem, 20, max_deviance=0.5)
    assert len(short) == np.argmax(share >= 0.5) + 1


@pytest.mark.parametrize("loss", glm.LOSSES)
def test_explained_deviance_is_between_null_and_saturated(loss):
    problem = glm.problem(loss, "GroupLasso")
    zero = np.zeros(problem.w_shape)
    assert deviance_explained(problem, zero) == 0
    assert 0 < deviance_explained(problem, so.solve(problem).w) < 1


def test_lams_are_sorted_and_checked():
    problem = random_problem(4)
    assert so.solve_path(problem, lams=[0.1, 0.3]).lams.tolist() == [0.3, 0.1]
    for bad in ({"lams": [0.1, -1]}, {"n_lambdas": 0}, {"ratio": 1.5}, {"max_deviance": 2}, {"time_limit": -1}):
        with pytest.raises(ValueError, match=r"give|positive|between"):
            so.solve_path(problem, **bad)
    with pytest.raises(ValueError, match="standardize"):
        so.solve_path(problem, standardize="columns")


def test_plot_and_containers():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    path = so.solve_path(random_problem(5), 8)
    axes = path.plot()
    assert len(axes.lines) == path.active.any(axis=0).sum()
    assert path[2:4] == path.results[2:4]
    assert path.coefficients.shape == (8, 8)
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("intercept", [False, True])
def test_group_standardisation_does_not_depend_on_the_basis_of_a_group(intercept):
    problem = random_problem(6, n=30, intercept=intercept)
    X, groups = problem.X, problem.penalty.groups
    mixed, rng = X.copy(), np.random.default_rng(0)
    for g in range(groups.n_groups):
        members = groups.members(g)
        mixed[:, members] = X[:, members] @ rng.standard_normal((len(members), len(members))) * 100
    first, second = (
        so.solve_path(so.Problem(A, problem.datafit, problem.penalty), 6, 0.1, standardize="group", tol=1e-10)
        for A in (X, mixed)
    )
    np.testing.assert_allclose(first.lams, second.lams, rtol=1e-9)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(X @ a.w, mixed @ b.w, atol=1e-5)
        assert so.certify.duality_gap(first.problem.with_lam(a.lam), a.latent).verdict == "proved"
    standard = first.problem.X - (first.problem.X.mean(axis=0) if intercept else 0)
    for g in range(groups.n_groups):
        block = standard[:, first.problem.penalty.groups.members(g)]
        np.testing.assert_allclose(block.T @ block / len(block), np.eye(block.shape[1]), atol=1e-12)


def test_group_standardisation_of_collinear_and_constant_columns():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20))
    X = np.column_stack([a, a, b, np.ones(20)])
    problem = so.Problem(X, so.LeastSquares(a + b, intercept=True), so.GroupLasso(0.1, so.Groups.from_sizes([2, 1, 1])))
    result = so.solve_path(problem, standardize="group")[-1]
    assert result.w[0] == pytest.approx(result.w[1])
    assert result.w[3] == 0
    with pytest.raises(ValueError, match="depends on the basis"):
        so.GroupStandardisation(problem.with_penalty(so.SparseGroupLasso(0.1, problem.penalty.groups)))
