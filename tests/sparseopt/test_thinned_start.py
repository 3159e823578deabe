"""Many samples for each column: the solution for a part of them is where the descent starts, and no more than that."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

N, SIZES = 16384, (3, 2, 1, 4)
THINNED = np.arange(N) % 512 < 64
"""The rows of csrc/cpu/bcd_thinned.h."""

LOSSES = {
    "logistic": lambda z, rng, **options: so.Logistic(np.where(z > rng.logistic(size=N), 1.0, -1.0), **options),
    "poisson": lambda z, rng, **options: so.Poisson(rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float), **options),
    "huber": lambda z, rng, **options: so.Huber(z + rng.standard_t(2, size=N), 0.7, **options),
}


def design(dtype=np.float64):
    rng = np.random.default_rng(3)
    X = np.asfortranarray(rng.standard_normal((N, sum(SIZES)))).astype(dtype, order="F")
    return X, X @ np.array([1.0, -0.5, 0.5, 0, 0, 0.8, 0.3, 0, 0.3, -0.3]), rng


def solved(X, datafit, at=0.05):
    problem = so.Problem(X, datafit, so.GroupLasso(1.0, so.Groups.from_sizes(SIZES)))
    problem = problem.with_lam(at * so.lambda_max(problem))
    result = so.solve(problem, tol=1e-8)
    assert so.certify.duality_gap(problem, result.w, tol=1e-8).proved
    np.testing.assert_array_equal(so.solve(problem, tol=1e-8).w, result.w)  # also with eigenbases that are known
    return result


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "options", [{}, {"intercept": True}, {"sample_weight": np.linspace(0, 2, N)}], ids=["", "b", "s"]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_solutions_are_certified(loss, options, dtype):
    X, z, rng = design(dtype)
    solved(X, LOSSES[loss](z, rng, **options))


def test_a_part_that_says_what_all_say():
    X, z, rng = design()
    y, period = LOSSES["poisson"](z, rng).y, np.arange(N) % 64
    X, y = np.asfortranarray(X[period]), y[period]
    all_of_few = slice(8191)  # not enough for a part: from 0
    assert solved(X, so.Poisson(y)).passes < solved(X[all_of_few], so.Poisson(y[all_of_few])).passes - 2


def test_a_part_that_says_the_opposite_of_the_rest():
    X, z, rng = design()
    y = LOSSES["logistic"](z, rng).y
    solved(X, so.Logistic(np.where(THINNED, -y, y)))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_a_part_of_one_class(label, intercept):
    X, z, rng = design()
    y = LOSSES["logistic"](z, rng).y
    solved(X, so.Logistic(np.where(THINNED, label, y), intercept=intercept))


def test_a_part_without_weight_counts_or_columns():
    X, z, rng = design()
    y = LOSSES["poisson"](z, rng).y
    solved(X, so.Poisson(np.where(THINNED, 0.0, y), intercept=True))
    solved(X, so.Poisson(y, sample_weight=np.where(THINNED, 0.0, 1.0)))
    solved(np.asfortranarray(np.where(THINNED[:, None], 0.0, X)), so.Poisson(y))


def test_a_part_far_beyond_the_rest():
    X, z, rng = design()
    y = LOSSES["poisson"](z, rng).y
    solved(np.asfortranarray(np.where(THINNED[:, None], 1e-3 * X, X)), so.Poisson(y))  # whose solution overflows there
