"""One strength in one call: groups of the largest gradients at 0 first, the others as their gradients tell."""

from __future__ import annotations

import instances
import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt.solvers.columns import ONE_CALL
from sparseopt.solvers.descent_path import DescentPath

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

LOSSES = instances.LOSSES | {
    "huber": lambda z, rng, **options: so.Huber(z + rng.standard_t(2, size=len(z)), 0.7, **options),
    "cox": lambda z, rng, **_: so.Cox(
        np.round(rng.exponential(np.exp(-np.clip(z, -3, 2))), 2), rng.random(len(z)) < 0.7
    ),
}
STORED = {
    "dense": lambda X: np.asfortranarray(X),
    "float32": lambda X: np.asfortranarray(X, dtype=np.float32),
    "sparse": lambda X: sparse.csc_matrix(np.where(np.abs(X) > 1.2, X, 0.0)),
}


def wide(loss="squares", stored="dense", n=150, p=2400, correlation=0.0, scattered=False, **options):
    """3 columns in a group, of very different lengths; entries enough that rounds would not read all of them."""
    rng = np.random.default_rng(n + p)
    X = rng.standard_normal((n, p)) + np.sqrt(correlation / (1 - correlation)) * rng.standard_normal((n, 1))
    z = X[:, :12] @ rng.standard_normal(12) / 3
    X = STORED[stored](X * np.exp(0.3 * rng.standard_normal(p)))
    labels = np.arange(p) // 3
    groups = so.Groups.from_labels(rng.permutation(labels) if scattered else labels)
    weights = rng.uniform(0.5, 2, groups.n_groups)
    problem = so.Problem(X, LOSSES[loss](z, rng, **options), so.GroupLasso(1.0, groups, weights=weights))
    return problem.with_lam(so.lambda_max(problem))


def proved(problem, tol=1e-7):
    result = so.solve(problem, tol=tol)
    assert so.certify.duality_gap(problem, result.w, tol=1.001 * tol).proved
    return result


@pytest.mark.sample(every=7)
@pytest.mark.parametrize(
    "options", [{}, {"intercept": True}, {"sample_weight": np.linspace(0, 2, 150)}], ids=["", "b", "s"]
)
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("loss", LOSSES)
def test_solutions_are_certified(loss, stored, options):
    problem = wide(loss, stored, **options)
    for at in (0.5, 0.1, 0.03):
        proved(problem.with_lam(at * problem.penalty.lam))


@pytest.mark.parametrize("loss", ["squares", "logistic"])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_they_are_those_of_rounds(loss, correlation):
    problem = wide(loss, correlation=correlation, scattered=True)
    problem = problem.with_lam(0.05 * problem.penalty.lam)
    one, other = so.solve(problem, tol=1e-10), so.solve(problem, so.solvers.GroupBCD(), tol=1e-10)
    assert len(other.history.gap) > 2
    assert one.objective == pytest.approx(other.objective, rel=1e-9)
    np.testing.assert_allclose(one.w, other.w, atol=1e-4 * np.abs(other.w).max())


@pytest.mark.parametrize("loss", LOSSES)
def test_groups_that_bounds_settle_are_not_read_again(loss):
    """Near the critical strength the gradient moves less than most groups are from their limits."""
    problem = wide(loss, n=600, p=1500)
    assert proved(problem.with_lam(0.97 * problem.penalty.lam)).passes < 1.5


@pytest.mark.parametrize(("loss", "most"), [("squares", 12), ("outputs", 16), ("logistic", 14)])
def test_few_passes(loss, most):
    problem = wide(loss)
    result = proved(problem.with_lam(0.1 * problem.penalty.lam))
    assert result.n_iter == 1  # the call told all of it
    assert result.passes < most


@pytest.mark.parametrize("loss", ["squares", "poisson"])
def test_what_was_reached_in_time_is_kept(loss):
    """Where the call is ended by the time limit, the result is where it was, with its gap."""
    problem = wide(loss, n=400, p=8000, correlation=0.9)
    hard = problem.with_lam(1e-4 * problem.penalty.lam)
    assert DescentPath.treats(hard, several=False)
    result = so.solve(hard, tol=1e-13, time_limit=0.3, throw=False)
    assert result.status is so.Status.TIME_LIMIT
    assert result.objective < 0.9 * so.solve(problem).objective
    assert result.passes > 2
    assert not so.certify.duality_gap(hard, result.w, tol=0.5 * result.gap).proved


def test_larger_data_are_solved_by_rounds():
    X = np.broadcast_to(np.arange(64.0)[:, None], (64, ONE_CALL // 64 + 1))
    problem = so.Problem(X, so.LeastSquares(np.ones(64)), so.GroupLasso(1.0, so.Groups.uniform(X.shape[1], 1)))
    assert not DescentPath.treats(problem, several=False)
