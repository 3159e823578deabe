"""Data as they come: the right answer with its certificate, or an error that says what to do; never a hang."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from glm import LOSSES, WITH_INTERCEPT, datafit
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.support_newton import _solved
from sparseopt.unpenalised import refit

LIMIT = 5.0
"""Seconds for one solve of these tiny problems: a status comes back by then whatever happens."""

PATIENCE = 60.0
"""Seconds for one that has to end with a proof, on a machine that is busy with other work."""

TOL = 1e-7


def outcome(problem: so.Problem, solver, limit: float = LIMIT) -> so.Result | Exception:
    """What a user gets: a solution or an exception, in time."""
    start = time.perf_counter()
    try:
        return so.solve(problem, solver, tol=TOL, time_limit=limit)
    except (so.NotConverged, ValueError) as error:
        return error
    finally:
        assert time.perf_counter() - start < 4 * limit + 4 * LIMIT


def answered(problem: so.Problem, solver=None, *, must: bool = True, limit: float | None = None) -> so.Result | None:
    """A proved solution; where it need not exist, NotConverged or ValueError with advice (then None)."""
    found = outcome(problem, solver, limit or (PATIENCE if must else LIMIT))
    if isinstance(found, so.Result):
        proof = so.certify.duality_gap(problem, found.latent, tol=10 * TOL)
        assert proof.verdict == "proved", proof.reason
        return found
    assert not must, found
    if isinstance(found, so.NotConverged):
        assert found.result.status.advice in str(found)
        assert found.result.status not in (so.Status.NONFINITE, so.Status.UNSTABLE), found
    else:
        assert len(str(found)) > 40  # what was given, what is allowed, what to try
    return None


def lasso(X, fit, sizes=None, ratio=0.2, **options) -> so.Problem:
    p = X.shape[1]
    groups = so.Groups.from_sizes(sizes) if sizes is not None else so.Groups.from_labels(np.arange(p) // 2)
    problem = so.Problem(X, fit, so.GroupLasso(1.0, groups, **options))
    return problem.with_lam(ratio * so.lambda_max(problem))


def design(n: int, p: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, p))


EVERY = pytest.mark.parametrize(("loss", "intercept"), [(x, x in WITH_INTERCEPT) for x in LOSSES])


@EVERY
def test_fewer_samples_than_coefficients(loss, intercept):
    result = answered(lasso(design(7, 40), datafit(loss, n=7, intercept=intercept)))
    assert result.w.any()


SINGLE = {
    "LeastSquares": lambda **o: so.LeastSquares([1.5], **o),
    "Huber": lambda **o: so.Huber([1.5], 0.6, **o),
    "Poisson": lambda **o: so.Poisson([2.0], **o),
    "Logistic": lambda **o: so.Logistic([1.0], **o),
    "Multinomial": lambda **o: so.Multinomial([1], n_classes=3, **o),
    "MultiResponse": lambda **o: so.MultiResponse([[1.0, -2.0, 0.5]], **o),
}


@pytest.mark.parametrize("loss", SINGLE)
def test_one_sample(loss):
    X = np.array([[1.0, -2.0, 0.5]])
    penalty = so.GroupLasso(1.0, so.Groups.from_sizes([1, 2]))
    problem = so.Problem(X, SINGLE[loss](), penalty)
    assert answered(problem.with_lam(0.2 * so.lambda_max(problem))).w.any()
    with_intercept = so.Problem(X, SINGLE[loss](intercept=True), penalty)
    assert not answered(with_intercept).w.any()  # the intercept alone fits
    with pytest.raises(ValueError, match="vanishes"):
        so.lambda_max(with_intercept)


@EVERY
def test_one_group_and_one_column(loss, intercept):
    for p in (1, 5):
        assert answered(lasso(design(20, p), datafit(loss, n=20, intercept=intercept), [p])).w.any()


@EVERY
def test_very_uneven_groups(loss, intercept):
    sizes = [1, 100, 1, 1, 30, 1]
    assert answered(lasso(design(25, sum(sizes)), datafit(loss, n=25, intercept=intercept), sizes)).w.any()


@EVERY
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_zero_columns_and_zero_groups_stay_zero(loss, intercept, form):
    X = design(20, 8)
    X[:, [1, 4, 5]] = 0  # a column of the first group, and the third group
    result = answered(lasso(form(X), datafit(loss, n=20, intercept=intercept)))
    assert result.w.any()
    assert not result.w[[1, 4, 5]].any()


@EVERY
def test_duplicate_columns_and_groups_cost_no_more_than_one(loss, intercept):
    """Columns twice in a group, and a group twice: the minimum is that without the second group."""
    X = design(20, 6)
    X[:, 1] = X[:, 0]
    fit = datafit(loss, n=20, intercept=intercept)
    one = lasso(X, fit)
    penalty = so.GroupLasso(one.penalty.lam, so.Groups.from_labels(np.arange(8) // 2))
    two = so.Problem(np.c_[X, X[:, :2]], fit, penalty)
    a, b = answered(one), answered(two)
    assert abs(a.objective - b.objective) <= 2 * TOL * max(abs(a.objective), abs(a.objective - one.objective(0 * a.w)))


def test_the_zero_design():
    problem = so.Problem(np.zeros((5, 4)), so.LeastSquares(np.arange(5.0)), so.GroupLasso(0.1, so.Groups.uniform(2, 2)))
    assert not answered(problem).w.any()
    with pytest.raises(ValueError, match="vanishes"):
        so.lambda_max(problem)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e9, 0.1])
def test_constant_targets(value):
    X, penalty = design(12, 4), so.GroupLasso(0.01, so.Groups.uniform(2, 2))
    for fit in (so.LeastSquares, so.Huber):
        assert not answered(so.Problem(X, fit(np.full(12, value), intercept=True), penalty)).w.any()
    constant = np.full((12, 2), value)
    assert not answered(so.Problem(X, so.MultiResponse(constant, intercept=True), penalty)).w.any()
    counts = np.round(np.minimum(np.full(12, value), 1e6))
    assert not answered(so.Problem(X, so.Poisson(counts, intercept=True), penalty)).w.any()


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ratio", [0.1, 1e-3, 1e-6])
def test_separable_labels(intercept, ratio):
    """The penalty keeps the coefficients finite, however small it is."""
    X = design(20, 4)
    X[:, 0] = np.linspace(-2, 2, 20)
    for fit in (
        so.Logistic(X[:, 0] > 0, intercept=intercept),
        so.Multinomial(np.digitize(X[:, 0], [-0.7, 0.7]), intercept=intercept),
    ):
        assert answered(lasso(X, fit, ratio=ratio)).w.any()


def test_separable_classes_do_not_stall():
    """A full Newton step on the support goes far beyond the solution, to where the loss has hardly any curvature."""
    X = design(40, 6)
    problem = lasso(X, so.Multinomial(np.digitize(X[:, 0], [-0.7, 0.7]), intercept=True), ratio=1e-5)
    assert so.solve(problem, tol=TOL, max_iter=4).gap <= TOL


def test_a_fit_of_unpenalised_columns_does_not_raise_the_loss():
    """With such offsets the probabilities are 0 and 1, and their Hessian is all rounding errors."""
    offset = [[1160.0, 820.0, 706.0], [-1108.0, -634.0, 1851.0], [1369.0, -1277.0, 975.0]]
    fit, columns = so.Multinomial(np.arange(3), offset=offset), np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    z, _ = refit(fit, columns, np.zeros((3, 3)))
    assert fit.value(z) <= fit.value(np.zeros((3, 3)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [2.0**-560, 2.0**560])
def test_only_the_span_of_unpenalised_columns_matters(scale):
    """The squares of these columns are 0 or infinite."""
    columns = design(15, 2)
    for fit in (so.LeastSquares(design(15, 1)[:, 0]), so.Poisson(np.arange(15) % 3), so.Logistic(np.arange(15) % 2)):
        expected, _ = refit(fit, columns, np.zeros(15))
        found, fitted = refit(fit, scale * columns, np.zeros(15))
        assert fitted
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_unpenalised_columns_where_the_loss_is_not_curved_at_the_start():
    """Huber's loss is quadratic at samples that the column does not touch, and linear at the others."""
    column = np.array([[1.0], [1.0], [1.0], [0.0], [0.0]])
    z, fitted = refit(so.Huber([10.0, 11.0, 15.0, 0.0, 0.0], delta=0.5), column, np.zeros(5))
    assert fitted
    np.testing.assert_allclose(z, 11 * column[:, 0])  # the slopes there are 1/2, 0 and -1/2


@pytest.mark.filterwarnings("error")
def test_bounds_and_steps_without_scale_warn_of_nothing():
    assert not _solved(np.zeros((2, 2)), np.ones(2), 1e-10).any()
    X = 1e-300 * design(4, 2)
    problem = so.Problem(X, so.Logistic([0, 1, 0, 1]), so.GroupLasso(1e200, so.Groups.uniform(1, 2)))
    for level in ("float", "ball"):
        assert so.certify.duality_gap(problem, np.zeros(2), level=level).proved


@EVERY
def test_just_below_lambda_max(loss, intercept):
    for ratio in (1 - 1e-4, 1 - 1e-9):
        problem = lasso(design(20, 8), datafit(loss, n=20, intercept=intercept), ratio=ratio)
        found = so.solve(problem, tol=1e-12)
        assert so.certify.duality_gap(problem, found.w, tol=1e-10).proved


def test_separable_labels_with_an_unpenalised_group():
    X = design(20, 4)
    penalty = so.GroupLasso(0.1, so.Groups.uniform(2, 2), weights=[0.0, 1.0])
    problem = so.Problem(X, so.Logistic(X[:, 0] > 0), penalty)
    with pytest.raises(ValueError, match=r"no finite fit .* penalise them too"):
        so.lambda_max(problem)
    result = answered(problem)  # the loss has the infimum 0, which the dual point 0 proves
    assert result.objective <= TOL * np.log(2)
    assert not result.w[2:].any()


def test_death_times_in_the_order_of_an_unpenalised_column():
    """The partial likelihood has no maximum."""
    X = design(12, 4)
    penalty = so.GroupLasso(0.1, so.Groups.from_sizes([1, 3]), weights=[0.0, 1.0])
    for ties in ("breslow", "efron"):
        problem = so.Problem(X, so.Cox(-X[:, 0], np.ones(12), ties), penalty)
        with pytest.raises(ValueError, match=r"no finite fit .* penalise them too"):
            so.lambda_max(problem)


@EVERY
@pytest.mark.parametrize("size", [1e-8, 1e-12, 1e-15])
def test_nearly_collinear_columns(loss, intercept, size):
    X = design(20, 6)
    X[:, 1] = X[:, 0] * (1 + size * X[:, 2])  # within a group
    X[:, 4] = X[:, 2] + size * X[:, 5]  # across groups
    assert answered(lasso(X, datafit(loss, n=20, intercept=intercept))).w.any()


@EVERY
def test_columns_over_twelve_orders_of_magnitude(loss, intercept):
    X = design(20, 8) * 10.0 ** np.linspace(-6, 6, 8)
    for ratio in (0.3, 1e-4):
        answered(lasso(X, datafit(loss, n=20, intercept=intercept), [1] * 8, ratio=ratio), must=ratio > 0.1)
    within = lasso(X, datafit(loss, n=20, intercept=intercept))
    answered(within)


@pytest.mark.parametrize("intercept", [False, True])
def test_counts_with_many_zeros(intercept):
    counts = np.zeros(20)
    counts[[3, 7]] = 1, 40
    assert answered(lasso(design(20, 6), so.Poisson(counts, intercept=intercept))).w.any()


def test_counts_of_zero_alone():
    X, penalty = design(20, 6), so.GroupLasso(0.01, so.Groups.uniform(3, 2))
    assert not answered(so.Problem(X, so.Poisson(np.zeros(20), intercept=True), penalty)).w.any()
    assert answered(so.Problem(X, so.Poisson(np.zeros(20)), penalty)).w.any()


@pytest.mark.parametrize("loss", WITH_INTERCEPT)
def test_huge_offsets_are_taken_by_the_intercept(loss):
    """A constant offset changes nothing but the intercept."""
    X, fit = design(20, 6), datafit(loss, n=20, intercept=True, plain=True)
    shape = (20,) if fit.n_outputs is None else (20, fit.n_outputs)
    with_offset = datafit(loss, n=20, intercept=True, plain=True, offset=np.full(shape, 2.0**30))
    one = lasso(X, fit)
    two = so.Problem(X, with_offset, one.penalty)
    a, b = answered(one), answered(two)
    np.testing.assert_allclose(b.objective, a.objective, rtol=1e-6)
    np.testing.assert_allclose(
        b.intercept, np.asarray(a.intercept) - (0 if loss == "Multinomial" else 2.0**30), atol=1e-3
    )


def test_huge_offsets_without_an_intercept_are_refused_or_solved():
    X = design(12, 4)
    for offset in (800.0, -800.0, 1e5, 1e200):
        for fit in (so.Poisson, so.Logistic, so.LeastSquares):
            y = np.arange(12) % 2
            problem = so.Problem(X, fit(y, offset=np.full(12, offset)), so.GroupLasso(0.1, so.Groups.uniform(2, 2)))
            answered(problem, must=False, limit=0.3)


@pytest.mark.parametrize("solver", [None, so.solvers.FISTA()])
def test_a_loss_that_overflows_at_zero_is_refused(solver):
    """Gaps are relative to it, so that none would be too large."""
    X = np.c_[-np.ones(12), design(12, 3)]
    fit = so.Poisson(np.arange(12) % 4, offset=np.full(12, 1000.0))
    problem = so.Problem(X, fit, so.GroupLasso(1e-3, so.Groups.uniform(2, 2)))
    for find in (so.lambda_max, so.solve_path, lambda one: so.solve(one, solver, w0=[990.0, 0, 0, 0])):
        with pytest.raises(ValueError, match=r"overflows .* fit an intercept"):
            find(problem)


def test_the_intercept_takes_offsets_whose_rates_overflow():
    spread = 1000 * (1 + design(20, 1)[:, 0])
    for sizes in ([2, 2], None):
        problem = lasso(design(20, 4), so.Poisson(np.arange(20) % 4, offset=spread, intercept=True), sizes)
        assert answered(problem).w.any()


@cache
def around_zero(loss: str) -> tuple[np.ndarray, so.Problem, so.Result]:
    """Columns with few digits, whose problem has an intercept, and its solution."""
    X = np.round(design(30, 6) * 2**16) / 2**16
    problem = lasso(X, datafit(loss, n=30, intercept=True, plain=True))
    return X, problem, so.solve(problem, tol=TOL)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("mean", [1e2, 1e5, 1e8, 1e10])
@pytest.mark.parametrize("solver", [None, so.solvers.FISTA(), so.solvers.ProximalGradient()])
@pytest.mark.parametrize("loss", WITH_INTERCEPT)
def test_columns_far_from_zero(mean, solver, loss):
    """With an intercept the means of the columns change nothing; the data are such that the sums are floats."""
    X, problem, expected = around_zero(loss)
    fit = problem.datafit
    moved = so.Problem(X + mean, fit, problem.penalty)
    found = so.solve(moved, solver, tol=TOL)
    assert found.objective == pytest.approx(expected.objective, rel=2e-6)
    assert so.certify.duality_gap(moved, found.w, tol=10 * TOL).proved
    fitted = X @ found.w + (found.intercept + mean * found.w.sum(axis=0))
    wanted = X @ expected.w + expected.intercept
    if loss == "Multinomial":
        fitted, wanted = (z - z.mean(axis=1, keepdims=True) for z in (fitted, wanted))
    np.testing.assert_allclose(fitted, wanted, atol=2e-3)


@pytest.mark.sample(every=7)
@EVERY
@pytest.mark.parametrize("solver", [None, so.solvers.FISTA(), so.solvers.ProximalGradient()])
def test_limits_return_with_a_status(loss, intercept, solver):
    problem = lasso(design(20, 30), datafit(loss, n=20, intercept=intercept), ratio=1e-3)
    start = time.perf_counter()
    timed = so.solve(problem, solver, tol=0.0, time_limit=0.1, max_iter=10**9, throw=False)
    assert time.perf_counter() - start < 10
    assert timed.status in (so.Status.TIME_LIMIT, so.Status.STALLED, so.Status.CONVERGED)
    short = so.solve(problem, solver, tol=0.0, max_iter=2, throw=False)
    assert short.n_iter <= 2
    assert np.isfinite(short.w).all()
    if short.status is so.Status.CONVERGED:  # two rounds of block descent, many sweeps each, can reach a gap of 0
        assert short.gap == 0.0
        assert so.certify.duality_gap(problem, short.w, tol=1e-10).verdict == "proved"
    else:
        assert short.status in (so.Status.MAX_ITER, so.Status.STALLED)
