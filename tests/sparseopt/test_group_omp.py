"""Group OMP and OMPR: refits, rates A12 and A13, exact recovery D9, and the swap through the nonconvex regulariser."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import GROUPS, SETS, quadratic

import sparseopt as so
from sparseopt import sets
from sparseopt.penalties import Log, Power
from sparseopt.solvers import OMPR, GroupOMP


def states(problem, solver, count, w0=None):
    return list(itertools.islice(so.iterate(problem, solver, w0), count))


def blocks(H, groups, count):
    """Extreme eigenvalues of H over all choices of `count` groups."""
    low, high = np.inf, 0.0
    for chosen in itertools.combinations(range(groups.n_groups), count):
        rows = np.flatnonzero(np.isin(groups.labels, chosen))
        values = np.linalg.eigvalsh(H[np.ix_(rows, rows)])
        low, high = min(low, values[0]), max(high, values[-1])
    return low, high


def best_of(problem, count):
    """The smallest loss with `count` groups, by enumeration."""
    H, b, groups = problem.datafit.H, problem.datafit.b, problem.penalty.groups
    found = []
    for chosen in itertools.combinations(range(groups.n_groups), count):
        rows = np.flatnonzero(np.isin(groups.labels, chosen))
        found.append(-0.5 * b[rows] @ np.linalg.solve(H[np.ix_(rows, rows)], b[rows]))
    return min(found)


@pytest.mark.parametrize("seed", range(15))
def test_the_gap_of_omp_shrinks_at_the_rate_of_a13(seed):
    groups, k = so.Groups.uniform(6, 2), 2
    problem = quadratic(seed, sets.TopGroups(5, groups), kappa=10.0, p=12)
    lowest, L = best_of(problem, k), blocks(problem.datafit.H, groups, 1)[1]
    gaps = [problem.datafit.value(state.w) - lowest for state in states(problem, GroupOMP(), 5)]
    for r, (old, new) in enumerate(itertools.pairwise(gaps)):
        if old > 0:
            mu = blocks(problem.datafit.H, groups, min(k + r, 6))[0]
            assert new <= old * (1 - mu / (k * L)) + 1e-13


def test_iterates_of_omp_are_least_squares_on_groups_chosen_greedily():
    rng = np.random.default_rng(1)
    groups = so.Groups.from_lists([[0, 5], [1], [2, 3, 4], [6, 7], [8, 9, 10]])
    X = rng.standard_normal((40, 11)) + 3.0
    Y = rng.standard_normal((40, 2))
    weight = rng.random(40) + 0.1
    cases = {
        "weighted": so.Problem(X, so.LeastSquares(Y[:, 0], weight, intercept=True), sets.TopGroups(4, groups)),
        "multi": so.Problem(X, so.MultiResponse(Y), sets.TopGroups(4, groups)),
        "logistic": so.Problem(X, so.Logistic(np.sign(Y[:, 0]), intercept=True), sets.TopGroups(3, groups)),
        "quadratic": quadratic(0, sets.TopGroups(3, GROUPS)),
    }
    for problem in cases.values():
        path = states(problem, GroupOMP(), problem.penalty.set.k + 3)
        for old, new in itertools.pairwise(path):
            own = problem.penalty.groups
            assert new.chosen[: len(old.chosen)] == old.chosen
            if len(old.chosen) < problem.penalty.set.k:
                outside = own.norms(problem.gradient(old.w))
                outside[list(old.chosen)] = -1
                assert new.chosen[-1] == np.argmax(outside)
            inside = np.isin(own.labels, new.chosen)
            scale = np.abs(problem.gradient_at_zero).max()
            assert np.abs(problem.gradient(new.w)[inside]).max() <= 1e-11 * scale
            assert not new.w[~inside].any()
            assert np.allclose(new.z, problem.X @ new.w, rtol=0, atol=1e-11)
        assert path[-1] is path[-2]


def test_as_many_groups_as_there_are():
    problem = quadratic(0, sets.TopGroups(4, GROUPS))
    best = np.linalg.solve(problem.datafit.H, problem.datafit.b)
    for solver in (GroupOMP(), OMPR()):
        assert np.allclose(so.solve(problem, solver, tol=1e-10).w, best, rtol=0, atol=1e-10)


def test_dependent_columns_give_the_fit_of_least_norm():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20, 6))
    X[:, 1] = X[:, 0]
    X[:, 4] = 2 * X[:, 0] - X[:, 2]
    groups = so.Groups.uniform(3, 2)
    problem = so.Problem(X, so.LeastSquares(X[:, 0] + X[:, 5]), sets.TopGroups(3, groups))
    end = states(problem, GroupOMP(), 4)[-1]
    assert problem.datafit.value(end.z) <= 1e-25
    assert np.allclose(end.w[0], end.w[1])


def test_many_groups_and_a_warm_start():
    rng = np.random.default_rng(3)
    groups = so.Groups.uniform(60, 2)
    X = rng.standard_normal((200, 120))
    problem = so.Problem(X, so.LeastSquares(rng.standard_normal(200)), sets.TopGroups(45, groups))
    path = states(problem, GroupOMP(), 46)
    assert len(path[-1].chosen) == 45
    again = states(problem, GroupOMP(), 1, path[20].w)[0]
    assert np.allclose(again.w, path[20].w, rtol=0, atol=1e-12)
    result = so.solve(problem, GroupOMP(), tol=1e-10)
    assert result.status is so.Status.CONVERGED
    assert result.history.n_active[-1] == 45


def test_low_block_coherence_recovers_the_groups():
    """D9: unit-orthonormal blocks of d columns, k d < (1 / mu_B + d) / 2, no noise: the k groups are found exactly."""
    rng, met = np.random.default_rng(4), 0
    for _ in range(60):
        d, G, n = 2, 12, 400
        frames = [np.linalg.qr(rng.standard_normal((n, d)))[0] for _ in range(G)]
        mu = max(np.linalg.norm(a.T @ b, 2) for a, b in itertools.combinations(frames, 2)) / d
        k = int(rng.integers(1, 4))
        if k * d >= (1 / mu + d) / 2:
            continue
        met += 1
        truth = rng.choice(G, k, replace=False)
        X = np.concatenate(frames, axis=1)
        w = np.zeros(G * d)
        for g in truth:
            w[g * d : (g + 1) * d] = rng.standard_normal(d)
        problem = so.Problem(X, so.LeastSquares(X @ w), sets.TopGroups(k, so.Groups.uniform(G, d)))
        assert set(states(problem, GroupOMP(), k + 1)[-1].chosen) == set(truth)
    assert met >= 20


@pytest.mark.parametrize("solver", [OMPR(), OMPR(rho=Power(0.5)), OMPR(rho=Log(1.0), position=0.01)])
def test_the_gap_of_ompr_shrinks_at_the_rate_of_a12(solver):
    """gap+ <= max(gap, 0) (1 - 1 / (s kappa)) where k >= max(s kappa^2, s + kappa), s of the competitor."""
    met = 0
    for seed in range(12):
        groups, s = so.Groups.uniform(8, 1), 1 + seed % 2
        problem = quadratic(seed, sets.TopGroups(6 if s == 2 else 4, groups), kappa=1.6)
        k, H = problem.penalty.set.k, problem.datafit.H
        kappa = blocks(H, groups, 2)[1] / blocks(H, groups, min(s + k, 8))[0]
        if k < max(s * kappa**2, s + kappa):
            continue
        met += 1
        start = np.zeros(8)
        start[np.argsort(np.abs(problem.datafit.b))[:k]] = 1.0  # the worst groups
        lowest = best_of(problem, s)
        gaps = [problem.datafit.value(state.w) - lowest for state in states(problem, solver, 8, start)]
        for old, new in itertools.pairwise(gaps):
            assert new <= max(old, 0.0) * (1 - 1 / (s * kappa)) + 1e-13
        assert gaps[-1] <= 1e-12
    assert met >= 4


@pytest.mark.parametrize("rho", [Power(0.5), Power(2 / 3), Log(1.0)])
def test_every_swap_of_the_regulariser_is_the_ideal_one_and_certified(rho):
    """A12, corrected: with lam inside the window of each iteration, Theorem 1.1 names the group of largest gradient."""
    swaps = 0
    for seed in range(6):
        problem = quadratic(seed, sets.TopGroups(2, GROUPS), kappa=20.0)
        start = np.zeros(8)
        start[np.flatnonzero(GROUPS.labels >= 2)] = 1.0
        ideal, regular = (states(problem, solver, 6, start) for solver in (OMPR(), OMPR(rho=rho)))
        for a, b in zip(ideal, regular, strict=True):
            assert np.array_equal(a.chosen, b.chosen)
            assert np.allclose(a.w, b.w, rtol=0, atol=1e-12)
            if b.window is not None:
                assert b.window.lower < b.lam < b.window.upper
                assert b.certified
                swaps += not b.settled
    assert swaps >= 4


@pytest.mark.slow
def test_a_strength_above_the_window_leaves_the_choice_undefined():
    """lam = 1.5 tau_S: nothing outside is active, and the run ends with a worse loss than within the window."""
    worse = 0
    for seed in range(12):
        problem = quadratic(seed, sets.TopGroups(2, GROUPS), kappa=20.0)
        start = np.zeros(8)
        start[np.flatnonzero(GROUPS.labels < 2)] = 1.0
        inside = so.solve(problem, OMPR(rho=Power(0.5)), w0=start, tol=1e-9)
        near = so.solve(problem, OMPR(rho=Power(0.5), lam_ratio=0.9999), w0=start, tol=1e-9)
        above = so.solve(problem, OMPR(rho=Power(0.5), lam_ratio=1.5), w0=start, tol=1e-9, throw=False)
        assert inside.status is so.Status.CONVERGED
        assert near.objective == pytest.approx(inside.objective, rel=1e-12)
        assert above.status is so.Status.UNSTABLE
        assert "lam_ratio = 0.999" in above.advice
        assert above.objective >= inside.objective - 1e-12
        worse += above.objective > inside.objective + 1e-6
    assert worse > 0


def test_it_stops_where_the_printed_algorithm_goes_back_and_forth():
    """A12 (4): k = s, L = |x - y|^2 / 2 started at the optimum; a swap that does not lower the loss is refused."""
    groups = so.Groups.uniform(6, 1)
    problem = so.Problem.quadratic(np.eye(6), [3.0, 2.0, 1.0, 0.5, 0.3, 0.2], sets.TopGroups(3, groups))
    path = states(problem, OMPR(), 4, [1.0, 1.0, 1.0, 0, 0, 0])
    assert [state.settled for state in path] == [False, True, True, True]
    assert np.allclose(path[-1].w, [3.0, 2.0, 1.0, 0, 0, 0])
    assert so.solve(problem, OMPR()).n_iter == 1


def test_ompr_improves_on_omp_and_treats_other_losses():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 12)) + 0.8 * rng.standard_normal((60, 1))
    groups = so.Groups.uniform(6, 2)
    for datafit in (so.Logistic(np.sign(X[:, 0] - X[:, 6])), so.MultiResponse(X[:, :2] @ np.ones((2, 3)))):
        problem = so.Problem(X, datafit, sets.TopGroups(2, groups))
        greedy = so.solve(problem, GroupOMP(), tol=1e-9)
        swapped = so.solve(problem, OMPR(), tol=1e-9, w0=greedy.w)
        assert swapped.objective <= greedy.objective + 1e-14
        assert swapped.status is so.Status.CONVERGED


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: so.solve(quadratic(0, SETS["2:4"]), GroupOMP()), "needs sets.TopGroups"),
        (lambda: so.solve(quadratic(0, so.GroupLasso(0.1, GROUPS)), OMPR()), "OMPR needs a set"),
        (lambda: so.solve(quadratic(0, sets.TopGroups(0, GROUPS)), GroupOMP()), "k >= 1"),
        (lambda: OMPR(position=1.0), "position is 1.0"),
        (lambda: OMPR(lam_ratio=0.5), "give rho too"),
        (lambda: OMPR(rho=Power(0.5), lam_ratio=0.0), "lam_ratio is 0.0"),
        (lambda: OMPR(rho=0.5), "rho is 0.5"),
        (
            lambda: so.solve(so.Problem(np.eye(8), so.Logistic(np.ones(8)), SETS["top groups"]), OMPR(rho=Log(1.0))),
            "quadratic loss",
        ),
        (
            lambda: so.solve(so.Problem.quadratic(np.eye(8), np.ones(8), SETS["top groups"]), OMPR(rho=Log(1.0))),
            "tie for the largest gradient",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
