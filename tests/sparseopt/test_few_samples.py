"""One sample, two of which one has no weight, constant columns: solved and proved, or refused with advice."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from glm import PENALTIES, penalty

import sparseopt as so
from sparseopt.certify.interval import Interval

GROUPS = so.Groups.from_sizes([1, 3, 2])
FITS = {
    "least squares": lambda n, **options: so.LeastSquares(np.arange(1.0, n + 1), **options),
    "Huber": lambda n, **options: so.Huber(np.arange(1.0, n + 1), 0.5, **options),
    "logistic": lambda n, **options: so.Logistic(np.arange(n) % 2, **options),
    "Poisson": lambda n, **options: so.Poisson(np.arange(1.0, n + 1), **options),
    "no counts": lambda n, **options: so.Poisson(np.zeros(n), **options),
    "multi-response": lambda n, **options: so.MultiResponse(np.arange(2.0 * n).reshape(n, 2) + 1, **options),
    "Breslow": lambda n, **options: so.Cox(np.arange(1.0, n + 1), np.ones(n), **options),
    "Efron": lambda n, **options: so.Cox(np.arange(1.0, n + 1), np.ones(n), "efron", **options),
}
DESIGNS = {
    "one sample": (np.random.default_rng(0).standard_normal((1, 6)), {}),
    "weight 0": (np.random.default_rng(1).standard_normal((2, 6)), {"sample_weight": [1.0, 0.0]}),
    "constant": (np.ones((8, 6)) * np.arange(1.0, 7.0), {}),
}
CELLS = [(loss, design, ic) for loss in FITS for design in DESIGNS for ic in (False, True)]
CELLS = [(loss, design, ic) for loss, design, ic in CELLS if not (ic and loss in ("Breslow", "Efron"))]


@pytest.mark.sample(every=7)
@pytest.mark.parametrize(("loss", "design", "intercept"), CELLS)
def test_few_samples_are_solved_and_proved(loss, design, intercept):
    X, options = DESIGNS[design]
    fit = FITS[loss](len(X), **options, **({"intercept": True} if intercept else {}))
    for name in PENALTIES:
        problem = so.Problem(X, fit, penalty(name, GROUPS).with_lam(0.1))
        with contextlib.suppress(ValueError):  # 0 solves it, or the unpenalised groups alone fit y
            problem = problem.with_lam(0.3 * so.lambda_max(problem))
        result = so.solve(problem, time_limit=10, throw=False)
        assert result.status is so.Status.CONVERGED, (name, result.gap)
        certificate = so.certify.duality_gap(problem, result.w)
        assert certificate.proved, (name, certificate.reason, certificate.upper)


@pytest.mark.parametrize("made", [so.LeastSquares, so.Huber, so.MultiResponse], ids=lambda made: made.__name__)
def test_one_sample_and_an_intercept_leave_no_loss(made):
    """Exactly 0 whatever the coefficients, offsets and weights are; rounding errors of it are no objective."""
    y = np.array([[0.1, 0.7]]) if made is so.MultiResponse else np.array([0.1])
    fit = made(y, intercept=True, sample_weight=[0.3], offset=y / 3)
    problem = so.Problem(np.full((1, 6), 0.3), fit, so.GroupElasticNet(0.1, GROUPS, l2=0.1))
    for level in ("float", "ball"):
        assert so.certify.duality_gap(problem, np.zeros(problem.w_shape), level=level).proved


def test_no_strength_is_critical_where_unpenalised_columns_span_all():
    problem = so.Problem(np.full((8, 6), 3.0), so.LeastSquares(np.arange(8.0)), penalty("unpenalised group", GROUPS))
    with pytest.raises(ValueError, match="combinations of unpenalised ones"):
        so.lambda_max(problem)


def test_exponential_and_logarithm_are_exact_where_they_are():
    one, zero = Interval.of(np.ones(1)), Interval.of(np.zeros(1))
    assert (zero.exp().lo, zero.exp().hi) == (1.0, 1.0)
    assert (one.log().lo, one.log().hi) == (0.0, 0.0)


def test_more_folds_than_labels_are_refused_with_what_to_try():
    estimators = pytest.importorskip("sparseopt.estimators", reason="scikit-learn is not installed")
    from sklearn.model_selection import GroupKFold

    rng = np.random.default_rng(0)
    X, y, labels = rng.standard_normal((12, 4)), rng.standard_normal(12), np.arange(12) % 3
    chosen = estimators.GroupLassoRegressorCV(groups=[0, 0, 1, 1], cv=GroupKFold(5))
    with pytest.raises(ValueError, match=r"GroupKFold.* 12 samples with 3 different sample_groups .* give fewer folds"):
        chosen.fit(X, y, sample_groups=labels)
    with pytest.raises(ValueError, match=r"cannot split 12 samples .* and sample_groups where cv asks for groups"):
        chosen.fit(X, y)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(2, 2)))
    with pytest.raises(ValueError, match=r"5 folds of 3 labels.*: give an integer from 2 to 3, or held-out sets"):
        so.selection.cross_validate(problem, 5, samples=labels)
    with pytest.raises(ValueError, match=r"2 folds of 1 labels.*: give at least two of them"):
        so.selection.cross_validate(problem, 2, samples=0 * labels)
