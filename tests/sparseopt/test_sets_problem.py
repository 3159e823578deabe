"""Sets in the place of penalties: problems, gaps, violations, and solutions known in other ways."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from brute import choices

import sparseopt as so
from sparseopt.sets import NM, CappedSimplex, GroupBall, Indicator, PatternLibrary, TopGroups

GROUPS = so.Groups.from_sizes([2, 3, 1, 4])


def data(seed=0, n=30, p=10):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.normal(size=n)


def test_the_ball_has_the_solution_of_the_group_lasso():
    X, y = data()
    penalised = so.solve(so.Problem(X, so.LeastSquares(y), so.GroupLasso(0.05, GROUPS, weights="none")), tol=1e-13)
    radius = float(GROUPS.norms(penalised.w).sum())
    problem = so.Problem(X, so.LeastSquares(y), GroupBall(radius, GROUPS))
    result = so.solve(problem, tol=1e-12)
    assert result.status is so.Status.CONVERGED
    np.testing.assert_allclose(result.w, penalised.w, atol=1e-6)
    assert problem.violation(result.w) < 1e-6
    assert problem.gap(result.w) >= result.objective - problem.objective(penalised.w * (1 - 1e-15)) - 1e-12


def test_the_gap_bounds_the_distance_to_the_minimum():
    X, y = data(1)
    problem = so.Problem(X, so.LeastSquares(y), CappedSimplex(3.5))
    best = so.solve(problem, tol=1e-10)
    rng = np.random.default_rng(0)
    for _ in range(50):
        w = problem.feasible(rng.normal(size=10))
        assert problem.gap(w) >= problem.objective(w) - best.objective - 1e-12
    assert problem.penalty.value(np.zeros(10)) == np.inf
    assert best.gap <= 1e-10
    assert best.w.sum() == pytest.approx(3.5, rel=1e-14)


def test_top_groups_on_an_orthogonal_design_is_the_projection():
    rng = np.random.default_rng(2)
    X = np.linalg.qr(rng.normal(size=(20, 10)))[0]
    y = rng.normal(size=20)
    s = TopGroups(2, GROUPS)
    result = so.solve(so.Problem(X, so.LeastSquares(y), s), tol=1e-12)
    np.testing.assert_allclose(result.w, s.project(X.T @ y), atol=1e-12)
    assert np.isnan(result.gap)


def test_stationary_points_are_those_of_every_mask_that_contains_them():
    """The violation is the largest over coordinates of the best of all masks around w, found by enumeration."""
    rng = np.random.default_rng(3)
    masks = [kept[GROUPS.labels] for kept in choices(4, 2)]
    penalty = Indicator(TopGroups(2, GROUPS), (10,))
    for i in range(200):
        w = rng.normal(size=10) * masks[i % 6] * (rng.random(10) < rng.random())
        gradient = rng.normal(size=10)
        around = [m for m in masks if not w[~m].any()]
        best = max((gradient[m] ** 2).sum() for m in around)
        assert (penalty.violation(w, gradient) ** 2).sum() == pytest.approx(best, rel=1e-12)
    assert np.isinf(penalty.violation(np.ones(10), gradient)).all()


@pytest.mark.parametrize("s", [NM(1, 2), TopGroups(2, GROUPS), GroupBall(1.0, GROUPS), CappedSimplex(2)], ids=repr)
def test_every_iterate_is_in_the_set(s):
    X, y = data(4)
    problem = so.Problem(X, so.LeastSquares(y), s)
    objectives = []
    for i, state in enumerate(so.iterate(problem, so.solvers.ProximalGradient())):
        assert s.contains(state.w)
        objectives.append(problem.objective(state.w))
        if i == 50:
            break
    assert (np.diff(objectives) <= 1e-12).all()


def test_matrices_of_coefficients():
    rng = np.random.default_rng(5)
    X, Y = rng.normal(size=(40, 8)), rng.normal(size=(40, 6))
    library = PatternLibrary([np.eye(2), 1 - np.eye(2)])
    problem = so.Problem(X, so.MultiResponse(Y), library)
    result = so.solve(problem, tol=1e-8)
    assert library.contains(result.w)
    assert problem.violation(result.w) <= 1e-7


def test_what_is_kept_of_a_problem():
    X, y = data(6)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(0.1, GROUPS)).with_penalty(TopGroups(1, GROUPS))
    assert isinstance(problem.penalty, Indicator)
    assert problem.penalty.set.k == 1
    copy = pickle.loads(pickle.dumps(problem))
    assert copy.objective(np.zeros(10)) == problem.objective(np.zeros(10))


class Ball:
    """The unit ball, a set of one's own without a support function."""

    convex = True

    def project(self, v, out=None):
        """v / max(1, |v|)."""
        return v / max(1.0, np.linalg.norm(v))

    def contains(self, v):
        """Up to rounding."""
        return np.linalg.norm(v) <= 1 + 1e-15

    def distance(self, v):
        """Beyond the unit sphere."""
        return max(0.0, np.linalg.norm(v) - 1)

    def support(self, v):
        """All but zeros."""
        return v != 0


def test_a_set_of_ones_own():
    X, y = data(7)
    problem = so.Problem(X, so.LeastSquares(y), Ball())
    with pytest.raises(ValueError, match="support_function"):
        so.solve(problem)
    Ball.support_function = lambda self, y: np.linalg.norm(y)
    result = so.solve(problem, tol=1e-9)
    assert np.linalg.norm(result.w) <= 1 + 1e-14
    assert problem.violation(result.w) <= 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y: so.Problem(X, so.LeastSquares(y), TopGroups), "or a set"),
        (lambda X, y: so.Problem(X, so.LeastSquares(y), NM(2, 4)), "do not divide"),
        (lambda X, y: so.Problem(X, so.LeastSquares(y), CappedSimplex(11)), "at most that"),
        (lambda X, y: so.Problem(X, so.LeastSquares(y), TopGroups(1, so.Groups.uniform(3, 3))), "9 coefficients"),
        (lambda X, y: so.Problem(X, so.LeastSquares(y), TopGroups(1, GROUPS)).with_lam(0.1), "no strength"),
        (lambda X, y: so.Problem(X, so.LeastSquares(y), TopGroups(1, GROUPS)).gap(np.zeros(10)), "not convex"),
        (lambda X, y: so.lambda_max(so.Problem(X, so.LeastSquares(y), TopGroups(1, GROUPS))), "critical_lam"),
        (
            lambda X, y: so.certify.duality_gap(so.Problem(X, so.LeastSquares(y), GroupBall(1, GROUPS)), y),
            "no certificate",
        ),
        (lambda X, y: Indicator(3, (10,)), "give a set"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*data())


def test_a_mask_set_that_keeps_everything_is_no_constraint():
    """TopGroups(G) is convex, without a useful support function: the run stops by stationarity at least squares."""
    rng = np.random.default_rng(0)
    X, y, groups = rng.standard_normal((9, 3)), rng.standard_normal(9), so.Groups.from_sizes([1, 2])
    result = so.solve(so.Problem(X, so.LeastSquares(y), so.sets.TopGroups(2, groups)), so.solvers.IHT(), tol=1e-10)
    np.testing.assert_allclose(result.w, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-8)
