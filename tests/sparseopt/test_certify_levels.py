"""No level of a certificate contradicts another one, however much the rounding bounds of a level lose."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, WITH_INTERCEPT, problem

import sparseopt as so
from sparseopt.certify import arithmetic
from sparseopt.certify.convex_bound import least_of_convex
from sparseopt.certify.enclosure import enclose
from sparseopt.certify.penalty_terms import PenaltyTerms

pytest.importorskip("flint", reason="python-flint is not installed")

EVERY = pytest.mark.parametrize(
    ("loss", "name", "intercept"),
    [(loss, "GroupLasso", False) for loss in LOSSES]
    + [(loss, name, True) for loss in WITH_INTERCEPT for name in ("GroupLasso", "SparseGroupLasso")]
    + [("Logistic", "positive", True), ("Poisson", "unpenalised group", True), ("Huber", "GroupElasticNet", False)],
)


def points(made):
    """A solution, two points near it, and 0."""
    solution = so.solve(made, tol=1e-8, throw=False).w
    move = np.abs(np.random.default_rng(0).standard_normal(solution.shape)) * (solution != 0)
    return [solution, solution + 1e-4 * move, solution + 0.3 * move, np.zeros_like(solution)]


def check_levels(made, w):
    floats, balls = (so.certify.duality_gap(made, w, tol=1e-6, level=level) for level in ("float", "ball"))
    assert floats.lower <= balls.upper
    assert balls.lower <= floats.upper
    assert {floats.verdict, balls.verdict} != {"proved", "refuted"}
    return floats, balls


@pytest.mark.sample(every=3)
@EVERY
def test_the_bounds_of_two_levels_hold_for_one_another(loss, name, intercept):
    made = problem(loss, name, seed=1, intercept=intercept)
    found = [check_levels(made, w) for w in points(made)]
    assert [c.verdict for c in found[0]] == ["proved"] * 2
    assert [c.verdict for c in found[2]] == ["refuted"] * 2


@pytest.mark.sample(every=3)
@EVERY
def test_a_multiple_that_is_rounded_far_down_refutes_nothing(loss, name, intercept, monkeypatch):
    made = problem(loss, name, seed=2, intercept=intercept)
    solution, _, bad, _ = points(made)
    expected = enclose(made, solution, arithmetic.FloatArithmetic())
    exact = PenaltyTerms.multiple
    monkeypatch.setattr(PenaltyTerms, "multiple", lambda *args: exact(*args) * (1 - 1e-6))
    assert enclose(made, solution, arithmetic.FloatArithmetic()).lower <= expected.upper
    refuted = enclose(made, bad, arithmetic.FloatArithmetic())
    assert refuted.lower > 1e-6 * refuted.largest_scale


@pytest.mark.parametrize("ratio", [1e-4, 1e-6])
@pytest.mark.parametrize("intercept", [False, True])
def test_separable_classes(ratio, intercept):
    """Nearly all probabilities are 0 or 1, so that differences from them lose every digit."""
    X = np.random.default_rng(0).standard_normal((20, 4))
    X[:, 0] = np.linspace(-2, 2, 20)
    fit = so.Multinomial(np.digitize(X[:, 0], [-0.7, 0.7]), intercept=intercept)
    made = so.Problem(X, fit, so.GroupLasso(1.0, so.Groups.uniform(2, 2)))
    made = made.with_lam(ratio * so.lambda_max(made))
    floats, _ = check_levels(made, so.solve(made, tol=1e-9).w)
    assert floats.upper <= 1e-8 * floats.scale


def test_a_scale_that_is_not_known_refutes_nothing(monkeypatch):
    made = problem("Logistic", "GroupLasso", seed=3)
    bad = points(made)[2]
    assert so.certify.duality_gap(made, bad).verdict == "refuted"
    exact = so.certify.enclosure._Fit._scale
    monkeypatch.setattr(so.certify.enclosure._Fit, "_scale", lambda *args: (0.0, 1e8 * exact(*args)[1]))
    assert so.certify.duality_gap(made, bad).verdict == "undecided"


@pytest.mark.parametrize("seed", range(20))
def test_the_least_value_of_a_convex_function_is_bounded(seed):
    rng = np.random.default_rng(seed)
    slopes, heights = rng.standard_normal((2, 5))

    def function(x):
        return np.max(np.outer(x, slopes) + heights, axis=1) + 0.1 * (x - centre) ** 2

    centre, end = rng.uniform(0, 2), 3.0
    least = function(np.linspace(0, end, 20001)).min()
    for count, width in ((2, 0.0), (4, 0.1), (12, 1e-3)):
        points = np.r_[0.0, np.sort(rng.uniform(0, end, count))]
        lower, upper = function(points) - width * rng.uniform(size=count + 1), function(points) + width * rng.uniform()
        assert least_of_convex(points, lower, upper, end) <= least
    dense, steepest = np.linspace(0, end, 400), np.abs(slopes).max() + 0.2 * end
    assert least_of_convex(dense, function(dense), function(dense), end) >= least - steepest * end / 399
    assert least_of_convex([0.0], [1.0], [1.0], end) == -np.inf
