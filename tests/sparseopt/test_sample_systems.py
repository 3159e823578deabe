"""More active columns than samples: blocks are minimised together, from systems with an equation for each sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt._native.reading import padded
from sparseopt.solvers.frames import LeastSquaresFrame

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

SAMPLES = 30
TARGET = 1e-10

LOSSES = {
    "squares": lambda z, rng, **options: so.LeastSquares(z + rng.standard_normal(len(z)), **options),
    "logistic": lambda z, rng, **options: so.Logistic(np.where(z > rng.standard_normal(len(z)), 1.0, -1.0), **options),
    "poisson": lambda z, rng, **options: so.Poisson(rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float), **options),
    "huber": lambda z, rng, **options: so.Huber(z + rng.standard_normal(len(z)), 0.7, **options),
}
WEIGHTS = np.where(np.arange(SAMPLES) % 7 == 3, 0.0, np.linspace(0.5, 2, SAMPLES))
OPTIONS = {"plain": {}, "intercept": {"intercept": True}, "weights": {"sample_weight": WEIGHTS, "intercept": True}}
DESIGNS = {
    "dense": np.asfortranarray,
    "single": lambda X: np.asfortranarray(X, dtype=np.float32),
    "sparse": lambda X: sparse.csc_matrix(np.where(np.abs(X) > 0.7, X, 0.0)),
}


def instance(loss="squares", size=40, groups=8, design="dense", **options):
    """A problem at a 30th of its lambda_max."""
    rng = np.random.default_rng(size)
    X = rng.standard_normal((SAMPLES, size * groups))
    fit = LOSSES[loss](X[:, : 2 * size] @ rng.standard_normal(2 * size) / np.sqrt(size), rng, **options)
    problem = so.Problem(DESIGNS[design](X), fit, so.GroupLasso(1.0, so.Groups.uniform(groups, size)))
    return problem.with_lam(so.lambda_max(problem) / 30)


def lowered(problem):
    """Epochs and relative gap of one descent over all groups from 0, and where it ended."""
    frame = LeastSquaresFrame(problem)
    inner, share = frame.inner, 1 if frame.inner.share is not None else SAMPLES
    inner.r[:] = padded(-problem.datafit.gradient(np.zeros(SAMPLES)) * share)
    groups = problem.penalty.groups.n_groups
    report = inner.run(np.arange(groups), np.zeros(groups), scored=False, max_epochs=300, gap_target=TARGET)
    return report, inner.coefficients()[:, 0]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", [40, 100])
def test_few_steps_replace_many_sweeps(size, options, design):
    problem = instance(size=size, design=design, **OPTIONS[options])
    report, w = lowered(problem)
    assert report[0] <= 8
    assert report[3] <= TARGET
    assert so.certify.duality_gap(problem, w, tol=10 * TARGET).proved


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_paths_are_certified(loss, options, design):
    problem = instance(loss, design=design, **OPTIONS[options])
    for result in so.solve_path(problem, 8, tol=1e-8):
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.latent, tol=1e-8, level="ball").proved


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1e6, 1e150])
def test_any_scale(scale):
    problem = instance()
    scaled = so.Problem(scale * problem.X, problem.datafit, problem.penalty.with_lam(scale * problem.penalty.lam))
    assert lowered(scaled)[0][0] <= 8
    np.testing.assert_allclose(so.solve(scaled, tol=1e-9).w * scale, so.solve(problem, tol=1e-9).w, atol=1e-4)


def test_groups_that_are_the_same_are_left_to_sweeps():
    """Their systems are singular: nothing decides how much each of them has."""
    problem = instance(groups=3)
    X = np.asfortranarray(np.hstack([problem.X, problem.X]))
    twice = so.Problem(X, problem.datafit, so.GroupLasso(problem.penalty.lam, so.Groups.uniform(6, 40)))
    once, both = so.solve(problem, tol=1e-9), so.solve(twice, tol=1e-9)
    assert both.objective == pytest.approx(once.objective, rel=1e-8)
