"""The enclosure of the duality gap against exact rational arithmetic; proved, refuted and undecided."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import exact_gap, random_problem
from scipy import sparse

import sparseopt as so
from sparseopt.solvers import FISTA


def small_problem(seed: int, scale_X: float = 1.0, scale_y: float = 1.0) -> so.Problem:
    """At most 6 x 5; weights, offsets, intercepts, sparse and single-precision designs change with the seed."""
    rng = np.random.default_rng(seed)
    n, sizes = int(rng.integers(1, 7)), rng.integers(1, 3, int(rng.integers(1, 4)))
    X = rng.standard_normal((n, sizes.sum())) * scale_X
    if seed % 4 == 1:
        X = sparse.csr_array(X * (rng.uniform(size=X.shape) < 0.7))
    elif seed % 4 == 2 and 1e-30 < scale_X < 1e30:
        X = X.astype(np.float32)
    datafit = so.LeastSquares(
        rng.standard_normal(n) * scale_y,
        sample_weight=rng.uniform(0.1, 2, n) if seed % 3 == 0 else None,
        offset=rng.standard_normal(n) * scale_y if seed % 5 == 0 else None,
        intercept=seed % 2 == 0 and n > 1,
    )
    weights = ("sqrt", "none", rng.uniform(0.2, 3, len(sizes)))[seed % 3]
    lam = float(rng.uniform(0.01, 0.5)) * scale_X * scale_y
    return so.Problem(X, datafit, so.GroupLasso(lam, so.Groups.from_sizes(sizes), weights=weights))


def points(problem, rng, scale):
    """Zero, a solution, and points near and far from it."""
    solution = so.solve(problem, FISTA(), tol=1e-13, max_iter=2000, throw=False).w
    noise = rng.standard_normal(len(solution)) * scale
    return [0 * solution, solution, solution + 1e-6 * noise, solution + noise]


def assert_encloses(problem, w, width):
    """lower <= exact gap at the best multiple <= upper, and tight."""
    certificate = so.certify.duality_gap(problem, w)
    exact, objective = exact_gap(problem, w)
    assert Fraction(certificate.upper) >= exact
    assert Fraction(certificate.lower) <= exact
    assert Fraction(certificate.upper) - Fraction(certificate.lower) <= Fraction(width) * objective
    scale = max(objective, abs(objective - exact_gap(problem, 0 * w)[1]))
    assert scale * Fraction(1 - width) <= Fraction(certificate.scale) <= scale


@given(seed=st.integers(0, 2**32 - 1))
def test_the_enclosure_holds_in_rational_numbers(seed):
    problem = small_problem(seed)
    for w in points(problem, np.random.default_rng(seed), 1.0):
        assert_encloses(problem, w, 1e-11)


@pytest.mark.parametrize(
    ("log_X", "log_y"), [(-140, 0), (140, 0), (0, -120), (0, 140), (-70, -70), (70, 70), (100, -100)]
)
def test_the_enclosure_holds_at_extreme_scales(log_X, log_y):
    for seed in range(8):
        problem = small_problem(seed, 10.0**log_X, 10.0**log_y)
        for w in points(problem, np.random.default_rng(seed), 10.0 ** (log_y - log_X)):
            assert_encloses(problem, w, 1e-10)


def test_ill_conditioned_data_only_widen_the_enclosure():
    rng = np.random.default_rng(0)
    for seed in range(10):
        base = random_problem(seed, n=6)
        columns = [
            base.X * np.geomspace(1e-6, 1e6, 8),
            base.X @ rng.standard_normal((8, 1)) + 1e-9 * base.X,
            base.X + 1e5,
        ]
        for X in columns:
            problem = so.Problem(X, so.LeastSquares(base.datafit.y + 1e4, intercept=seed % 2 == 0), base.penalty)
            problem = problem.with_lam(0.2 * so.lambda_max(problem))
            w = so.solve(problem, FISTA(), tol=1e-8, max_iter=300, throw=False).w
            certificate = so.certify.duality_gap(problem, w)
            exact, _ = exact_gap(problem, w)
            assert Fraction(certificate.upper) >= exact >= Fraction(certificate.lower)


# --- verdicts


@pytest.mark.parametrize("seed", range(12))
def test_solutions_are_proved_and_wrong_points_are_not(seed):
    problem = random_problem(seed, intercept=seed % 2 == 0, sample_weight=np.linspace(0.1, 2, 12) if seed % 3 else None)
    w = so.solve(problem, FISTA(), tol=1e-10).w
    certificate = so.certify.duality_gap(problem, w)
    assert certificate.proved
    assert certificate.verdict == "proved"
    assert 0 <= certificate.lower <= certificate.upper <= 1e-6 * certificate.scale
    wrong = [w + 0.05, 1.05 * w, 0 * w, np.where(np.arange(8) == np.argmax(np.abs(w)), 0, w), -w, 1e6 * w, 1e-9 * w]
    for point in wrong:
        refuted = so.certify.duality_gap(problem, point)
        assert refuted.verdict == "refuted", refuted
        assert refuted.lower > 1e-6 * refuted.scale
        assert "solve more accurately" in refuted.reason


def test_the_solution_for_another_strength_is_refuted():
    problem = random_problem(0)
    w = so.solve(problem, tol=1e-10).w
    for factor in (0.9, 0.99, 1.01, 1.1, 10.0):
        assert so.certify.duality_gap(problem.with_lam(factor * problem.penalty.lam), w).verdict == "refuted"


def test_a_tolerance_within_the_enclosure_is_undecided():
    problem = random_problem(0)
    w = so.solve(problem, FISTA(), tol=1e-14, throw=False).w
    bounds = so.certify.duality_gap(problem, w)
    certificate = so.certify.duality_gap(problem, w, tol=(bounds.lower + bounds.upper) / 2 / bounds.scale)
    assert certificate.verdict == "undecided"
    assert "use a larger tol" in certificate.reason
    assert so.certify.duality_gap(problem, w, tol=1e-12).proved


def test_zero_is_proved_from_lambda_max_on():
    problem = random_problem(0)
    top = so.lambda_max(problem)
    assert so.certify.duality_gap(problem.with_lam(1.000001 * top), np.zeros(8), tol=1e-10).proved
    assert so.certify.duality_gap(problem.with_lam(0.99 * top), np.zeros(8), tol=1e-6).verdict == "refuted"


@pytest.mark.parametrize("intercept", [False, True])
def test_a_vanishing_objective_has_scale_one(intercept):
    X, y = random_problem(0).X, np.full(12, 3.3 if intercept else 0.0)
    problem = so.Problem(X, so.LeastSquares(y, intercept=intercept), random_problem(0).penalty)
    certificate = so.certify.duality_gap(problem, np.zeros(8))
    assert certificate.proved
    assert certificate.scale == 1
    assert so.certify.duality_gap(problem, np.full(8, 1e-3)).verdict == "refuted"


@pytest.mark.parametrize("scale", [1e-140, 1e-160])
def test_objectives_near_underflow_are_never_proved_by_accident(scale):
    problem = random_problem(0)
    tiny = so.Problem(problem.X, so.LeastSquares(scale * problem.datafit.y), problem.penalty)
    tiny = tiny.with_lam(0.3 * so.lambda_max(tiny))
    for w in (np.zeros(8), np.full(8, scale), np.full(8, 1.0)):
        assert not so.certify.duality_gap(tiny, w).proved


def test_overflow_is_undecided():
    problem = so.Problem(np.eye(2), so.LeastSquares([1e200, 1.0]), so.GroupLasso(1.0, so.Groups.uniform(2, 1)))
    certificate = so.certify.duality_gap(problem, np.array([1e200, 0.0]))
    assert certificate.verdict == "undecided"
    assert certificate.upper == np.inf


@pytest.mark.parametrize("sample_weight", [1e-310, 1e300])
def test_the_unit_of_the_sample_weights_does_not_matter(sample_weight):
    problem = random_problem(0)
    other = so.Problem(problem.X, so.LeastSquares(problem.datafit.y, np.full(12, sample_weight)), problem.penalty)
    w = so.solve(problem, tol=1e-9).w
    assert so.certify.duality_gap(other, w).upper == pytest.approx(so.certify.duality_gap(problem, w).upper, abs=1e-13)


# --- quadratics


def exact_quadratic_objective(H, b, lam, groups, w):
    from reference import dot, exact_group_norms, exact_matrix, fractions

    A, b, w = exact_matrix(H), fractions(b), fractions(w)
    value = dot(w, [dot(row, w) for row in A]) / 2 - dot(b, w)
    return value + Fraction(lam) * sum(exact_group_norms(groups, w), Fraction(0))


@given(seed=st.integers(0, 2**32 - 1), log_condition=st.integers(0, 12))
def test_quadratics_are_proved_at_the_solution_and_bound_every_competitor(seed, log_condition):
    """No point may be lower than objective(w) - upper, here in rational numbers."""
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes([2, 1, 1])
    V = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    H = V @ np.diag(np.geomspace(10.0**-log_condition, 1, 4)) @ V.T
    H, b = (H + H.T) / 2, rng.standard_normal(4)
    problem = so.Problem.quadratic(H, b, so.GroupLasso(1.0, groups, weights="none"))
    problem = problem.with_lam(float(rng.uniform(0.1, 1.2)) * so.lambda_max(problem))
    solution = so.solve(problem, FISTA(), tol=1e-10, max_iter=300, throw=False).w
    best = exact_quadratic_objective(H, b, problem.penalty.lam, groups, solution)
    for w in (solution, solution + 1e-3 * rng.standard_normal(4), np.zeros(4)):
        certificate = so.certify.duality_gap(problem, w)
        value = exact_quadratic_objective(H, b, problem.penalty.lam, groups, w)
        assert certificate.upper == np.inf or value - best <= Fraction(certificate.upper)
        if problem.gap(w) > 1e-3 * abs(float(value)) and certificate.scale != 1:
            assert not certificate.proved
    if log_condition <= 2:
        assert so.certify.duality_gap(problem, solution, tol=1e-7).proved


@pytest.mark.parametrize(
    ("H", "b"),
    [
        (np.diag([1.0, 0.0, 2.0]), [1.0, 0.0, 1.0]),
        (np.diag([1.0, 0.0, 2.0]), [1.0, 0.5, 1.0]),
        (np.ones((3, 3)), [1.0, 1.0, 1.0]),
        (np.zeros((3, 3)), [1.0, 0.5, 0.1]),
    ],
)
def test_singular_quadratics_are_undecided_or_right(H, b):
    problem = so.Problem.quadratic(H, b, so.GroupLasso(1.0, so.Groups.uniform(3, 1)))
    top = so.lambda_max(problem)
    rng = np.random.default_rng(0)
    for ratio in (0.3, 0.9, 1.0, 1.5):
        at = problem.with_lam(ratio * top)
        solution = so.solve(at, FISTA(), tol=1e-10, max_iter=500, throw=False).w
        for w in (solution, np.zeros(3), solution + 1e-2 * rng.standard_normal(3)):
            certificate = so.certify.duality_gap(at, w)
            competitors = [solution, *(10.0**k * rng.standard_normal(3) for k in range(-3, 6))]
            best = min(at.objective(c) for c in competitors)
            if certificate.proved:
                assert at.objective(w) - best <= 2e-6 * certificate.scale
    assert so.certify.duality_gap(problem.with_lam(1.5 * top), np.zeros(3)).proved


def test_a_quadratic_that_is_not_convex_is_never_proved():
    """The constructor lets a negative eigenvalue of rounding size pass, and the objective is unbounded below."""
    H = np.array([[1.0, 1.0], [1.0, np.nextafter(1, 0)]])
    problem = so.Problem.quadratic(H, [0.5, 0.5], so.GroupLasso(0.6, so.Groups.uniform(2, 1)))
    assert not so.certify.duality_gap(problem, np.zeros(2)).proved


def test_what_has_no_certificate():
    problem = random_problem(0)

    class OwnDatafit(so.LeastSquares):
        """A subclass may be another function, so nothing is said about it."""

    with pytest.raises(ValueError, match="OwnDatafit has no certificate"):
        so.certify.duality_gap(so.Problem(problem.X, OwnDatafit(problem.datafit.y), problem.penalty), np.zeros(8))
    with pytest.raises(ValueError, match="is not convex"):
        so.certify.duality_gap(problem.with_penalty(so.GroupLq(0.1, problem.penalty.groups)), np.zeros(8))
