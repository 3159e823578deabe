"""ADMM: the identities C1, descent C2 with its sharp bound, convergence on convex sets C3, and what is reported."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from instances import GROUPS, SETS, Points, quadratic
from reference import random_problem

import sparseopt as so
from sparseopt import sets
from sparseopt.solvers import ADMM

EPS = np.finfo(float).eps


def states(problem, solver, count, w0=None):
    return list(itertools.islice(so.iterate(problem, solver, w0), count))


def losses(seed):
    """A quadratic, dense least squares with more columns than rows, and losses that need Newton's method."""
    rng = np.random.default_rng(seed)
    X, wide = rng.standard_normal((20, 8)), rng.standard_normal((5, 8))
    chosen = SETS["top groups"]
    labels = np.where(X[:, 0] + 0.5 * rng.standard_normal(20) > 0, 1.0, -1.0)
    return {
        "quadratic": quadratic(seed, chosen),
        "wide": so.Problem(wide, so.LeastSquares(wide[:, 0], intercept=True), chosen),
        "logistic": so.Problem(X, so.Logistic(labels, intercept=True), chosen),
        "huber": so.Problem(X, so.Huber(X[:, 1] + rng.standard_normal(20), 0.5), chosen),
        "multi": so.Problem(X, so.MultiResponse(rng.standard_normal((20, 2))), chosen),
    }


@pytest.mark.parametrize("loss", losses(0))
@pytest.mark.parametrize("z_first", [True, False])
def test_a_sweep_is_a_projected_gradient_step(loss, z_first):
    """C1: z+ = P(x - gradient(x) / rho) in order Z, z+ = P(z - gradient(x+) / rho) in order X; u = -gradient(x) / rho.

    In order X the multiplier is moved after the projection, and the last identity is one of order Z alone.
    """
    problem = losses(1)[loss]
    path = states(problem, ADMM(rho=1.5 * problem.smoothness, z_first=z_first), 30)
    for old, new in itertools.pairwise(path):
        point = old.x - problem.gradient(old.x) / old.rho if z_first else old.w - problem.gradient(new.x) / old.rho
        size = np.abs(point).max() + np.abs(new.multiplier).max()
        expected = problem.penalty.set.project(point)
        assert np.allclose(new.w, expected, rtol=0, atol=1e5 * EPS * size)
        if z_first:
            assert np.allclose(new.multiplier, -problem.gradient(new.x) / new.rho, rtol=0, atol=1e5 * EPS * size)


@pytest.mark.sample(every=7)
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("ratio", [1.001, 1.1, 1.5, 2.0, 5.0])
def test_the_augmented_lagrangian_descends(name, ratio):
    """C2: AL falls by c |x+ - x|^2, c = (rho - L)(rho + 2 L) / (2 rho) below 2 L and rho / 2 above, from any start."""
    for seed in range(6):
        problem = quadratic(seed, SETS[name])
        L = problem.smoothness
        rho = ratio * L
        c = (rho - L) * (rho + 2 * L) / (2 * rho) if ratio < 2 else rho / 2
        start = 3 * np.random.default_rng(seed).standard_normal(8)
        path = states(problem, ADMM(rho=rho), 200, start)
        assert all(state.descent_guaranteed for state in path)
        size = max(abs(path[0].augmented_lagrangian), rho * float(start @ start))
        for old, new in itertools.pairwise(path):
            fall = old.augmented_lagrangian - new.augmented_lagrangian
            assert fall >= c * float(np.sum((new.x - old.x) ** 2)) - 64 * EPS * size * 8
            lower = problem.datafit.value(new.w) + (rho - L) / 2 * float(np.sum((new.x - new.w) ** 2))
            assert new.augmented_lagrangian >= lower - 64 * EPS * size * 8


def test_descent_holds_for_losses_that_are_not_quadratic():
    for name, problem in losses(3).items():
        L = problem.smoothness
        path = states(problem, ADMM(rho=1.2 * L), 60)
        c = 0.2 * 3.2 / 2.4 * L
        for old, new in itertools.pairwise(path):
            fall = old.augmented_lagrangian - new.augmented_lagrangian
            assert fall >= c * float(np.sum((new.x - old.x) ** 2)) - 1e-13, name


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", SETS)
def test_it_ends_at_a_fixed_point_with_x_equal_to_z(name):
    """C2: limit points are in P(z - gradient(z) / rho), and shared with IHT of step 1 / rho."""
    for seed in range(4):
        problem = quadratic(seed, SETS[name])
        result = so.solve(problem, ADMM(), tol=1e-10, max_iter=20000)
        rho = ADMM.certified_rho(problem)
        again = problem.penalty.set.project(result.w - problem.gradient(result.w) / rho)
        scale = np.abs(problem.gradient_at_zero).max()
        assert np.abs(again - result.w).max() <= 1e-9 * scale / rho
        assert problem.penalty.set.contains(result.w)
        assert result.status is so.Status.CONVERGED
        history = result.history
        assert len(history.primal) == len(history.dual) == len(history.rho) == len(history.objective)
        assert (np.diff(history.augmented_lagrangian) <= 1e-13 * (1 + abs(history.objective[0]))).all()
        assert history.primal[-1] <= 1e-8 * scale / problem.smoothness


@pytest.mark.parametrize(("rho", "amplitude"), [(0.5, 0.2), (0.99, 0.33110), (0.2, None)])
@pytest.mark.parametrize("z_first", [True, False])
def test_below_the_curvature_it_cycles_with_period_two(rho, amplitude, z_first):
    """C2 is sharp: S = {-1, 1}, f = x^2 / 2: |x| = rho / (2 + rho) for ever; at rho = 1.01 it converges.

    In order X the orbit of period two has |x| = 3 rho / (2 + rho): u+ = -u in the three updates.
    """
    problem = so.Problem.quadratic([[1.0]], [0.0], Points())
    path = states(problem, ADMM(rho=rho, z_first=z_first), 400, [0.3])
    tail = np.array([state.x[0] for state in path[-20:]])
    assert np.allclose(np.abs(tail), (1 if z_first else 3) * rho / (2 + rho), rtol=0, atol=1e-12)
    assert (np.sign(tail[1:]) == -np.sign(tail[:-1])).all()
    assert amplitude is None or not z_first or abs(abs(tail[-1]) - amplitude) < 1e-5
    settled = states(problem, ADMM(rho=1.01, z_first=z_first), 400, [0.3])
    assert settled[-1].w[0] == settled[-2].w[0]
    assert not path[-1].descent_guaranteed
    assert settled[-1].descent_guaranteed is z_first


@pytest.mark.slow
def test_the_sparse_example_oscillates_below_the_curvature_only():
    """H = [[10, 9], [9, 10]] (L = 19), one of two entries: 20 of 20 starts oscillate at 18.9, none at 19.1."""
    rng = np.random.default_rng(0)
    problem = so.Problem.quadratic([[10.0, 9.0], [9.0, 10.0]], [-3.0, 3.0], sets.NM(1, 2))
    for _ in range(20):
        start = rng.standard_normal(2)
        moving, settled = (states(problem, ADMM(rho=rho), 300, start)[-6:] for rho in (18.9, 19.1))
        assert len({tuple(state.w != 0) for state in moving}) == 2
        assert len({tuple(state.w != 0) for state in settled}) == 1


def test_the_first_sweeps_are_those_of_exact_arithmetic():
    """The run at rho = 18 in rational numbers: supports alternate."""
    problem = so.Problem.quadratic([[10.0, 9.0], [9.0, 10.0]], [-3.0, 3.0], sets.NM(1, 2))
    H, b, rho = [[10, 9], [9, 10]], [-3, 3], 18
    x = [Fraction(1), Fraction(0)]
    u = [(bi - sum(h * xi for h, xi in zip(row, x, strict=True))) / Fraction(rho) for row, bi in zip(H, b, strict=True)]
    path = states(problem, ADMM(rho=18.0), 12, [1.0, 0.0])
    for state in path[1:]:
        v = [xi + ui for xi, ui in zip(x, u, strict=True)]
        z = [v[0], Fraction(0)] if abs(v[0]) >= abs(v[1]) else [Fraction(0), v[1]]
        right = [bi + rho * (zi - ui) for bi, zi, ui in zip(b, z, u, strict=True)]
        a, d, off = H[0][0] + rho, H[1][1] + rho, H[0][1]
        det = Fraction(a * d - off * off)
        x = [(d * right[0] - off * right[1]) / det, (a * right[1] - off * right[0]) / det]
        u = [ui + xi - zi for ui, xi, zi in zip(u, x, z, strict=True)]
        assert np.allclose(state.w, [float(zi) for zi in z], rtol=0, atol=1e-13)
        assert np.allclose(state.x, [float(xi) for xi in x], rtol=0, atol=1e-13)


def test_order_x_does_not_promise_descent_and_may_rise():
    rises = 0
    for seed in range(30):
        problem = quadratic(seed, sets.NM(1, 2))
        path = states(problem, ADMM(rho=1.01 * problem.smoothness, z_first=False), 60, np.full(8, 2.0))
        assert not any(state.descent_guaranteed for state in path)
        values = [state.augmented_lagrangian for state in path]
        rises += bool((np.diff(values) > 1e-10).any())
    assert rises > 0


def test_without_a_lower_bound_on_the_set_it_runs_away():
    """C2 needs inf over S of the loss: H = diag(1, 0), b = (0, 1) grows linearly and never converges."""
    problem = so.Problem.quadratic([[1.0, 0.0], [0.0, 0.0]], [0.0, 1.0], sets.NM(1, 2))
    path = states(problem, ADMM(rho=2.0), 201)
    assert path[200].x[1] == pytest.approx(100.0, rel=0.02)
    assert np.linalg.norm(path[-1].dual) > 0.4


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("rho", [0.05, 0.5, 1.0, 5.0])
def test_convex_sets_contract_at_the_rate_of_c3(rho):
    """s = x + u of order Z contracts by (1 + delta) / 2 for mu, L and a convex set (ledger C3)."""
    for seed in range(3):
        problem = quadratic(seed, sets.GroupBall(1.0, GROUPS), kappa=5.0)
        values = np.linalg.eigvalsh(problem.datafit.H)
        mu, L = values[0], values[-1]
        delta = max((L / rho - 1) / (L / rho + 1), (1 - mu / rho) / (1 + mu / rho))
        limit = states(problem, ADMM(rho=rho), 800)[-1]
        s_limit = limit.x + limit.multiplier
        path = states(problem, ADMM(rho=rho), 60)
        distances = [float(np.linalg.norm(s.x + s.multiplier - s_limit)) for s in path]
        for old, new in itertools.pairwise(distances):
            assert new <= (1 + delta) / 2 * old + 1e-9


@pytest.mark.parametrize("balancing", [False, True])
def test_convex_problems_are_solved_to_a_duality_gap(balancing):
    lasso = random_problem(2)
    ball = quadratic(0, sets.GroupBall(1.0, GROUPS))
    for problem in (lasso, ball):
        for rho in (0.1, 1.0, 10.0):
            result = so.solve(problem, ADMM(rho=rho, balancing=balancing), tol=1e-7)
            reference = so.solve(problem, so.solvers.FISTA(), tol=1e-10)
            assert result.gap <= 1e-7
            assert result.objective == pytest.approx(reference.objective, rel=1e-6)


def test_balancing_rescales_the_multiplier():
    """y = rho u does not change when rho does, so in order Z it stays -gradient(x); rho moves to sqrt(mu L)."""
    problem = quadratic(0, sets.GroupBall(1.0, GROUPS))
    path = states(problem, ADMM(rho=1e4, balancing=True), 60)
    assert path[-1].rho < path[0].rho
    assert path[-1].changes > 3
    for state in path:
        assert np.allclose(state.rho * state.multiplier, -problem.gradient(state.x), rtol=0, atol=1e-9)
    fixed = so.solve(problem, ADMM(rho=1e4), tol=1e-6, max_iter=200, throw=False)
    balanced = so.solve(problem, ADMM(rho=1e4, balancing=True), tol=1e-6, max_iter=200, throw=False)
    assert balanced.gap < fixed.gap


@pytest.mark.parametrize("size", [2.0**-300, 2.0**200])
def test_balancing_does_not_depend_on_the_scale_of_the_data(size):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((20, 8)), rng.standard_normal(20)
    runs = []
    for scale in (1.0, size):
        problem = so.Problem(scale * X, so.LeastSquares(y), so.GroupLasso(0.05 * scale, GROUPS))
        solver = ADMM(rho=1e3 * problem.smoothness, balancing=True)
        runs.append([state.rho / problem.smoothness for state in states(problem, solver, 30)])
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-6)


def test_balancing_never_leaves_the_certified_range_on_nonconvex_sets():
    problem = quadratic(1, SETS["2:4"])
    path = states(problem, ADMM(rho=50.0, balancing=True), 300)
    assert min(state.rho for state in path) >= ADMM.certified_rho(problem) * (1 - 1e-12)
    assert path[-1].rho < 50.0


def test_unstable_settings_are_reported_with_the_number_to_use():
    problem = so.Problem.quadratic([[10.0, 9.0], [9.0, 10.0]], [-3.0, 3.0], sets.NM(1, 2))
    result = so.solve(problem, ADMM(rho=10.0), max_iter=500, throw=False)
    assert result.status is so.Status.UNSTABLE
    assert "use rho = 20.9" in result.advice
    with pytest.raises(so.NotConverged, match=r"UNSTABLE.*use rho = 20.9"):
        so.solve(problem, ADMM(rho=10.0), max_iter=500)
    assert so.solve(problem, ADMM(rho=20.9), max_iter=5000).status is so.Status.CONVERGED
    settled = so.Problem.quadratic(np.eye(2), [2.0, 1.0], sets.NM(1, 2))
    met = so.solve(settled, ADMM(rho=0.9))  # the stopping test is met, and the setting is reported all the same
    assert met.status is so.Status.UNSTABLE
    assert met.violation <= 1e-6 * 2.0
    assert so.solve(quadratic(0, sets.GroupBall(1.0, GROUPS)), ADMM(rho=0.1)).status is so.Status.CONVERGED


def test_nonconvex_penalties_are_split_too():
    problem = random_problem(0, n=40)
    mcp = problem.with_penalty(so.GroupMCP(problem.penalty.lam, problem.penalty.groups))
    result = so.solve(mcp, ADMM(), tol=1e-8)
    assert problem.with_penalty(mcp.penalty).violation(result.w) <= 1e-6


@pytest.mark.parametrize("rho", [0, -1.0, np.nan, np.inf, "auto"])
def test_a_rho_that_is_not_positive_is_refused(rho):
    with pytest.raises(ValueError, match=r"rho is .*positive, finite"):
        ADMM(rho=rho)


def test_what_it_cannot_treat_is_refused():
    with pytest.raises(ValueError, match="z_first is"):
        ADMM(z_first="x")
    poisson = so.Problem(np.eye(8), so.Poisson(np.ones(8)), SETS["2:4"])
    with pytest.raises(ValueError, match="give rho"):
        so.solve(poisson, ADMM())
    assert so.solve(poisson, ADMM(rho=5.0), max_iter=50, throw=False).status is so.Status.UNSTABLE
    inverse = quadratic(0, so.InverseSum(0.1, GROUPS, so.penalties.Power(0.5)))
    with pytest.raises(ValueError, match="no prox"):
        so.solve(inverse, ADMM())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (sets.TopGroups(1, so.Groups.uniform(3, 2)), "6 coefficients"),
        (sets.NM(2, 4, axis=1), "axis 1"),
        (sets.NM(1, 3), "windows of 3 do not divide"),
        (sets.CappedSimplex(9), "8"),
    ],
)
def test_sets_that_do_not_fit_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        quadratic(0, bad)
    with pytest.raises(ValueError, match=message):
        quadratic(0, SETS["2:4"]).with_penalty(bad)


def test_a_set_class_is_no_set():
    with pytest.raises(ValueError, match=r"the class TopGroups: give a penalty .*or a set"):
        quadratic(0, sets.TopGroups)


@pytest.mark.parametrize("z_first", [True, False])
def test_a_solution_stays(z_first):
    rng = np.random.default_rng(0)
    X, groups = rng.standard_normal((9, 5)), so.Groups.from_sizes([2, 3])
    problem = so.Problem(X, so.LeastSquares(X[:, 0]), so.GroupLasso(0.02, groups))
    solution = so.solve(problem, so.solvers.FISTA(), tol=1e-13, throw=False).w
    for state in itertools.islice(so.iterate(problem, so.solvers.ADMM(z_first=z_first), solution), 5):
        np.testing.assert_allclose(state.w, solution, atol=1e-6)
