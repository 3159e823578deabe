"""Compiled block descent under the elastic net, the sparse group LASSO and nonnegative coefficients, against others."""

from __future__ import annotations

import numpy as np
import pytest
from test_group_bcd import LOSSES, glm_problem, instance

import sparseopt as so

BCD = so.solvers.GroupBCD

PENALTIES = {
    "elastic net": lambda lam, groups: so.GroupElasticNet(lam, groups, l2=0.1 * lam),
    "sparse group": lambda lam, groups: so.SparseGroupLasso(lam, groups, l1_ratio=0.4),
    "lasso in groups": lambda lam, groups: so.SparseGroupLasso(lam, groups, l1_ratio=1.0),
    "positive": lambda lam, groups: so.GroupLasso(lam, groups, positive=True),
}
SHAPES = [(5,) * 20, (1,) * 40, (1, 2, 3, 10, 11, 30, 7, 16), (80, 3, 70, 1)]


def under(problem, name, ratio=0.1):
    """The problem under another penalty, every second column turned, so that correlations have both signs."""
    X = np.asfortranarray(problem.X * np.where(np.arange(problem.n_features) % 2, -1.0, 1.0))
    problem = so.Problem(X, problem.datafit, problem.penalty)
    problem = problem.with_penalty(PENALTIES[name](1.0, problem.penalty.groups))
    lam = ratio * so.lambda_max(problem)
    return problem.with_penalty(PENALTIES[name](lam, problem.penalty.groups))


def assert_minimum(problem, tol):
    """Solved to tol by block descent, certified from the coefficients alone, and as low as FISTA gets."""
    mine = so.solve(problem, BCD(), tol=tol)
    assert so.certify.duality_gap(problem, mine.latent, tol=2 * tol).proved
    theirs = so.solve(problem, so.solvers.FISTA(), tol=10 * tol)
    scale = max(abs(theirs.objective), abs(theirs.objective - problem.objective(np.zeros_like(theirs.w))))
    assert abs(mine.objective - theirs.objective) <= 20 * tol * scale
    return mine


@pytest.mark.sample(every=7)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", SHAPES, ids=["equal", "single", "mixed", "large"])
@pytest.mark.parametrize("name", PENALTIES)
def test_agrees_with_fista(name, sizes, weighted, intercept):
    weight = np.random.default_rng(1).uniform(0, 2, 60) if weighted else None
    problem = under(instance(0, sizes=sizes, sample_weight=weight, intercept=intercept), name)
    result = assert_minimum(problem, 1e-8)
    if name == "positive":
        assert result.w.min() >= 0
        assert result.w.max() > 0
    if name != "elastic net" and max(sizes) > 1:
        active = result.w[np.isin(problem.penalty.groups.labels, problem.penalty.groups.active(result.w))]
        assert (active == 0).any()  # zeros within active groups are exact


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, name):
    assert_minimum(under(glm_problem(loss, 1, intercept=True), name), 1e-7)


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_a_conic_solver(name, seed):
    cp = pytest.importorskip("cvxpy")
    problem = under(instance(seed, n=25, sizes=(3, 1, 5, 2, 4) * 2), name, ratio=0.1 + 0.1 * seed)
    penalty, X, y = problem.penalty, problem.X, problem.datafit.y
    w = cp.Variable(problem.n_features, nonneg=name == "positive")
    terms = [s * cp.norm(w[penalty.groups.members(g)]) for g, s in enumerate(penalty.strength) if s > 0]
    objective = cp.sum_squares(X @ w - y) / (2 * len(y)) + sum(terms)
    objective += getattr(penalty, "l1", 0.0) * cp.norm1(w) + getattr(penalty, "l2", 0.0) / 2 * cp.sum_squares(w)
    optimum = cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL")
    mine = so.solve(problem, BCD(), tol=1e-9)
    assert abs(mine.objective - optimum) <= 1e-7 * abs(optimum)


@pytest.mark.parametrize("name", PENALTIES)
def test_unpenalised_groups_and_ugly_blocks(name):
    problem = instance(9, ratio=0.05)
    X = problem.X.copy(order="F")
    X[:, 3], X[:, 7] = X[:, 2], 0.0
    X[:, 5:10] *= 1e-3
    X[:, 10:15] = X[:, 50:55]
    assert_minimum(under(so.Problem(X, problem.datafit, problem.penalty), name), 1e-7)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_path_is_one_of_warm_starts(name):
    problem = under(instance(4, n=50, sizes=(4,) * 30), name)
    path = so.solve_path(problem, n_lambdas=12, ratio=0.02, tol=1e-7, solver=BCD())
    assert all(r.status is so.Status.CONVERGED for r in path)
    for result in path:
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.w, tol=2e-7).proved


@pytest.mark.parametrize("name", PENALTIES)
def test_one_cache_serves_all_penalties(name):
    problem = instance(6)
    so.solve(problem, BCD(), tol=1e-9)
    other = problem.with_penalty(PENALTIES[name](problem.penalty.lam, problem.penalty.groups))
    fresh = so.Problem(problem.X, problem.datafit, other.penalty)
    kept, new = so.solve(other, BCD(), tol=1e-9), so.solve(fresh, BCD(), tol=1e-9)
    np.testing.assert_array_equal(kept.w, new.w)
    again = so.solve(problem, BCD(), tol=1e-9)
    assert so.certify.duality_gap(problem, again.w, tol=2e-9).proved
