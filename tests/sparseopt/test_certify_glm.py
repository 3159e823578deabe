"""Certificates of every loss with every convex penalty, at three levels, against each other and against bad points."""

from __future__ import annotations

import builtins
from fractions import Fraction

import numpy as np
import pytest
from glm import LOSSES, PENALTIES, WITH_INTERCEPT, datafit, problem
from scipy import sparse

import sparseopt as so
from sparseopt.certify import arithmetic
from sparseopt.certify.interval import Interval
from sparseopt.certify.rational import Rational
from sparseopt.unpenalised import refit

flint = pytest.importorskip("flint", reason="python-flint is not installed")

PAIRS = [(loss, name, False) for loss in LOSSES for name in PENALTIES]
PAIRS += [(loss, name, True) for loss in WITH_INTERCEPT for name in PENALTIES]
EVERY_PAIR = pytest.mark.parametrize(("loss", "name", "intercept"), PAIRS)
EXACT = ["LeastSquares", "MultiResponse"]


def near_solution(made, size, seed=0):
    w = so.solve(made, so.solvers.FISTA(), tol=1e-11, max_iter=30_000, throw=False).w
    move = size * np.random.default_rng(seed).standard_normal(w.shape) * (w != 0)
    return np.maximum(w + move, 0) if getattr(made.penalty, "positive", False) else w + move


@pytest.mark.sample(every=7)
@EVERY_PAIR
def test_solutions_are_proved_and_bad_points_are_refuted(loss, name, intercept):
    made = problem(loss, name, seed=2, intercept=intercept)
    w = near_solution(made, 0.0)
    proved = so.certify.duality_gap(made, w, tol=1e-9)
    assert proved.verdict == "proved", proved.reason
    assert 0 <= proved.lower <= proved.upper <= 1e-9 * proved.scale
    assert made.gap(w) <= proved.upper + 1e-13
    bad = near_solution(made, 0.3)
    assert so.certify.duality_gap(made, bad, tol=1e-6).verdict == "refuted"


@pytest.mark.sample(every=13)
@EVERY_PAIR
def test_the_levels_agree(loss, name, intercept):
    """The dual points differ by the rounding of their multiple, so that the gaps agree to 1e-12 of the scale."""
    made = problem(loss, name, seed=3, intercept=intercept)
    for size in (0.0, 1e-4, 0.1):
        w = near_solution(made, size)
        levels = ["float", "ball"] + (["exact"] if loss in EXACT else [])
        found = [so.certify.duality_gap(made, w, tol=1e-9, level=level) for level in levels]
        slack = 1e-11 * found[0].scale
        for certificate in found[1:]:
            assert certificate.lower >= found[0].lower - slack
            assert certificate.upper <= found[0].upper + slack
            assert certificate.upper - certificate.lower <= 1e-13 * certificate.scale
        assert abs(made.gap(w) - found[1].upper) <= 1e-9 * found[1].scale + 1e-6 * found[1].upper


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gap_bounds_the_distance_to_every_competitor(loss):
    """Weak duality in ball arithmetic: no point is lower than the objective less the certified gap."""
    made = problem(loss, "GroupLasso", seed=4)
    w = near_solution(made, 0.05)
    lowest = made.objective(w) - so.certify.duality_gap(made, w, level="ball").upper
    rng = np.random.default_rng(0)
    best = near_solution(made, 0.0)
    for scale in (0.0, 1e-3, 0.1, 1.0):
        assert made.objective(best + scale * rng.standard_normal(best.shape)) >= lowest - 1e-13


@pytest.mark.parametrize("level", ["float", "ball", "exact"])
@pytest.mark.parametrize("name", ["GroupLasso", "SparseGroupLasso", "GroupElasticNet", "unpenalised group", "positive"])
def test_quadratics_at_every_level(name, level):
    rng = np.random.default_rng(5)
    A = rng.standard_normal((9, 6))
    groups = so.Groups.from_sizes([2, 1, 3])
    from glm import penalty

    made = so.Problem.quadratic(A.T @ A / 9, A.T @ rng.standard_normal(9) / 9, penalty(name, groups))
    made = made.with_lam(0.3 * so.lambda_max(made))
    w = near_solution(made, 0.0)
    assert so.certify.duality_gap(made, w, tol=1e-8, level=level).verdict == "proved"
    assert so.certify.duality_gap(made, near_solution(made, 0.2), tol=1e-6, level=level).verdict == "refuted"


@pytest.mark.parametrize("loss", LOSSES)
def test_zero_is_proved_from_lambda_max_on(loss):
    made = problem(loss, "GroupLasso", ratio=1 + 1e-9)
    assert so.certify.duality_gap(made, np.zeros(made.w_shape), tol=1e-8).proved


@pytest.mark.parametrize("loss", LOSSES)
def test_sparse_and_dense_designs_get_the_same_certificate(loss):
    made = problem(loss, "SparseGroupLasso", seed=6)
    w = near_solution(made, 1e-3)
    twin = so.Problem(sparse.csc_array(made.X), made.datafit, made.penalty)
    one, two = so.certify.duality_gap(made, w), so.certify.duality_gap(twin, w)
    assert one.upper == pytest.approx(two.upper, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_offsets_and_columns_of_any_size_only_widen_the_enclosure(loss):
    made = problem(loss, "GroupLasso", seed=7, plain=True)
    X = made.X * np.array([1e-6, 1e6, 1.0, 1e3, 1e-3, 1.0])
    wild = so.Problem(X, datafit(loss, 7, plain=True), made.penalty)
    w = np.zeros(wild.w_shape)
    certificate = so.certify.duality_gap(wild, w, level="float")
    reference = so.certify.duality_gap(wild, w, level="ball")
    assert certificate.lower <= reference.upper * (1 + 1e-9)
    assert reference.lower <= certificate.upper * (1 + 1e-9)


def test_one_class_or_no_count_has_the_infimum_zero():
    X = np.random.default_rng(0).standard_normal((6, 2))
    penalty = so.GroupLasso(0.1, so.Groups.uniform(2, 1))
    for fit in (so.Logistic(np.ones(6), intercept=True), so.Poisson(np.zeros(6), intercept=True)):
        made = so.Problem(X, fit, penalty)
        assert so.certify.duality_gap(made, np.zeros(2)).upper == 0
        assert so.certify.duality_gap(made, np.ones(2), tol=1e-6).verdict == "refuted"
    absent = so.Problem(X, so.Multinomial([0, 1, 0, 1, 0, 1], n_classes=3, intercept=True), penalty)
    w = so.solve(absent, so.solvers.FISTA(), tol=1e-10).w
    assert so.certify.duality_gap(absent, w, tol=1e-8).proved


def with_free_columns(columns) -> so.Problem:
    """Logistic loss with these unpenalised columns and a penalised one."""
    rng = np.random.default_rng(0)
    X = np.c_[columns, rng.standard_normal(len(columns))]
    groups = so.Groups.from_sizes([X.shape[1] - 1, 1])
    penalty = so.GroupLasso(0.1, groups, weights=[0.0, 1.0])
    return so.Problem(X, so.Logistic(np.arange(len(X)) % 2), penalty)


def dependent(kind: str) -> np.ndarray:
    """Two columns, whose sum is a float, and a third that they span."""
    A = np.round(2**20 * np.random.default_rng(1).standard_normal((9, 2))) / 2**20
    return np.c_[A, {"zero": 0 * A[:, 0], "twice": A[:, 1], "sum": A.sum(axis=1)}[kind]]


@pytest.mark.parametrize("level", ["float", "ball"])
@pytest.mark.parametrize("kind", ["zero", "twice", "sum"])
def test_dependent_unpenalised_columns_are_left_out(kind, level):
    """They span nothing new, which fractions show; the dual point is orthogonal to them because it is to the others."""
    made = with_free_columns(dependent(kind))
    w = so.solve(made, tol=1e-10).w
    certificate = so.certify.duality_gap(made, w, tol=1e-8, level=level)
    assert certificate.proved, certificate.reason
    assert so.certify.duality_gap(made, w + 0.1, tol=1e-8, level=level).verdict == "refuted"


def test_more_unpenalised_columns_than_samples():
    """They fit y exactly, and the dual point is 0."""
    made = with_free_columns(np.random.default_rng(2).integers(-2, 3, (4, 7)).astype(float))
    made = so.Problem(made.X, so.LeastSquares([1.0, 2.0, -1.0, 0.5]), made.penalty)
    w = np.r_[np.linalg.lstsq(made.X[:, :-1], made.datafit.y, rcond=None)[0], 0.0]
    certificate = so.certify.duality_gap(made, w, tol=1e-12)
    assert certificate.proved, certificate.reason


def test_nearly_dependent_unpenalised_columns_are_undecided():
    x = np.random.default_rng(0).standard_normal(9)
    certificate = so.certify.duality_gap(with_free_columns(np.c_[x, np.nextafter(x, 9)]), np.zeros(3))
    assert certificate.verdict == "undecided"
    assert "but for rounding errors" in certificate.reason


@pytest.mark.parametrize("name", ["LeastSquares", "Logistic", "Poisson", "Breslow"])
def test_columns_that_depend_on_each_other_but_for_rounding_errors_fit_more(name):
    """So the certificate of a solution without these is refuted, rightly, and says why; exact multiples are proved."""
    rng = np.random.default_rng(1)
    x, times = rng.standard_normal(20), rng.permutation(20) + 1.0
    loss = {
        "LeastSquares": so.LeastSquares(times),
        "Logistic": so.Logistic(times % 2),
        "Poisson": so.Poisson(times),
        "Breslow": so.Cox(times, times % 3 > 0),
    }[name]
    made = so.Problem(np.c_[x, 0.7 * x, times**2], loss, with_free_columns(np.c_[x, x]).penalty)
    w = so.solve(made.with_lam(1e6)).w
    certificate = so.certify.duality_gap(made.with_lam(1e6), w, level="ball")
    assert certificate.verdict != "proved"
    assert "but for rounding errors" in certificate.reason
    errors = np.array([float(2**60 * (Fraction(a * 0.7) - Fraction(a) * Fraction(0.7))) for a in x])
    better, fitted = refit(loss, np.c_[x, errors], np.zeros(20))
    assert fitted
    assert loss.value(better) < made.objective(w) - 1e-6 * certificate.scale
    doubled = so.Problem(np.c_[x, 2 * x, times**2], loss, made.penalty.with_lam(1e6))
    assert so.certify.duality_gap(doubled, so.solve(doubled).w, level="ball").proved


@pytest.mark.parametrize("level", ["float", "ball"])
def test_huber_with_all_residuals_beyond_delta(level):
    """No sample bends the loss, so that a projection onto the intercept moves all of them, by rounding errors."""
    y = np.array([-900.0, 1100.0, -1300.0, 800.0])
    X = np.array([[1.0, 2.0], [1.5, -1.0], [-0.5, 1.0], [2.0, 0.5]])
    made = so.Problem(X, so.Huber(y, 0.1, intercept=True), so.GroupLasso(1.0, so.Groups.uniform(1, 2)))
    for fit in (made.datafit, so.Huber(y, 0.1, sample_weight=[1, 2, 3, 2], intercept=True)):
        at = so.Problem(X, fit, made.penalty)
        certificate = so.certify.duality_gap(at, np.zeros(2), tol=1e-9, level=level)
        assert certificate.proved, certificate.reason
    assert so.certify.duality_gap(made.with_lam(1e-3), np.zeros(2), tol=1e-9, level=level).verdict == "refuted"


def test_points_outside_the_domain_of_the_penalty_are_refuted():
    made = problem("Huber", "positive")
    assert so.certify.duality_gap(made, -np.ones(6)).verdict == "refuted"
    forced = problem("Huber", "forced out")
    assert so.certify.duality_gap(forced, np.ones(6)).lower == np.inf


def test_a_wrong_dual_point_would_be_noticed(monkeypatch):
    """Power of the tests above: without the feasibility of the multiple the certificate contradicts the optimum."""
    made = problem("Logistic", "GroupLasso", seed=2)
    w = np.zeros(6)
    optimum = made.objective(near_solution(made, 0.0))
    monkeypatch.setattr("sparseopt.certify.penalty_terms.PenaltyTerms.multiple", lambda self, c: 1.0)
    wrong = so.certify.duality_gap(made, w)
    assert made.objective(w) - wrong.upper > optimum + 1e-6


def test_levels_that_do_not_fit_say_so(monkeypatch):
    made = problem("Logistic", "GroupLasso")
    with pytest.raises(ValueError, match='level "exact" needs rational values, which Logistic has not'):
        so.certify.duality_gap(made, np.zeros(6), level="exact")
    with pytest.raises(ValueError, match="level is 'double'"):
        so.certify.duality_gap(made, np.zeros(6), level="double")
    with pytest.raises(ValueError, match="has no certificate"):
        so.certify.duality_gap(so.Problem(made.X, OwnLoss(), made.penalty), np.zeros(6))
    real_import = builtins.__import__

    def without_flint(name, *args, **kwargs):
        if name == "flint":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_flint)
    with pytest.raises(ValueError, match=r'pip install "sparseopt\[certify\]"'):
        so.certify.duality_gap(made, np.zeros(6), level="ball")


class OwnLoss:
    """A datafit that no formula is known for."""

    n_samples, n_outputs, fit_intercept, smoothness_bound = 14, None, False, 1.0


def as_fractions(interval):
    return [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(interval.lo.flat, interval.hi.flat, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_intervals_contain_the_exact_results(seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal(30) * 10.0 ** rng.integers(-160, 150, 30) for _ in range(2))
    with np.errstate(all="ignore"):
        results = [
            (Interval.of(x) + y, [Fraction(a) + Fraction(b) for a, b in zip(x, y, strict=True)]),
            (Interval.of(x) * y, [Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)]),
            (Interval.of(x) / np.abs(y), [Fraction(a) / abs(Fraction(b)) for a, b in zip(x, y, strict=True)]),
        ]
        total = arithmetic.FloatArithmetic().sum(Interval.of(x))
    for interval, exact in results:
        for (lo, hi), value in zip(as_fractions_open(interval), exact, strict=True):
            assert lo <= value <= hi
    assert Fraction(float(total.lo)) <= sum(map(Fraction, x)) <= Fraction(float(total.hi))


def as_fractions_open(interval):
    big = Fraction(10) ** 400
    for a, b in zip(interval.lo.flat, interval.hi.flat, strict=True):
        yield (Fraction(float(a)) if np.isfinite(a) else -big), (Fraction(float(b)) if np.isfinite(b) else big)


@pytest.mark.parametrize("function", ["exp", "log", "sqrt"])
def test_library_functions_are_within_the_stated_bound(function):
    """Against 200-bit balls, over the whole range of the arguments."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.uniform(-740, 709, 2000), rng.standard_normal(500) * 1e-3]
    x = x if function == "exp" else np.r_[np.exp(x), 1 + x[-500:], 5e-324, 1e308]
    with np.errstate(all="ignore"):
        result = getattr(Interval.of(x), function)()
    with flint.ctx.workprec(200):
        for value, lo, hi in zip(x, result.lo, result.hi, strict=True):
            exact = getattr(flint.arb(float(value)), function)()
            assert flint.arb(float(lo)) <= exact <= flint.arb(float(hi))


def test_entropy_of_intervals():
    balls, floats = arithmetic.BallArithmetic(), arithmetic.FloatArithmetic()
    for lo, hi in [(0.0, 0.0), (0.0, 0.1), (0.0, 0.9), (0.2, 0.5), (0.3679, 2.0), (1e-300, 1e-299), (0.9, 1.0)]:
        found = floats.xlogx(Interval(lo, hi))
        for t in np.linspace(lo, hi, 50):
            value = t * np.log(t) if t > 0 else 0.0
            assert found.lo - 1e-300 <= value + 1e-15
            assert found.hi + 1e-15 >= value
        with balls.context():
            assert (
                balls.upper(balls.xlogx(balls.number(np.array([hi]))))[0] >= (hi * np.log(hi) if hi > 0 else 0) - 1e-15
            )


def test_rationals_enclose_roots_and_stay_exact_otherwise():
    third = Rational.point(1) / Rational.point(3)
    assert third.exact
    assert (third * 3 - 1).low == 0
    root = Rational.point(2).sqrt()
    assert root.low**2 < 2 < root.high**2
    assert root.high - root.low < Fraction(1, 2**190)
    assert Rational.point(0.1).floor() == Rational.point(0.1).ceil() == 0.1
    assert third.floor() < third.ceil()
    assert Rational.point(-3).limited(0.0, np.inf).low == 0


@pytest.mark.parametrize("seed", range(5))
def test_linear_systems_are_enclosed(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((9, 4)) * np.array([1, 1e3, 1e-4, 1.0])
    G, b = A.T @ A, rng.standard_normal((4, 1))
    floats, exact = arithmetic.FloatArithmetic(), arithmetic.RationalArithmetic()
    found = floats.solve(Interval.of(G), Interval.of(b))
    true = exact.solve(exact.number(G), exact.number(b))
    for k in range(4):
        assert Fraction(float(found.lo[k, 0])) <= true[k, 0].low <= Fraction(float(found.hi[k, 0]))
    with pytest.raises(arithmetic.Undecided, match="independent"):
        floats.solve(Interval.of(np.ones((2, 2))), Interval.of(np.ones((2, 1))))
