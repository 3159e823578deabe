"""Block coordinate descent against proximal gradient methods, certificates and itself in other dress."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import reading

BCD = so.solvers.GroupBCD


def instance(seed, n=60, sizes=(5,) * 20, ratio=0.1, weights="sqrt", rho_columns=0.5, **datafit):
    """A group LASSO at ratio * lambda_max on correlated columns."""
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes(sizes)
    p = groups.n_features
    X = np.asfortranarray(rng.standard_normal((n, p)) + rho_columns * rng.standard_normal((n, 1)) + 0.3)
    w = np.where(np.isin(groups.labels, [0, groups.n_groups // 2]), rng.standard_normal(p), 0.0)
    y = X @ w + 0.3 * rng.standard_normal(n) + 2.0
    problem = so.Problem(X, so.LeastSquares(y, **datafit), so.GroupLasso(1.0, groups, weights))
    return problem.with_lam(ratio * so.lambda_max(problem))


def assert_same_minimum(problem, other, tol=1e-9):
    mine, theirs = so.solve(problem, BCD(), tol=tol), so.solve(other, so.solvers.FISTA(), tol=tol)
    assert so.certify.duality_gap(problem, mine.latent, tol=2 * tol).proved
    scale = max(abs(theirs.objective), 1.0)
    assert abs(mine.objective - theirs.objective) <= 4 * tol * scale * 10
    np.testing.assert_allclose(mine.intercept, theirs.intercept, atol=1e-3 * (1 + abs(theirs.intercept)))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(5,) * 20, (1,) * 60, (1, 2, 3, 10, 11, 30, 7, 16), (80, 3, 70, 1)])
def test_agrees_with_fista(sizes, weighted, intercept):
    weight = np.random.default_rng(1).uniform(0, 2, 60) if weighted else None
    problem = instance(0, sizes=sizes, sample_weight=weight, intercept=intercept)
    assert_same_minimum(problem, problem)


@pytest.mark.parametrize("ratio", [0.5, 0.1, 0.01])
def test_is_the_default_and_converges_along_the_path(ratio):
    problem = instance(3, n=40, sizes=(4,) * 50, ratio=ratio)
    result = so.solve(problem, tol=1e-8)
    assert result.status is so.Status.CONVERGED
    assert result.n_iter <= 10
    assert so.certify.duality_gap(problem, result.w, tol=1e-7).proved


def variants(problem):
    X = problem.X
    yield "row-major", np.ascontiguousarray(X)
    yield "csc", sparse.csc_matrix(X)
    yield "csr", sparse.csr_matrix(X)
    wide = np.zeros((2 * X.shape[0], X.shape[1]), order="F")
    wide[: X.shape[0]] = X
    yield "strided columns", wide[: X.shape[0]]


@pytest.mark.parametrize("intercept", [False, True])
def test_storage_does_not_matter(intercept):
    problem = instance(5, intercept=intercept)
    reference = so.solve(problem, BCD(), tol=1e-10)
    for name, X in variants(problem):
        result = so.solve(so.Problem(X, problem.datafit, problem.penalty), BCD(), tol=1e-10)
        np.testing.assert_allclose(result.w, reference.w, atol=1e-6, err_msg=name)


def test_float32_design():
    problem = instance(6)
    X32 = problem.X.astype(np.float32)
    single = so.Problem(X32, problem.datafit, problem.penalty)
    double = so.Problem(X32.astype(np.float64), problem.datafit, problem.penalty)
    np.testing.assert_allclose(so.solve(single, BCD(), tol=1e-10).w, so.solve(double, BCD(), tol=1e-10).w, atol=1e-6)


def test_scattered_groups():
    problem = instance(7)
    order = np.random.default_rng(0).permutation(problem.n_features)
    labels = problem.penalty.groups.labels[order]
    penalty = so.GroupLasso(problem.penalty.lam, so.Groups.from_labels(labels))
    shuffled = so.Problem(problem.X[:, order], problem.datafit, penalty)
    direct, other = so.solve(problem, BCD(), tol=1e-10).w, so.solve(shuffled, BCD(), tol=1e-10).w
    np.testing.assert_allclose(other, direct[order], atol=1e-6)


def test_quadratic():
    rng = np.random.default_rng(8)
    A = rng.standard_normal((30, 24))
    problem = so.Problem.quadratic(A.T @ A, rng.standard_normal(24) * 5, so.GroupLasso(1.0, so.Groups.uniform(8, 3)))
    assert_same_minimum(problem, problem)


@pytest.mark.parametrize("rank_deficient", [False, True])
def test_ugly_blocks(rank_deficient):
    problem = instance(9, ratio=0.05)
    X = problem.X.copy(order="F")
    X[:, 3] = X[:, 2]
    X[:, 7] = 0.0
    X[:, 5:10] *= 1e-3
    if rank_deficient:
        X[:, 10:15] = X[:, 50:55]
    other = so.Problem(X, problem.datafit, problem.penalty)
    assert_same_minimum(other, other, tol=1e-8)


PENALTIES = [
    lambda lam, groups: so.GroupLq(lam, groups, q=0.5),
    lambda lam, groups: so.GroupLogSum(lam, groups, eps=0.3),
    lambda lam, groups: so.GroupMCP(lam, groups, gamma=3.0),
    lambda lam, groups: so.GroupSCAD(lam, groups),
    lambda lam, groups: so.GroupL0(0.3 * lam, groups),
    lambda lam, groups: so.GroupExpMask(lam, groups),
]


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("make", PENALTIES, ids=["lq", "log", "mcp", "scad", "l0", "exp"])
@pytest.mark.parametrize("seed", range(3))
def test_nonconvex_descends_to_a_stationary_point(make, seed):
    convex = instance(seed, n=100, sizes=(5,) * 12, intercept=seed == 1)
    problem = convex.with_penalty(make(convex.penalty.lam, convex.penalty.groups))
    result = so.solve(problem, BCD(), tol=1e-7)
    objectives = result.history.objective
    assert (np.diff(objectives) <= 1e-12 * np.abs(objectives[:-1])).all()
    scale = np.max(problem.penalty.groups.norms(problem.gradient_at_zero))
    assert problem.violation(result.latent) <= 1e-7 * scale
    slow = so.solve(problem, so.solvers.ProximalGradient(), tol=1e-6, throw=False)
    assert result.objective <= slow.objective * (1 + 0.2)  # another stationary point, not a worse kind of point


@pytest.mark.parametrize("make", [so.GroupLasso, *PENALTIES])
def test_states_measure_what_the_problem_measures(make):
    convex = instance(4, n=40, sizes=(1, 2, 7, 3, 5, 5, 5, 9))
    problem = convex.with_penalty(make(convex.penalty.lam, convex.penalty.groups))
    for n_iter, state in enumerate(so.iterate(problem, BCD())):
        if state.measures is not None:
            np.testing.assert_allclose(state.measures.objective, problem.objective(state.w), rtol=1e-13)
            np.testing.assert_allclose(state.measures.violation, problem.violation(state.w), rtol=1e-9, atol=1e-13)
            assert state.measures.n_active == len(problem.penalty.groups.active(state.w))
        if problem.convex:
            np.testing.assert_allclose(state.gap, problem.gap(state.w), rtol=1e-9, atol=1e-13)
        if n_iter == 3:
            break


def test_one_and_two_threads_give_the_same_bits(monkeypatch):
    monkeypatch.setattr(reading, "ENTRIES_PER_THREAD", 1)
    problem = instance(11, n=50, sizes=(4,) * 400)
    one, two = (so.solve(problem, BCD(threads=t), tol=1e-8) for t in (1, 2))
    np.testing.assert_array_equal(one.w, two.w)


def test_warm_start_reuses_blocks():
    problem = instance(12)
    first = so.solve(problem, BCD(), tol=1e-9)
    again = so.solve(problem, BCD(), tol=1e-9, w0=first.w)
    assert again.n_iter == 0
    np.testing.assert_array_equal(again.w, first.w)


def test_time_limit_is_kept_inside_the_compiled_loop():
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((3000, 1500)) + 5 * rng.standard_normal((3000, 1)))
    problem = so.Problem(X, so.LeastSquares(rng.standard_normal(3000)), so.GroupLasso(1.0, so.Groups.uniform(300, 5)))
    problem = problem.with_lam(1e-4 * so.lambda_max(problem))
    result = so.solve(problem, BCD(), tol=1e-14, time_limit=0.3, throw=False)
    assert result.status is so.Status.TIME_LIMIT
    assert result.history.seconds[-1] < 1.5


def glm_problem(name, seed, intercept, ratio=0.1, weighted=False):
    rng = np.random.default_rng(seed)
    n, groups = 120, so.Groups.from_sizes((4, 1, 7, 3) * 5)
    X = np.asfortranarray(rng.standard_normal((n, groups.n_features)) + 0.5)
    z = X[:, :8] @ rng.standard_normal(8) * 0.5
    weight = rng.uniform(0.1, 2, n) if weighted else None
    extra = {"sample_weight": weight} | ({} if name == "cox" else {"intercept": intercept})
    datafit = {
        "logistic": lambda: so.Logistic((z + rng.logistic(size=n) > 0).astype(float), **extra),
        "huber": lambda: so.Huber(z + rng.standard_t(2, n), delta=0.7, **extra),
        "poisson": lambda: so.Poisson(rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float), **extra),
        "cox": lambda: so.Cox(np.round(rng.exponential(np.exp(-np.clip(z, -3, 3))), 1), rng.random(n) < 0.7, **extra),
        "multinomial": lambda: so.Multinomial(
            np.where(rng.random(n) < 0.3, rng.integers(0, 3, n), 2 * (z > 0)), **extra
        ),
        "multi_response": lambda: so.MultiResponse(z[:, None] * [1, -2, 0.5] + rng.standard_normal((n, 3)), **extra),
    }[name]()
    problem = so.Problem(X, datafit, so.GroupLasso(1.0, groups))
    return problem.with_lam(ratio * so.lambda_max(problem))


LOSSES = ["logistic", "huber", "poisson", "cox", "multinomial", "multi_response"]


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_agrees_with_fista(name, intercept, weighted):
    problem = glm_problem(name, 1, intercept, weighted=weighted)
    mine = so.solve(problem, BCD(), tol=1e-8)
    theirs = so.solve(problem, so.solvers.FISTA(), tol=1e-7)
    scale = max(abs(theirs.objective), abs(theirs.objective - problem.objective(np.zeros_like(theirs.w))))
    assert abs(mine.objective - theirs.objective) <= 2e-7 * scale
    assert mine.objective <= theirs.objective + 1e-8 * scale


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_converges_at_a_small_lambda(name):
    problem = glm_problem(name, 2, intercept=True, ratio=0.005)
    assert so.solve(problem, BCD(), tol=1e-7).status is so.Status.CONVERGED


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("ratio", [0.1, 0.01])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_multinomial_reaches_high_accuracy(seed, ratio):
    problem = glm_problem("multinomial", seed, intercept=True, ratio=ratio)
    result = so.solve(problem, BCD(), tol=1e-11)
    assert result.n_iter <= 10
    assert so.certify.duality_gap(problem, result.w, tol=1e-7).proved  # the dual point is shrunk into the domain


def test_infinite_slopes_under_a_loss_of_unbounded_curvature():
    problem = glm_problem("poisson", 3, intercept=True, ratio=0.2)
    problem = problem.with_penalty(so.GroupLq(0.1 * problem.penalty.lam, problem.penalty.groups))
    result = so.solve(problem, BCD(), tol=1e-6)
    assert 0 < len(problem.penalty.groups.active(result.w)) < problem.penalty.groups.n_groups


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_with_a_nonconvex_penalty(name):
    problem = glm_problem(name, 3, intercept=True, ratio=0.2)
    problem = problem.with_penalty(so.GroupMCP(problem.penalty.lam, problem.penalty.groups, gamma=5.0))
    tol = 1e-6
    result = so.solve(problem, BCD(), tol=tol)
    scale = np.max(problem.penalty.groups.norms(problem.gradient_at_zero))
    assert problem.violation(result.w) <= tol * scale
    assert (np.diff(result.history.objective) <= 1e-12).all()
