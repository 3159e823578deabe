"""Columns far from 0 without an intercept, whose terms in X w cancel: solved, and proved from w alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.finer_fit import cancels, finer_fit, finer_gap

GROUPS = so.Groups.uniform(4, 2)


def far(loss: str, mean: float, *, share: float = 0.1, seed: int = 0, dtype=np.float64) -> so.Problem:
    """Columns of unit variance around `mean`; the strength is that share of the one critical for centred columns."""
    rng = np.random.default_rng(seed)
    centred = rng.standard_normal((50, 8))
    X = (centred + mean).astype(dtype)
    signal = (X - dtype(mean)) @ rng.standard_normal((8, 3)) + 0.5 * rng.standard_normal((50, 3))
    datafit = {
        "LeastSquares": lambda: so.LeastSquares(signal[:, 0]),
        "Huber": lambda: so.Huber(signal[:, 0], 0.5),
        "Logistic": lambda: so.Logistic(signal[:, 0] > 0),
        "Poisson": lambda: so.Poisson(rng.poisson(np.exp(0.3 * signal[:, 0]))),
        "MultiResponse": lambda: so.MultiResponse(signal),
        "Multinomial": lambda: so.Multinomial(signal.argmax(axis=1)),
    }[loss]()
    lam = share * so.lambda_max(so.Problem(centred, datafit, so.GroupLasso(1.0, GROUPS)))
    return so.Problem(X, datafit, so.GroupLasso(lam, GROUPS))


LOSSES = ["LeastSquares", "Huber", "Logistic", "Poisson", "MultiResponse", "Multinomial"]


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("mean", [1e4, 1e6])
@pytest.mark.parametrize("loss", LOSSES)
def test_columns_far_from_zero_without_an_intercept_are_solved(loss, mean):
    """X w is off by 1e-16 mean, and the gradient by 1e-16 mean^2, 1e-2 to 1e-6 of lam, however near w is to optimal."""
    problem = far(loss, mean)
    result = so.solve(problem, max_iter=5)
    for level in ("float", "ball"):
        assert so.certify.duality_gap(problem, result.w, tol=1e-6, level=level).proved
    assert finer_gap(problem, result.w) < 1e-6 * problem.objective(0 * result.w)


@pytest.mark.parametrize(
    "penalise",
    [
        lambda lam: so.GroupElasticNet(lam, GROUPS, l2=lam / 10),
        lambda lam: so.GroupLasso(lam, GROUPS, positive=True),
    ],
)
def test_other_penalties_of_columns_far_from_zero(penalise):
    made = far("Logistic", 1e5)
    problem = made.with_penalty(penalise(made.penalty.lam))
    result = so.solve(problem, max_iter=20)
    assert so.certify.duality_gap(problem, result.w, level="ball").proved


def test_levels_agree_on_least_squares_far_from_zero():
    """Without a finer fit the first rounding errors of X w are multiplied by mean^2 / lam, at every level."""
    problem = far("LeastSquares", 1e5, share=0.3)
    w = so.solve(problem, max_iter=5).w
    for level in ("float", "ball", "exact"):
        assert so.certify.duality_gap(problem, w, level=level).proved


@pytest.mark.parametrize("loss", LOSSES)
def test_finer_fits_prove_nothing_of_other_points(loss):
    """The true distance to the minimum is below what is claimed, whatever point is asked about."""
    problem, rng = far(loss, 1e3), np.random.default_rng(1)
    best = so.solve(problem, tol=1e-8, max_iter=3)
    for size in (1e-9, 1e-6, 1e-3):
        w = best.w * (1 + size * rng.standard_normal(best.w.shape))
        certificate = so.certify.duality_gap(problem, w, tol=1e-12)
        above = problem.objective(w) - best.objective
        rounding = np.finfo(float).eps * float((np.abs(problem.X) @ np.abs(w)).max())  # of X w in both objectives
        assert above - rounding <= min(certificate.upper, finer_gap(problem, w))
        assert not certificate.proved or above <= 1e-12 * certificate.scale + rounding


def test_fits_are_finer_only_where_terms_cancel():
    problem = far("LeastSquares", 1e6)
    w = so.solve(problem).w
    assert cancels(problem, w)
    z = finer_fit(problem, w)
    assert 0 < np.abs(z - problem.product(w)).max() < 1e-7
    assert not cancels(problem, 0 * w)
    assert not cancels(far("LeastSquares", 1.0), w)
    for other in (
        so.Problem(sparse.csc_array(problem.X), problem.datafit, problem.penalty),
        so.Problem(problem.X, so.LeastSquares(problem.datafit.y, intercept=True), problem.penalty),
    ):
        assert not cancels(other, w)
        assert finer_gap(other, w) == np.inf
    assert finer_fit(problem.with_penalty(so.GroupMCP(1.0, GROUPS)), w) is None
    assert finer_fit(problem.with_penalty(so.GroupLasso(1.0, GROUPS, weights=[0, 1, 1, 1])), w) is None


def test_columns_in_single_precision_far_from_zero_are_solved():
    problem = far("LeastSquares", 1e3, dtype=np.float32)
    assert so.certify.duality_gap(problem, so.solve(problem).w).proved
