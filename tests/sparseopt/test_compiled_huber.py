"""Huber's loss in the compiled proximal Newton steps, against those in Python."""

from __future__ import annotations

import numpy as np
import pytest
from test_compiled_cox import at_part, in_python

import sparseopt as so
from sparseopt._native import HAS_NATIVE
from sparseopt.solvers.compiled_loss import compiled_loss

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="the compiled core is not built")

CASES = {
    "plain": {},
    "intercept": {"intercept": True},
    "weights": {"sample_weight": np.arange(60) % 3, "intercept": True},
    "offset": {"offset": np.linspace(-5, 5, 60)},
    "mostly outliers": {"delta": 0.01, "intercept": True},
    "no outliers": {"delta": 1e4},
}


def heavy_tails(n=60, p=20, size=2, delta=0.5, **options):
    rng = np.random.default_rng(5)
    X = np.asfortranarray(rng.standard_normal((n, p)))
    y = X[:, :4] @ [2, -1, 1, 1] + 0.3 * rng.standard_t(1.5, n)
    loss = so.Huber(y, delta, **options)
    return so.Problem(X, loss, so.GroupLasso(1.0, so.Groups.uniform(p // size, size)))


@pytest.mark.parametrize("part", [0.6, 0.1, 0.01])
@pytest.mark.parametrize("case", CASES)
def test_the_same_solution_as_in_python(monkeypatch, case, part):
    problem = at_part(heavy_tails(**CASES[case]), part)
    assert compiled_loss(problem) is not None
    found, other = so.solve(problem, tol=1e-9), in_python(monkeypatch, problem, tol=1e-9)
    # both gaps are at most 1e-9 of the larger of P and its distance to the loss at 0
    scale = max(abs(other.objective), abs(other.objective - problem.datafit.value(np.zeros(60))))
    assert abs(found.objective - other.objective) <= 2e-9 * scale
    assert problem.objective(found.w) == pytest.approx(found.objective, rel=1e-12)
    assert so.certify.duality_gap(problem, found.w, tol=2e-9).proved


def test_models_far_from_the_solution_lie_above_the_loss():
    """At 0 many residuals are beyond delta, where second derivatives are 0: models with them move too much."""
    problem = at_part(heavy_tails(n=34, p=580, size=1, delta=1.0), 1 / 27)
    assert so.solve(problem, tol=1e-6).passes <= 300  # 191 with parabolas above the loss, 484 without


def test_paths():
    problem = heavy_tails(n=90, p=24, size=3, intercept=True)
    for result in so.solve_path(problem, n_lambdas=12, tol=1e-7):
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.w, tol=2e-7).proved
