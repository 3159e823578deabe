"""Columns over forty orders of magnitude: what a run calls converged, the certificate of its coefficients carries."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, PENALTIES, WITH_INTERCEPT, datafit, penalty
from scipy import sparse

import sparseopt as so
from sparseopt.certify.ball import Ball, of_columns
from sparseopt.range import rounding_may_decide

CELLS = [(loss, name, False) for loss in LOSSES for name in PENALTIES]
CELLS += [(loss, name, True) for loss in WITH_INTERCEPT for name in PENALTIES]
GROUPS = so.Groups.from_sizes([1, 3, 2])
TOL = 1e-6
RATIOS = {so.SparseGroupLasso: {"l1_ratio": 0.0}}


def wild(loss: str, name: str, seed: int, *, intercept: bool = False) -> so.Problem:
    """Columns scaled by up to 1e20 either way, all of them or about a third."""
    rng = np.random.default_rng([seed, LOSSES.index(loss), PENALTIES.index(name), intercept])
    scales = np.where(rng.uniform(size=6) < (1.0 if seed % 2 else 0.3), rng.uniform(-20, 20, 6), 0.0)
    X = rng.standard_normal((14, 6)) * 10**scales
    return so.Problem(X, datafit(loss, seed, intercept=intercept, plain=True), penalty(name, GROUPS))


def carried(problem: so.Problem) -> bool:
    """Whether the run says it converged; then its coefficients are proved."""
    result = so.solve(problem, tol=TOL, max_iter=30, time_limit=0.1, throw=False)
    if result.status is so.Status.CONVERGED:
        certificate = so.certify.duality_gap(problem, result.w, tol=TOL)
        assert certificate.proved, (certificate.reason, certificate.upper)
    return result.status is so.Status.CONVERGED


FEW = [
    ("LeastSquares", "unpenalised group", True),
    ("Logistic", "GroupElasticNet", False),
    ("Huber", "GroupLasso", True),
]
FEW += [
    ("Poisson", "SparseGroupLasso", False),
    ("MultiResponse", "GroupElasticNet", True),
    ("Cox", "forced out", False),
]


@pytest.mark.parametrize(
    ("loss", "name", "intercept"), [c if c in FEW else pytest.param(*c, marks=pytest.mark.slow) for c in CELLS]
)
def test_converged_is_proved_at_any_scale(loss, name, intercept):
    """At strengths near the critical one, and at one that knows nothing of the scale of the columns."""
    made = wild(loss, name, 1, intercept=intercept)
    carried(made.with_lam(0.05))
    if name != "positive" and (loss, name) != ("Multinomial", "unpenalised group"):  # those may have no critical one
        carried(made.with_lam(0.1 * so.lambda_max(made)))


def test_most_runs_at_any_scale_converge():
    made = [wild(loss, name, 1) for loss in ("LeastSquares", "Logistic") for name in ("GroupLasso", "GroupElasticNet")]
    assert all(carried(problem.with_lam(0.3 * so.lambda_max(problem))) for problem in made)


@pytest.mark.parametrize("name", ["GroupLasso", "GroupElasticNet"])
def test_a_gap_that_is_all_rounding_errors_is_not_converged(name):
    """At the last iterate the gradient of the large column cancels to 0, to 1e4 times what the penalty allows."""
    allowed = penalty(name, so.Groups.uniform(3, 2)).with_lam(0.05)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 6)) * np.where(np.arange(6) == 1, 1e20, 1.0)
    problem = so.Problem(X, so.LeastSquares(rng.standard_normal(20)), allowed)
    found = so.solve(problem, throw=False)
    assert not so.certify.duality_gap(problem, found.w, level="float").proved
    assert found.status is so.Status.STALLED
    assert "rescale the columns" in found.advice
    assert found.gap > TOL


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array, sparse.csr_matrix])
def test_products_with_columns_of_any_size_are_enclosed_tightly(form):
    X = np.array([[3e30, 1.0], [1e30, -2.0]])
    found = of_columns(form(X), Ball.exact(np.array([2e-30, 1.0])))
    assert (np.abs(found.mid - [7.0, 0.0]) <= found.rad).all()
    assert (found.rad <= 1e-14).all()


@pytest.mark.parametrize("penalise", [so.GroupLasso, so.SparseGroupLasso])
def test_unpenalised_columns_with_large_means_need_no_confirmation(penalise):
    """Their gradient at 0 is not small against a strength of 0; the a-priori bounds of the certificate are too wide."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 18)) + 10 ** rng.uniform(-1, 4, 18)
    y = X @ rng.standard_normal(18) + rng.standard_normal(60)
    made = penalise(1.0, so.Groups.uniform(6, 3), weights=[0, 1, 1, 1, 1, 1], **RATIOS.get(penalise, {}))
    problem = so.Problem(X, so.LeastSquares(y, intercept=True), made)
    problem = problem.with_lam(0.1 * so.lambda_max(problem))
    result = so.solve(problem, max_iter=20)
    assert so.certify.duality_gap(problem, result.w, level="ball").proved


@pytest.mark.parametrize("size", [1e25, 7e25, 1.1e24])
def test_the_conjugate_of_rounding_errors_counts_where_no_strength_is_critical(size):
    """The computed residual is 0, the true one 1e-17 of y, and so the gradient 1e8 where the penalty allows 1e-28."""
    problem = so.Problem(np.array([[size]]), so.LeastSquares([1.0]), so.KSupport(1e-3, so.Groups.uniform(1, 1), 1))
    found = so.solve(problem, max_iter=20, throw=False)
    assert problem.gradient(found.w)[0] == 0
    assert so.certify.duality_gap(problem, found.w, level="ball").verdict == "refuted"
    assert found.status is not so.Status.CONVERGED
    assert found.gap > TOL


def test_the_squared_k_support_norm_at_usual_scales_needs_no_certificate():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 6)) * 10.0 ** np.arange(-3, 3)
    problem = so.Problem(X, so.LeastSquares(rng.standard_normal(20)), so.KSupport(1e-2, so.Groups.uniform(3, 2), 2))
    assert not rounding_may_decide(problem, 1e-6)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
@pytest.mark.parametrize("outputs", [1, 2])
def test_nonnegative_coefficients_leave_zero_at_any_scale(scale, outputs):
    """The curvature along a block's gradient, of the size of scale^4, is not to be formed."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 6))
    Y = np.abs(X) @ np.abs(rng.standard_normal((6, outputs)))
    loss = so.LeastSquares(Y[:, 0]) if outputs == 1 else so.MultiResponse(Y)
    problem = so.Problem(scale * X, loss, so.GroupLasso(1.0, so.Groups.uniform(3, 2), positive=True))
    result = so.solve(problem.with_lam(0.1 * so.lambda_max(problem)), max_iter=20)
    assert result.w.any()


def test_a_gap_within_the_rounding_errors_of_offsets_is_not_converged():
    """Where X w + offset cancels, slopes have the rounding errors of the offset."""
    rng = np.random.default_rng(7)
    X, offset = rng.standard_normal((12, 8)), 1e3 * rng.standard_normal(12)
    fit = so.Logistic(X[:, 0] + rng.standard_normal(12) > 0, offset=offset)
    problem = so.Problem(X, fit, so.GroupLasso(1.0, so.Groups.uniform(4, 2)))
    problem = problem.with_lam(0.1 * so.lambda_max(problem))
    assert so.certify.duality_gap(problem, so.solve(problem, tol=1e-8).w, tol=1e-8).proved
    result = so.solve(problem, tol=1e-14, max_iter=10, throw=False)
    assert result.status is not so.Status.CONVERGED
    assert result.gap > 1e-14
