"""Blocks whose curvatures differ by orders, or are at the ends of the range of floats: no creeping, no lost squares."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so

GROUPS = so.Groups.uniform(4, 3)


@pytest.mark.parametrize("exponent", [-150, -100, 100, 145])
@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("seed", range(2))
def test_nonnegative_coefficients_of_tiny_and_huge_columns(exponent, outputs, seed):
    rng = np.random.default_rng(seed)
    X, B = rng.standard_normal((40, 12)), np.abs(rng.standard_normal((12, 3))) * (np.arange(12) < 4)[:, None]
    Y = X @ B + 0.1 * rng.standard_normal((40, 3))
    datafit = so.LeastSquares(Y[:, 0]) if outputs is None else so.MultiResponse(Y)
    scale = np.ldexp(1.0, int(np.floor(np.log2(10.0) * exponent)))
    plain, scaled = (so.Problem(A, datafit, so.GroupLasso(1.0, GROUPS, positive=True)) for A in (X, scale * X))
    lam = 0.1 * so.lambda_max(plain)
    expected = so.solve(plain.with_lam(lam))
    found = so.solve(scaled.with_lam(scale * lam), max_iter=20)
    assert scale * found.w == pytest.approx(expected.w, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("penalty", [so.GroupExpMask, so.GroupMCP, so.GroupSCAD, so.GroupLogSum, so.GroupLq])
def test_columns_over_eight_orders(penalty, share, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 12)) * 10 ** np.linspace(-4, 4, 12)[rng.permutation(12)]
    y = (X / np.abs(X).max(axis=0)) @ rng.standard_normal(12) + 0.1 * rng.standard_normal(60)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, GROUPS))
    problem = problem.with_penalty(penalty(share * so.lambda_max(problem), GROUPS))
    assert so.solve(problem, tol=1e-9, max_iter=100).status is so.Status.CONVERGED


@pytest.mark.parametrize("seed", range(12))
def test_entries_become_zero_where_columns_are_nearly_parallel(seed):
    """Means of 1e5 standard deviations, without an intercept: sweeps over entries or groups move almost nothing."""
    rng = np.random.default_rng([seed, 8])
    means = 1e5 * (np.arange(12) % 4 > 0) * rng.choice([1, -1], 12)
    X = rng.standard_normal((40, 12)) + means
    z = X @ (rng.standard_normal(12) * (rng.random(12) < 0.4))
    y = z - z.mean() + 0.1 * rng.standard_normal(40)
    problem = so.Problem(X, so.LeastSquares(y), so.SparseGroupLasso(1.0, GROUPS, l1_ratio=0.5))
    problem = problem.with_lam(10 ** rng.uniform(-3, -0.2) * so.lambda_max(problem))
    assert so.certify.duality_gap(problem, so.solve(problem, max_iter=20).w, tol=2e-6).proved
