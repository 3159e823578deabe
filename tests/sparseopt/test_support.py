"""Certified supports are never wrong and decide everything at an accurate point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_problem

import sparseopt as so


def support_beside_a_solution(problem, seed, exponent):
    """Its support, of which nothing is wrong."""
    accurate = so.solve(problem, tol=1e-13, throw=False).w
    rng = np.random.default_rng(seed)
    shown = so.certify.support(problem, accurate + 10.0**exponent * rng.standard_normal(len(accurate)))
    norms = problem.penalty.groups.norms(accurate)
    assert (norms[shown.zero] < 1e-6).all()
    assert (norms[shown.nonzero] > 0).all()
    return shown


@given(seed=st.integers(0, 10**6), exponent=st.floats(-10, 0))
def test_support_is_never_wrong(seed, exponent):
    problem = random_problem(seed, n=5 if seed % 3 == 0 else 20, ratio=0.2)
    shown = support_beside_a_solution(problem, seed, exponent)
    both = np.concatenate([shown.zero, shown.nonzero, shown.undecided])
    assert sorted(both) == list(range(problem.penalty.groups.n_groups))


def test_everything_is_decided_at_an_accurate_point_of_a_strongly_convex_problem():
    problem = random_problem(1, n=30)
    w = so.solve(problem, tol=1e-13, throw=False).w
    shown = so.certify.support(problem, w)
    assert len(shown.undecided) == 0
    assert list(shown.nonzero) == list(problem.penalty.groups.active(w))


def test_other_penalties_are_refused():
    problem = random_problem(1)
    with pytest.raises(ValueError, match="plain group LASSO"):
        so.certify.support(problem.with_penalty(so.GroupMCP(1.0, problem.penalty.groups)), np.zeros(8))


def from_statistics(problem, means=False):
    """The same problem, of X'X and X'y."""
    chunks = [(problem.X, problem.datafit.y, problem.datafit.sample_weight)]
    return so.accumulate_gram(chunks, intercept=means).problem(problem.penalty)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_statistics_show_what_the_data_show(seed, intercept):
    problem = random_problem(seed, n=30, intercept=intercept)
    gram = from_statistics(problem, means=intercept)
    w = so.solve(gram, tol=1e-13, throw=False).w
    data, statistics = (so.certify.support(made, w) for made in (problem, gram))
    np.testing.assert_array_equal(statistics.zero, data.zero)
    np.testing.assert_array_equal(statistics.nonzero, data.nonzero)
    assert so.certify.uniqueness(gram, w).proved
    certificates = [so.certify.stationarity(made, w + 0.01) for made in (problem, gram)]
    assert certificates[0].lower == pytest.approx(certificates[1].lower, rel=1e-9)
    assert so.certify.stationarity(gram, w).proved
    away = so.certify.support(gram, w + 10.0)
    assert len(away.undecided) == problem.penalty.groups.n_groups


@given(seed=st.integers(0, 10**6), exponent=st.floats(-10, 0))
def test_support_of_statistics_is_never_wrong(seed, exponent):
    support_beside_a_solution(from_statistics(random_problem(seed, n=20, ratio=0.2)), seed, exponent)


def whole_numbers(seed, n):
    """Statistics without rounding errors, singular for n < 6."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(-4, 5, (n, 6)).astype(float), rng.integers(-9, 10, n).astype(float)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(3, 2)))
    return problem.with_lam(0.5 * so.lambda_max(problem))


def test_singular_statistics_that_are_exact_decide_zeros_and_uniqueness():
    problem = whole_numbers(0, 4)
    gram = from_statistics(problem)
    w = so.solve(gram, tol=1e-12, throw=False).w
    data, statistics = (so.certify.support(made, w) for made in (problem, gram))
    assert len(data.zero) > 0
    np.testing.assert_array_equal(statistics.zero, data.zero)
    assert len(statistics.nonzero) == 0
    assert so.certify.uniqueness(gram, w).proved


def test_statistics_that_are_not_shown_to_be_convex_show_nothing():
    """Rounding makes X'X of n < p indefinite: without convexity there is no gap, and nothing is said."""
    problem = random_problem(0, n=5)
    gram = from_statistics(problem)
    w = so.solve(gram, tol=1e-9, throw=False).w
    assert len(so.certify.support(gram, w).undecided) == problem.penalty.groups.n_groups
    assert so.certify.uniqueness(gram, w).verdict == "undecided"


@pytest.mark.parametrize("split", [0.3, 1.0])
def test_uniqueness_is_refused_for_statistics_of_equal_columns(split):
    gram = so.Problem.from_gram(np.ones((2, 2)), np.ones(2), 1.0, 1.0, so.GroupLasso(0.25, so.Groups.uniform(2, 1)))
    assert so.certify.uniqueness(gram, 0.75 * np.array([split, 1 - split])).verdict == "undecided"


def test_the_sandwich_holds_for_statistics():
    problem = random_problem(3, n=30, ratio=0.9)
    gram = from_statistics(problem)
    one, other = (
        made.with_penalty(so.InverseSum(problem.penalty.lam * 1.2, problem.penalty.groups, so.penalties.Power(0.5)))
        for made in (problem, gram)
    )
    w = so.solve(one.with_penalty(one.penalty.companion), tol=1e-12, throw=False).w
    data, statistics = so.certify.global_gap(one, w), so.certify.global_gap(other, w)
    assert data.verdict == statistics.verdict == "proved"
    assert statistics.scale == pytest.approx(data.scale, rel=1e-9)
    assert so.certify.global_gap(other, w + 1.0).verdict == "refuted"
