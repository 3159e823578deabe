"""Losses where floats are short of digits or of curvature: tiny values, huge levels, residuals far beyond delta."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sparseopt as so
from sparseopt.datafits import multinomial
from sparseopt.solve import State
from sparseopt.solvers.descent import GroupDescent

GROUPS = so.Groups.uniform(8, 5)


def far_from_delta(scale: float, *, intercept: bool = False, **options) -> so.Problem:
    """Huber's loss with delta = 1 and residuals of this size: nearly that of absolute errors."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 40))
    y = scale * (X[:, :5].sum(axis=1) + rng.standard_normal(60))
    problem = so.Problem(X, so.Huber(y, 1.0, intercept=intercept), so.GroupLasso(1.0, GROUPS, **options))
    return problem.with_lam(0.2 * so.lambda_max(problem))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_residuals_far_beyond_delta_take_a_few_rounds(scale, intercept):
    problem = far_from_delta(scale, intercept=intercept)
    result = so.solve(problem, tol=1e-7, max_iter=5)
    assert so.certify.duality_gap(problem, result.w, tol=1e-6).proved


def test_the_first_state_is_where_it_was_asked_for():
    problem, w0 = far_from_delta(1e4), np.ones(40)
    np.testing.assert_array_equal(next(so.iterate(problem, w0=w0)).w, w0)


@pytest.mark.parametrize("loss", ["Huber", "Logistic"])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_majorising_quadratic_lies_above_the_loss(loss, intercept):
    rng = np.random.default_rng(0)
    options = {"sample_weight": rng.uniform(0.1, 1, 30), "intercept": intercept}
    y = 10 * rng.standard_normal(30)
    fit = so.Huber(y, 0.7, **options) if loss == "Huber" else so.Logistic(y > 0, **options)
    for _ in range(50):
        z, d = 5 * rng.standard_normal(30), 10 ** rng.uniform(-2, 2) * rng.standard_normal(30)
        model = fit.value(z) + fit.gradient(z) @ d + fit.majorising_weights(z) @ d**2 / 2
        assert fit.value(z + d) <= model * (1 + 1e-12)
    assert fit.majorising_weights(z).sum() < 0.9 * fit.smoothness_bound  # or the bound would have done


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_offsets_at_which_logistic_losses_have_no_curvature_take_a_few_rounds(seed, intercept):
    rng = np.random.default_rng(seed)
    X, y, offset = rng.standard_normal((40, 20)), rng.integers(0, 2, 40), 1e3 * rng.standard_normal(40)
    fit = so.Logistic(y, offset=offset, intercept=intercept)
    problem = so.Problem(X, fit, so.GroupLasso(1.0, so.Groups.uniform(5, 4)))
    problem = problem.with_lam(0.2 * so.lambda_max(problem))
    result = so.solve(problem, tol=1e-8, max_iter=10)
    assert so.certify.duality_gap(problem, result.w, tol=1e-7).proved


@pytest.mark.parametrize("level", [2.0**27, -(2.0**30)])
def test_a_large_mean_of_y_costs_huber_no_digits(level):
    """y is a multiple of 2^-16, so that y + level is a float."""
    rng = np.random.default_rng(0)
    y, z = np.round(2**16 * rng.standard_normal(20)) / 2**16, rng.standard_normal(20)
    y[3] = 2.0**18  # an outlier
    near, far = (so.Huber(v, 0.3, intercept=True) for v in (y, y + level))
    assert far.value(z) == pytest.approx(near.value(z), rel=1e-14)
    assert far.intercept(z) == pytest.approx(near.intercept(z) + level, rel=1e-15)
    np.testing.assert_allclose(far.gradient(z), near.gradient(z), atol=1e-16)
    u = 0.5 * near.gradient(z)
    assert far.conjugate(u) == pytest.approx(near.conjugate(u), rel=1e-13)


@pytest.mark.parametrize("margin", [1.0, 40.0, 300.0])
def test_tiny_losses_and_conjugates_keep_their_digits(margin):
    two = np.array([[0.0, margin]])
    loss, missing = math.log1p(math.exp(-margin)), 0.3 * math.exp(-margin)
    entropy = missing * math.log(missing) + (1 - missing) * math.log1p(-missing)
    fit = so.Multinomial([1], n_classes=2)
    assert fit.value(two) == pytest.approx(loss, rel=1e-14)
    assert fit.value(-two) == pytest.approx(loss + margin, rel=1e-14)
    assert fit.conjugate(np.array([[missing, -missing]])) == pytest.approx(entropy, rel=1e-13)
    assert so.Logistic([1.0]).conjugate(np.array([-missing])) == pytest.approx(entropy, rel=1e-13)


def test_intercepts_of_a_huge_spread_take_a_bounded_number_of_temperatures(monkeypatch):
    calls = []
    newton = multinomial._newton
    monkeypatch.setattr(multinomial, "_newton", lambda *args, **options: calls.append(1) or newton(*args, **options))
    fit = so.Multinomial([0, 1, 2, 0, 1, 2], intercept=True)
    z = 1e80 * np.random.default_rng(0).standard_normal((6, 3))
    assert np.isfinite(fit.intercept(z)).all()
    assert len(calls) <= multinomial.COOLINGS + 2  # the first from the last intercepts


def test_intercepts_next_to_the_last_ones_are_found_from_there(monkeypatch):
    rng, calls = np.random.default_rng(0), []
    newton = multinomial._newton
    monkeypatch.setattr(multinomial, "_newton", lambda *args, **options: calls.append(1) or newton(*args, **options))
    y, z = np.arange(30) % 3, 20 * rng.standard_normal((30, 3))
    used = so.Multinomial(y, intercept=True)
    used.value(z)
    for moved, most in ((z + 0.1 * rng.standard_normal(z.shape), 1), (-1e3 * z, multinomial.COOLINGS)):
        calls.clear()
        found = used.intercept(moved)
        assert len(calls) <= most
        fresh = so.Multinomial(y, intercept=True)
        np.testing.assert_allclose(found, fresh.intercept(moved), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(used.gradient(moved).sum(axis=0), 0.0, atol=1e-14)


def test_a_line_search_ends_with_the_time(monkeypatch):
    problem = so.Problem(np.eye(4), so.Logistic([0, 1, 0, 1]), so.GroupLasso(0.01, so.Groups.uniform(2, 2)))
    run, tries = GroupDescent(problem, np.zeros(4), so.solvers.GroupBCD()), []
    run.working = np.arange(2)
    monkeypatch.setattr(run, "try_move", lambda *args: tries.append(1) and False)
    monkeypatch.setattr(run, "ask", lambda: True)
    assert not run.frame._step(run)
    assert len(tries) <= 1


def test_the_lowest_point_is_returned_where_no_dual_point_is_known():
    """Separable labels along an unpenalised column: the loss has no minimum, and every gap is infinite."""
    X = np.random.default_rng(0).standard_normal((20, 3))
    penalty = so.GroupLasso(0.1, so.Groups.from_sizes([1, 2]), weights=[0.0, 1.0])
    problem = so.Problem(X, so.Poisson(np.zeros(20)), penalty)
    problem = so.Problem(np.abs(X), problem.datafit, penalty)
    result = so.solve(problem, tol=1e-9, max_iter=5, throw=False)
    assert result.objective == result.history.objective.min() < 0.9 * result.history.objective[0]


class Confident:
    """A solver that reports a dual value far above the objective."""

    def init(self, problem, w0):
        return State(w=w0, z=problem.product(w0), passes=1.0, gap=-0.5)

    def step(self, problem, state):
        return state


def test_a_dual_value_above_the_objective_proves_nothing():
    problem = so.Problem(np.eye(2), so.LeastSquares([1.0, 2.0]), so.GroupLasso(0.1, so.Groups.uniform(2, 1)))
    result = so.solve(problem, Confident(), max_iter=3, throw=False)
    assert result.status is so.Status.MAX_ITER
    assert result.gap > 0.1
