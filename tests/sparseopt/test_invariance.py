"""The same problem written in another way has the same solution; gaps say how close two solutions must be."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, WITH_INTERCEPT, datafit, penalty
from scipy import sparse

import sparseopt as so
from sparseopt._native import reading

PAIRS = [(loss, loss in WITH_INTERCEPT) for loss in LOSSES]
EVERY_LOSS = pytest.mark.parametrize(("loss", "intercept"), PAIRS)
CONVEX = ["GroupLasso", "SparseGroupLasso", "GroupElasticNet", "positive"]
TOL = 1e-9
GROUPS = so.Groups.from_sizes([2, 1, 3, 2])
RATIO = 0.2


def made(loss: str, name: str, intercept: bool, *, seed: int = 0, n: int = 20) -> so.Problem:
    X = np.random.default_rng(seed).standard_normal((n, GROUPS.n_features))
    fit = datafit(loss, seed, intercept=intercept, n=n)
    problem = so.Problem(X, fit, penalty(name, GROUPS))
    return problem.with_lam(RATIO * so.lambda_max(problem.with_penalty(so.GroupLasso(1.0, GROUPS))))


def optimum(problem: so.Problem, **options) -> tuple[float, float]:
    """Objective and the certified gap: the minimum is between objective - gap and objective."""
    result = so.solve(problem, tol=TOL, **options)
    proof = so.certify.duality_gap(problem, result.latent, tol=1e-7)
    assert proof.verdict == "proved", proof.reason
    return result.objective, proof.upper


def same_minimum(one: so.Problem, two: so.Problem, factor: float = 1.0) -> None:
    """min two = factor * min one, to the sum of the gaps and the rounding error of evaluating the objectives."""
    (a, gap_a), (b, gap_b) = optimum(one), optimum(two)
    rounding = 1e-12 * max(abs(b), abs(two.objective(np.zeros(two.w_shape))))
    assert abs(b - factor * a) <= factor * gap_a + gap_b + rounding


def with_samples(fit, rows, factor=1.0):
    """The datafit of the samples `rows`, which may repeat, with weights times `factor`."""
    options = {"sample_weight": fit.sample_weight[rows] * factor, "offset": fit.offset[rows]}
    options |= {"intercept": True} if fit.fit_intercept else {}
    if isinstance(fit, so.Cox):
        return so.Cox(fit.time[rows], fit.event[rows], fit.ties, **options)
    if isinstance(fit, so.MultiResponse):
        return so.MultiResponse(fit.Y[rows], **options)
    if isinstance(fit, so.Multinomial):
        return so.Multinomial(fit.y[rows], n_classes=fit.n_outputs, **options)
    return (
        so.Huber(fit.y[rows], fit.delta, **options) if isinstance(fit, so.Huber) else type(fit)(fit.y[rows], **options)
    )


@pytest.mark.sample(every=5)
@EVERY_LOSS
@pytest.mark.parametrize("name", CONVEX)
def test_permuted_columns_and_groups(loss, intercept, name):
    problem = made(loss, name, intercept)
    order = np.random.default_rng(1).permutation(GROUPS.n_features)
    relabelled = np.random.default_rng(2).permutation(GROUPS.n_groups)
    weights = np.empty(GROUPS.n_groups)
    weights[relabelled] = problem.penalty.weights
    groups = so.Groups.from_labels(relabelled[GROUPS.labels[order]])
    options = {"positive": True} if name == "positive" else {}
    options |= {"l1_ratio": 0.4} if name == "SparseGroupLasso" else {}
    options |= {"l2": problem.penalty.l2} if name == "GroupElasticNet" else {}
    other = type(problem.penalty)(problem.penalty.lam, groups, weights=weights, **options)
    same_minimum(problem, so.Problem(problem.X[:, order], problem.datafit, other))


@pytest.mark.sample(every=7)
@EVERY_LOSS
@pytest.mark.parametrize("name", ["GroupLasso", "SparseGroupLasso", "positive"])
def test_scaled_design_and_strength(loss, intercept, name):
    """X c and lam c have the coefficients w / c and the same objective."""
    problem = made(loss, name, intercept)
    for c in (1e-6, 0.3, 1e6):
        other = so.Problem(c * problem.X, problem.datafit, problem.penalty.with_lam(c * problem.penalty.lam))
        same_minimum(problem, other)


def test_scaled_target_and_strength():
    """y c and lam c have the coefficients c w and the objective c^2 times as large."""
    problem = made("LeastSquares", "GroupLasso", True)
    fit = problem.datafit
    for c in (1e-8, 7.0, 1e8):
        scaled = so.LeastSquares(c * fit.y, fit.sample_weight, c * fit.offset, intercept=True)
        other = so.Problem(problem.X, scaled, problem.penalty.with_lam(c * problem.penalty.lam))
        same_minimum(problem, other, factor=c * c)


@EVERY_LOSS
def test_repeated_samples_are_weights(loss, intercept):
    if loss == "CoxEfron":
        pytest.skip("Efron's correction treats duplicates as ties, so that a weight of 2 is something else")
    problem = made(loss, "GroupLasso", intercept)
    copies = np.random.default_rng(3).integers(0, 4, 20)
    copies[:3] = 1  # every class and an event stay
    rows = np.repeat(np.arange(20), copies)
    repeated = so.Problem(problem.X[rows], with_samples(problem.datafit, rows), problem.penalty)
    same_minimum(repeated, so.Problem(problem.X, with_samples(problem.datafit, np.arange(20), copies), problem.penalty))


@EVERY_LOSS
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
def test_dense_and_sparse(loss, intercept, form):
    problem = made(loss, "GroupLasso", intercept)
    X = problem.X * (np.random.default_rng(4).uniform(size=problem.X.shape) < 0.5)
    same_minimum(*(so.Problem(A, problem.datafit, problem.penalty) for A in (X, form(X))))


@EVERY_LOSS
def test_float32_and_float64(loss, intercept):
    """The float32 matrix is the exact one of both problems."""
    problem = made(loss, "GroupLasso", intercept)
    X = problem.X.astype(np.float32)
    same_minimum(*(so.Problem(A, problem.datafit, problem.penalty) for A in (X, np.asfortranarray(X, np.float64))))


@pytest.mark.sample(every=5)
@EVERY_LOSS
@pytest.mark.parametrize("name", CONVEX)
def test_cold_and_warm(loss, intercept, name):
    problem = made(loss, name, intercept)
    near = so.solve(problem.with_lam(1.2 * problem.penalty.lam), tol=1e-4).w
    far = np.abs(np.random.default_rng(5).standard_normal(problem.w_shape))
    (cold, gap), *warm = (optimum(problem, w0=w0) for w0 in (None, near, far))
    for value, other in warm:
        assert abs(value - cold) <= gap + other + 1e-12 * abs(cold)


@EVERY_LOSS
def test_the_default_and_the_python_loop(loss, intercept):
    problem = made(loss, "GroupLasso", intercept)
    (a, gap), (b, other) = optimum(problem), optimum(problem, solver=so.solvers.FISTA())
    assert abs(a - b) <= gap + other + 1e-12 * abs(a)


@pytest.mark.parametrize("form", [np.asfortranarray, sparse.csc_array])
@pytest.mark.parametrize("loss", ["LeastSquares", "Logistic", "MultiResponse"])
def test_one_and_two_threads_are_identical_to_the_bit(form, loss, monkeypatch):
    monkeypatch.setattr(reading, "ENTRIES_PER_THREAD", 1)
    rng = np.random.default_rng(0)
    X = form(rng.standard_normal((60, 300)) * (rng.uniform(size=(60, 300)) < 0.3))
    problem = so.Problem(X, datafit(loss, n=60), so.GroupLasso(1.0, so.Groups.uniform(100, 3)))
    problem = problem.with_lam(0.1 * so.lambda_max(problem))
    one, two = (so.solve(problem, so.solvers.GroupBCD(threads=threads), tol=TOL) for threads in (1, 2))
    assert one.w.any()
    assert one.w.tobytes() == two.w.tobytes()
    assert (one.objective, one.gap) == (two.objective, two.gap)
