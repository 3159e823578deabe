"""Distances to stationarity for every loss: against floats, against 256 bits, and refuted where they are large."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, WITH_INTERCEPT, problem

import sparseopt as so
from sparseopt.certify.arithmetic import BallArithmetic, FloatArithmetic
from sparseopt.certify.linear_fit import enclosed_gradient

CASES = [(loss, False) for loss in LOSSES] + [(loss, True) for loss in WITH_INTERCEPT]
EVERY_CASE = pytest.mark.parametrize(("loss", "intercept"), CASES)
EVERY_PENALTY = pytest.mark.parametrize("make", [so.GroupLasso, so.GroupMCP, so.GroupLogSum, so.GroupLq])


def nonconvex(loss, intercept, make, seed=0):
    convex = problem(loss, "GroupLasso", seed=seed, intercept=intercept)
    return convex.with_penalty(make(convex.penalty.lam, convex.penalty.groups))


@EVERY_CASE
@EVERY_PENALTY
def test_encloses_the_distance_for_every_loss(loss, intercept, make):
    made = nonconvex(loss, intercept, make)
    for seed in range(3):
        w = np.random.default_rng(seed).standard_normal(made.w_shape)
        w[made.penalty.groups.members(1)] = 0.0
        certificate = so.certify.stationarity(made, w)
        distance = float(np.max(made.penalty.violation(w, made.gradient(w))))
        assert certificate.lower <= distance * (1 + 1e-11) + 1e-13
        assert certificate.upper >= distance * (1 - 1e-11) - 1e-13
        assert certificate.upper - certificate.lower <= 1e-10 * max(distance, 1)


@EVERY_CASE
def test_solutions_are_stationary_and_points_beside_them_are_not(loss, intercept):
    made = nonconvex(loss, intercept, so.GroupLogSum)
    w = so.solve(made, tol=1e-9, throw=False).w
    proved = so.certify.stationarity(made, w, tol=1e-6)
    assert proved.proved, proved.reason
    assert so.certify.stationarity(made, w + 0.1, tol=1e-6).verdict == "refuted"
    assert so.certify.stationarity(made, w, tol=0.0).verdict != "proved"


@EVERY_CASE
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_256_bits_is_inside(loss, intercept, seed):
    """The brackets of the intercept are a few ulp wide, at both levels."""
    pytest.importorskip("flint", reason="python-flint is not installed")
    made = problem(loss, "GroupLasso", seed=seed, intercept=intercept)
    a, b = FloatArithmetic(), BallArithmetic()
    w = np.random.default_rng(seed).standard_normal(made.w_shape)
    with b.context():
        fine = enclosed_gradient(made, w, b)
        low, high = b.lower(fine), b.upper(fine)
    coarse = enclosed_gradient(made, w, a)
    assert (a.lower(coarse) <= high).all()
    assert (low <= a.upper(coarse)).all()
    size = max(abs(high).max(), 1.0)
    assert (a.upper(coarse) - a.lower(coarse)).max() <= 1e-12 * size
    assert (high - low).max() <= 1e-13 * size
    assert (abs(made.gradient(w) - a.lower(coarse)) <= 1e-12 * size).all()


@pytest.mark.parametrize("loss", WITH_INTERCEPT)
def test_another_intercept_than_the_optimal_one_does_not_get_in(loss, monkeypatch):
    """The bracket is found from any start: of an intercept that is wrong by 1e-6 it is wide, and holds the truth."""
    made = problem(loss, "GroupLasso", seed=1, intercept=True)
    w = np.random.default_rng(1).standard_normal(made.w_shape)
    a = FloatArithmetic()
    right = enclosed_gradient(made, w, a)
    exact = type(made.datafit).intercept
    move = 1e-6 * np.arange(1, 4) if made.datafit.n_outputs else 1e-6
    monkeypatch.setattr(type(made.datafit), "intercept", lambda self, z: exact(self, z) + move)
    wrong = enclosed_gradient(made, w, a)
    assert (a.lower(wrong) <= a.lower(right) + 1e-14).all()
    assert (a.upper(right) - 1e-14 <= a.upper(wrong)).all()
    assert 1e-8 < (a.upper(wrong) - a.lower(wrong)).max() < 1e-3


def test_a_flat_part_of_the_intercept_is_undecided():
    """Huber's loss with all residuals on its linear part: rounding cannot tell sums of 0, which any b there has, from
    sums next to 0, for which the best b is far.  The enclosure is wide, and the truth in it.
    """
    X = np.arange(4.0)[:, None] * np.array([1.0, -2.0])
    huber = so.Huber([-9.0, -8.0, 9.0, 8.0], 0.5, sample_weight=[1, 3, 1, 3], intercept=True)
    made = so.Problem(X, huber, so.GroupMCP(0.5, so.Groups.uniform(1, 2)))
    a = FloatArithmetic()
    gradient = enclosed_gradient(made, np.zeros(2), a)
    assert (a.lower(gradient) <= [-0.5, 1.0]).all()
    assert (a.upper(gradient) >= [-0.5, 1.0]).all()
    certificate = so.certify.stationarity(made, np.zeros(2))
    distance = float(np.max(made.penalty.violation(np.zeros(2), made.gradient(np.zeros(2)))))
    assert certificate.lower <= distance <= certificate.upper
    assert certificate.verdict == "undecided"


def test_large_means_cost_least_squares_no_digits():
    made = problem("LeastSquares", "GroupLasso", seed=1, intercept=True)
    far = so.Problem(made.X, so.LeastSquares(np.round(made.datafit.y, 3) + 2.0**30, intercept=True), made.penalty)
    w = np.random.default_rng(1).standard_normal(made.w_shape)
    certificate = so.certify.stationarity(far, w)
    assert certificate.upper - certificate.lower <= 1e-12  # one rounding of y is 1e-7


def test_gradients_that_overflow_are_undecided():
    made = so.Problem([[1.0], [1.0]], so.Poisson([1, 2]), so.GroupMCP(0.1, so.Groups.uniform(1, 1)))
    certificate = so.certify.stationarity(made, [800.0])
    assert certificate.verdict != "proved"
    assert certificate.upper == np.inf


def test_one_class_alone_is_stationary_at_zero():
    made = so.Problem(np.eye(2), so.Logistic([1, 1], intercept=True), so.GroupMCP(0.1, so.Groups.uniform(2, 1)))
    assert so.certify.stationarity(made, np.zeros(2)).proved
    assert so.certify.stationarity(made, np.full(2, 0.01)).verdict == "refuted"
