"""Eigenbases of the blocks of the descent: Jacobi's method for small and for ill-scaled ones, LAPACK for others."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.columns import kept_columns

SAMPLES = 80


def bases(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors [k, k] and eigenvalues [k] of X'X / n that a solve with X [n, k] as its only group leaves behind."""
    k = X.shape[1]
    y = X @ np.ones(k)
    penalty = so.GroupLasso(1e-3 * float(np.linalg.norm(X.T @ y)) / len(y), so.Groups.uniform(1, k))
    problem = so.Problem(X, so.LeastSquares(y), penalty)
    so.solve(problem, so.solvers.GroupBCD(), max_iter=1, throw=False)
    cache = kept_columns(problem)[1]
    return cache.basis[: k * k].reshape(k, k), cache.curvature[:k]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", [SAMPLES, 83, 1187])
@pytest.mark.parametrize("k", [2, 3, 5, 12, 13, 14, 33, 50, 64, 65])
def test_they_diagonalise_the_block(k, samples, dtype):
    X = np.asfortranarray(np.random.default_rng(k).standard_normal((samples, k)), dtype=dtype)
    V, d = bases(X)
    X = X.astype(float)
    gram = X.T @ X / samples
    np.testing.assert_allclose(V.T @ V, np.eye(k), atol=1e-13 * k)
    np.testing.assert_allclose(gram @ V, V * d, atol=1e-13 * k * d.max())


@pytest.mark.parametrize("k", [5, 20, 64])
def test_small_curvatures_of_short_columns_are_right(k):
    """Relative to themselves: a bound relative to the largest one, 1, would allow errors of 1e-4 in the smallest."""
    Q = np.linalg.qr(np.random.default_rng(k).standard_normal((SAMPLES, k)))[0]
    lengths = 10.0 ** -np.linspace(0, 6, k)
    _, d = bases(np.asfortranarray(np.sqrt(SAMPLES) * Q * lengths))
    np.testing.assert_allclose(np.sort(d)[::-1], lengths**2, rtol=1e-11)


@pytest.mark.parametrize("loss", [so.LeastSquares, so.Poisson])
@pytest.mark.parametrize("k", [13, 50])
def test_large_groups_are_solved(loss, k):
    rng = np.random.default_rng(k)
    X = rng.standard_normal((SAMPLES, 3 * k)) / np.sqrt(k)
    y = rng.poisson(np.exp(X[:, :k] @ rng.standard_normal(k) / 2)).astype(float)
    groups = so.Groups.uniform(3, k)
    problem = so.Problem(X, loss(y), so.GroupLasso(1.0, groups))
    problem = problem.with_penalty(so.GroupLasso(so.lambda_max(problem) / 3, groups))
    result = so.solve(problem, tol=1e-9)
    assert so.certify.duality_gap(problem, result.w, tol=2e-9).proved


PENALTIES = {
    "MCP": lambda groups: so.GroupMCP(0.01, groups),
    "SCAD": lambda groups: so.GroupSCAD(0.01, groups),
    "a free group": lambda groups: so.GroupLasso(0.01, groups, [1, 0, 1]),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 15, 70])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_directions_that_the_loss_does_not_see(penalty, k, seed):
    """Groups of at least n columns, whose means the intercept takes off: curvatures of rounding errors are none.

    Coefficients along such directions would be noise over noise; the fit is that of columns centred by hand.
    """
    rng = np.random.default_rng(seed)
    X, y = 3 + rng.standard_normal((5, 3 * k)), rng.standard_normal(5)
    X[:, 0] = 3.3  # and one column that is all mean
    made = PENALTIES[penalty](so.Groups.uniform(3, k))
    found = so.solve(so.Problem(X, so.LeastSquares(y, intercept=True), made), tol=1e-7)
    by_hand = so.solve(so.Problem(X - X.mean(axis=0), so.LeastSquares(y - y.mean()), made), tol=1e-7)
    assert found.objective == pytest.approx(by_hand.objective, abs=2e-7 * float(y @ y))
    assert np.abs(found.w).max() <= 2 * np.abs(by_hand.w).max() + 1e-9
