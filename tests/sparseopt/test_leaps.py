"""Where block descent ends no group that is 0 is better elsewhere, though every gradient there is a subgradient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

GROUPS = so.Groups.from_sizes([1, 3, 2, 4])
SCALE = 0.3
"""Norms of columns over sqrt(n): curvatures of 0.09, below the weak convexity of the penalties."""

PENALTIES = {
    "MCP": lambda slope, groups: so.GroupMCP(slope, groups, gamma=1.1),
    "SCAD": lambda slope, groups: so.GroupSCAD(slope, groups, a=1.5),
    "LogSum": lambda slope, groups: so.GroupLogSum(0.01 * slope, groups, eps=0.01),
    "Ratio": lambda slope, groups: so.penalties.GroupPenalty(so.penalties.Ratio(), slope, groups),
    "L0": lambda slope, groups: so.GroupL0(slope, groups),
    "Lq": lambda slope, groups: so.GroupLq(slope, groups, q=0.5),
}
LOSSES = {
    "LeastSquares": lambda y, intercept: so.LeastSquares(y, np.arange(1, len(y) + 1), intercept=intercept),
    "MultiResponse": lambda y, intercept: so.MultiResponse(np.outer(y, [1, -2]), intercept=intercept),
    "Logistic": lambda y, intercept: so.Logistic(np.r_[0, 1, y[2:] > 0], intercept=intercept),
    "Huber": lambda y, intercept: so.Huber(y, 0.5, intercept=intercept),
    "Multinomial": lambda y, intercept: so.Multinomial(
        np.r_[0, 1, 2, np.digitize(y[3:], [-1, 1])], intercept=intercept
    ),
    "Cox": lambda y, intercept: so.Cox(np.exp(-np.clip(y, -2, 2)), np.arange(len(y)) % 3 > 0),
}


def slope_of(problem: so.Problem, share: float) -> float:
    """A part of the critical strength of the group LASSO."""
    return share * so.lambda_max(problem.with_penalty(so.GroupLasso(1.0, GROUPS)))


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix])
@pytest.mark.parametrize("share", [0.3, 0.9, 1.5])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_groups_of_orthogonal_columns_are_at_their_global_minima(penalty, share, form):
    rng = np.random.default_rng(0)
    X = SCALE * np.sqrt(40) * np.linalg.qr(rng.standard_normal((40, 10)))[0]
    y = X @ rng.standard_normal(10) + 0.1 * rng.standard_normal(40)
    problem = so.Problem(form(X), so.LeastSquares(y), so.GroupLasso(1.0, GROUPS))
    problem = problem.with_penalty(PENALTIES[penalty](slope_of(problem, share), GROUPS))
    best = problem.penalty.prox(X.T @ y / 40 / SCALE**2, 1 / SCALE**2)
    result = so.solve(problem, so.solvers.GroupBCD(), w0=np.zeros(10), tol=1e-9)
    assert result.objective == pytest.approx(problem.objective(best), rel=1e-10)


def random_problem(loss: str, penalty: str, seed: int) -> so.Problem:
    rng = np.random.default_rng([seed, list(LOSSES).index(loss)])
    X = SCALE * (rng.standard_normal((30, 10)) + rng.standard_normal((30, 1)))
    y = X @ rng.standard_normal(10) / SCALE + 0.3 * rng.standard_normal(30)
    problem = so.Problem(X, LOSSES[loss](y, seed % 2 == 1), so.GroupLasso(1.0, GROUPS))
    return problem.with_penalty(PENALTIES[penalty](slope_of(problem, 10 ** rng.uniform(-0.5, 0.3)), GROUPS))


def assert_no_full_step_descends(problem: so.Problem, result: so.Result) -> None:
    """Steps of 1 / smoothness, which is at most 1 over the curvature of any block."""
    moved = so.solve(problem, so.solvers.ProximalGradient(), w0=result.w, tol=1e-15, max_iter=50, throw=False)
    scale = max(abs(result.objective), problem.objective(np.zeros(problem.w_shape)))
    assert moved.history.objective.min() >= result.objective - 1e-7 * scale


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_no_full_step_descends_from_where_block_descent_ends(loss, penalty, seed):
    problem = random_problem(loss, penalty, seed)
    result = so.solve(problem, so.solvers.GroupBCD(), w0=np.zeros(problem.w_shape), tol=1e-7)
    assert problem.violation(result.w) <= 1e-6 * float(GROUPS.norms(problem.gradient_at_zero).max())
    assert_no_full_step_descends(problem, result)


@pytest.mark.parametrize("penalty", ["MCP", "SCAD", "LogSum"])
def test_no_full_step_descends_along_a_path(penalty):
    problem = random_problem("LeastSquares", penalty, 0)
    path = so.solve_path(problem, 8, 0.05, tol=1e-7)
    for result in path:
        assert_no_full_step_descends(problem.with_lam(result.lam), result)


def test_a_loss_without_a_bound_on_its_curvature_leaves_zero_too():
    rng = np.random.default_rng(2)
    X = SCALE * rng.standard_normal((60, 10))
    counts = rng.poisson(np.exp(X @ np.r_[3.0, -2.0, 2.0, np.zeros(7)]))
    problem = so.Problem(X, so.Poisson(counts, intercept=True), so.GroupLasso(1.0, GROUPS))
    problem = problem.with_penalty(so.GroupLogSum(0.01 * slope_of(problem, 1.5), GROUPS, eps=0.01))
    assert problem.violation(np.zeros(10)) == 0
    assert so.solve(problem).objective < problem.objective(np.zeros(10)) - 0.1


def test_wide_designs_of_which_little_is_read():
    rng = np.random.default_rng(3)
    groups = so.Groups.uniform(600, 5)
    X = SCALE * rng.standard_normal((120, 3000))
    y = X[:, :5] @ rng.standard_normal(5) * 5 + 0.1 * rng.standard_normal(120)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))
    strength = 0.01 * 1.2 * so.lambda_max(problem)
    problem = problem.with_penalty(so.GroupLogSum(strength, groups, eps=0.01))
    result = so.solve(problem)
    assert result.objective < problem.objective(np.zeros(3000)) / 2
    moved = so.solve(problem, so.solvers.ProximalGradient(), w0=result.w, tol=1e-15, max_iter=20, throw=False)
    assert moved.history.objective.min() >= result.objective * (1 - 1e-6)
