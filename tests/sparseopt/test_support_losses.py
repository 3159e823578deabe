"""Supports of smooth losses: never wrong, complete at accurate points, undecided where they cannot be shown."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, WITH_INTERCEPT, datafit, problem
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import sparseopt as so
from sparseopt.certify.arithmetic import FloatArithmetic
from sparseopt.certify.losses import loss_of

SMOOTH = [loss for loss in LOSSES if loss != "LeastSquares"]
CASES = [(loss, False) for loss in SMOOTH] + [(loss, True) for loss in SMOOTH if loss in WITH_INTERCEPT]
FLAT = ("Multinomial", "Cox", "CoxEfron")
"""Losses of which no strong convexity is shown."""

EVERY_CASE = pytest.mark.parametrize(("loss", "intercept"), CASES)


@pytest.mark.sample(every=4)
@EVERY_CASE
@given(seed=st.integers(0, 10**6), exponent=st.floats(-9, 0), ratio=st.floats(0.3, 0.95))
def test_supports_are_never_wrong(loss, intercept, seed, exponent, ratio):
    made = problem(loss, "GroupLasso", seed=seed % 50, ratio=ratio, intercept=intercept)
    accurate = so.solve(made, tol=1e-12, throw=False).w
    rng = np.random.default_rng(seed)
    shown = so.certify.support(made, accurate + 10.0**exponent * rng.standard_normal(accurate.shape))
    norms = made.penalty.groups.norms(accurate)
    assert (norms[shown.zero] < 1e-6).all()
    assert (norms[shown.nonzero] > 0).all()
    assert sorted([*shown.zero, *shown.nonzero, *shown.undecided]) == [0, 1, 2]


@pytest.mark.sample(every=7)
@EVERY_CASE
def test_supports_are_shown_at_accurate_points(loss, intercept):
    """Zeros for every loss; non-zeros for those that are strongly convex next to the solution."""
    for seed in range(4):
        made = problem(loss, "GroupLasso", seed=seed, ratio=0.7, n=40, intercept=intercept)
        w = so.solve(made, tol=1e-13, throw=False).w
        shown = so.certify.support(made, w)
        np.testing.assert_array_equal(shown.zero, np.flatnonzero(made.penalty.groups.norms(w) == 0))
        active = [] if loss in FLAT else made.penalty.groups.active(w)
        np.testing.assert_array_equal(shown.nonzero, active)
        rough = so.certify.support(made, w + 1.0)
        assert len(rough.undecided) == 3
        assert "gap at most" in rough.reason


@EVERY_CASE
def test_strictness(loss, intercept):
    """At lambda_max 0 is the minimiser, and the group whose gradient reaches the strength is not shown to be zero."""
    made = problem(loss, "GroupLasso", seed=3, intercept=intercept)
    made = made.with_lam(so.lambda_max(made))
    largest = int(np.argmax(made.penalty.groups.norms(made.gradient(np.zeros(made.w_shape))) / made.penalty.weights))
    shown = so.certify.support(made, np.zeros(made.w_shape))
    np.testing.assert_array_equal(shown.undecided, [largest])
    assert len(so.certify.support(made.with_lam(1.01 * made.penalty.lam), np.zeros(made.w_shape)).undecided) == 0


def two_points(loss, seed, exponent):
    """The rigorous loss, a point eta, another one, and the distance L(eta) - L(eta*) - <f*, eta - eta*>."""
    rng, a = np.random.default_rng(seed), FloatArithmetic()
    rigorous = loss_of(datafit(loss, seed % 20), a)
    shape = (len(rigorous.rows),) + (() if rigorous.outputs is None else (len(rigorous.outputs),))
    eta = 2 * rng.standard_normal(shape)
    one, two = a.number(eta), a.number(eta + 10.0**exponent * rng.standard_normal(shape))
    distance = rigorous.value(one) - rigorous.value(two) - a.sum(rigorous.force(two) * (one - two))
    return rigorous, one, two, max(float(distance.hi), 0.0)


@pytest.mark.parametrize("loss", SMOOTH)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-6, 1))
def test_traces_bound_the_change_of_the_gradient(loss, seed, exponent):
    rigorous, one, two, gap = two_points(loss, seed, exponent)
    X = np.random.default_rng(seed).standard_normal((len(rigorous.rows), 5)) + 1.0
    traces = rigorous.traces(X, one, gap)
    change = FloatArithmetic().adjoint(X, rigorous.force(one) - rigorous.force(two))
    squares = (np.maximum(np.abs(change.lo), np.abs(change.hi)).reshape(5, -1) ** 2).sum(axis=1)
    for group in ([0], [1, 3], range(5)):
        assert squares[list(group)].sum() <= 2 * gap * traces[list(group)].sum()
    np.testing.assert_allclose(rigorous.traces(sparse.csr_array(X), one, gap), traces, rtol=1e-9)


@pytest.mark.parametrize("loss", SMOOTH)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-6, 1))
def test_stiffness_bounds_the_change_of_the_fit(loss, seed, exponent):
    rigorous, one, two, gap = two_points(loss, seed, exponent)
    weights = rigorous.stiffness(one, gap)
    squares = ((one.lo - two.lo) ** 2).reshape(len(weights), -1).sum(axis=1)
    assert (weights >= 0).all()
    assert weights @ squares <= 2 * gap


@pytest.mark.parametrize("loss", ["Logistic", "Huber", "Poisson"])
def test_equal_columns_show_no_group_to_be_non_zero(loss):
    """Without strong convexity there is no ball around w: either column may carry the solution."""
    made = problem(loss, "GroupLasso", seed=1, ratio=0.5)
    twice = so.Problem(made.X[:, [2, 2]], made.datafit, so.GroupLasso(1.0, so.Groups.uniform(2, 1)))
    twice = twice.with_lam(0.5 * so.lambda_max(twice))
    w = so.solve(twice, tol=1e-12, throw=False).w
    shown = so.certify.support(twice, w)
    np.testing.assert_array_equal(shown.undecided, [0, 1])
    assert "strong convexity is not shown" in shown.reason


def test_the_curvature_of_samples_counts():
    """Logistic traces near saturation are far below those of the curvature 1/4, once the gap is small."""
    fit = so.Logistic([0, 1] * 5)
    eta = 8.0 * np.where(fit.y > 0, 1.0, -1.0)
    a = FloatArithmetic()
    traces = [loss_of(fit, a).traces(np.ones((10, 1)), a.number(eta), gap)[0] for gap in (1e-12, 1.0)]
    assert traces[0] == pytest.approx(np.exp(-8) / (1 + np.exp(-8)) ** 2, rel=0.01)
    assert traces[1] == pytest.approx(0.25, rel=1e-5)


def test_overflow_shows_nothing():
    made = so.Problem([[1.0], [1.0]], so.Poisson([1, 2]), so.GroupLasso(0.1, so.Groups.uniform(1, 1)))
    assert list(so.certify.support(made, [800.0]).undecided) == [0]


def test_uniqueness_refuses_other_losses_with_advice():
    made = problem("Logistic", "GroupLasso")
    with pytest.raises(ValueError, match="allowed are LeastSquares"):
        so.certify.uniqueness(made, np.zeros(6))
