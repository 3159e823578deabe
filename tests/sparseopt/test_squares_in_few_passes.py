"""Squares of columns that share a factor: sweeps creep, Newton steps on the model from the Gram matrix do not."""

from __future__ import annotations

import time

import numpy as np
import pytest

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt.solvers.descent import GroupDescent

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

LARGE = [(9000, 300, 2, 20), (500, 3000, 1, 30), pytest.param(300, 3000, 8, 150, marks=pytest.mark.slow)]
SHAPES = [(60, 20, 1), (200, 100, 1), (200, 60, 3), (1000, 100, 5), (100, 300, 1)]


def sharing_a_factor(n, p, size, outputs, dtype=float, **options):
    """Correlations of 0.8, a strength of 1/100 of the critical one."""
    rng = np.random.default_rng(n + p + size + outputs)
    X = np.asfortranarray(rng.standard_normal((n, p)) + 2 * rng.standard_normal((n, 1)), dtype=dtype)
    Y = X[:, : p // 4].astype(float) @ rng.standard_normal((p // 4, outputs))
    Y += Y.std() * rng.standard_normal(Y.shape)
    datafit = so.LeastSquares(Y[:, 0], **options) if outputs == 1 else so.MultiResponse(Y, **options)
    groups = so.Groups.from_sizes([size] * (p // size))
    problem = so.Problem(X, datafit, so.GroupLasso(1.0, groups, weights=rng.uniform(0.5, 2, groups.n_groups)))
    return problem.with_lam(so.lambda_max(problem) / 100)


@pytest.mark.parametrize("outputs", [1, 2, 7])
@pytest.mark.parametrize(("n", "p", "size"), SHAPES)
def test_few_passes_are_enough(n, p, size, outputs):
    """Sweeps on the columns themselves need 59 to 540 passes here, and 348 to 614 where p > n."""
    problem = sharing_a_factor(n, p, size, outputs)
    result = so.solve(problem, tol=1e-8)
    assert result.passes < (200 if p > n else 40)
    assert so.certify.duality_gap(problem, result.w, tol=1e-7).proved


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{"intercept": True}, {"sample_weight": np.linspace(0.5, 2, 200)}], ids=["c", "s"])
def test_intercepts_weights_and_storage(options, dtype):
    problem = sharing_a_factor(200, 60, 3, 4, dtype=dtype, **options)
    result = so.solve(problem, tol=1e-8)
    assert result.passes < 60
    assert so.certify.duality_gap(problem, result.w, tol=1e-7).proved


def test_every_strength_of_a_path():
    """Where one strength needed many sweeps, the next one does not begin with them."""
    problem = sharing_a_factor(200, 60, 1, 4)
    path = so.solve_path(problem, n_lambdas=30, ratio=1e-3, tol=1e-8)
    assert max(result.passes for result in path) < 60
    assert all(so.certify.duality_gap(problem.with_lam(r.lam), r.w, tol=1e-7).proved for r in path)


@pytest.mark.parametrize(("n", "p", "outputs", "most"), LARGE)
def test_rounds_of_large_problems(n, p, outputs, most):
    """Too large for one run; sweeps alone need 98, 232 and 25000 passes."""
    problem = sharing_a_factor(n, p, 1, outputs)
    result = so.solve(problem, tol=1e-7)
    assert result.passes < most
    assert so.certify.duality_gap(problem, result.w, tol=1e-6).proved


def test_columns_that_share_a_factor_and_are_packed():
    """The first surrogate of packed columns ends where sweeps would have cost more than products of columns."""
    problem = sharing_a_factor(9000, 600, 1, 1)
    result = so.solve(problem, tol=1e-7)
    assert "packing pays" in problem.kept
    assert result.passes < 20
    assert so.certify.duality_gap(problem, result.w, tol=1e-6).proved


@pytest.mark.slow
def test_asked_often_in_models_of_many_columns_and_outputs(monkeypatch):
    """A model swept over to its end, as it once was, takes a second here: Ctrl-C and time limits wait for it."""
    ask, times = GroupDescent.ask, []
    monkeypatch.setattr(GroupDescent, "ask", lambda run: (times.append(time.process_time()), ask(run))[1])
    problem = sharing_a_factor(900, 900, 3, 150).with_lam(1e-3)
    so.solve(problem, tol=1e-12, time_limit=2.5, throw=False)
    assert np.diff(times).max() < 0.5
