"""Fits that unpenalised columns saturate: dual points with exact zeros, at both levels, and the fit that finds them."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.unpenalised import refit

LEVELS = ["float", "ball"]
FAR = {"Logistic": 40.0, "Poisson": -40.0, "Multinomial": [20.0, 20.0, -40.0]}
"""Coefficients of the unpenalised column beyond which the loss of its samples is lost in rounding."""


def separated(loss: str, intercept: bool) -> so.Problem:
    """The first column is that of an unpenalised group, and nonzero only at samples of one label (of two, of three)."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((14, 5)), rng.integers(0, 2, 14)
    X[:, 0] = np.r_[rng.uniform(0.5, 2, 4), np.zeros(10)]
    if loss == "Logistic":
        fit = so.Logistic(np.r_[1, 1, 1, 1, 0, y[5:]], intercept=intercept)
    elif loss == "Poisson":
        fit = so.Poisson(np.r_[0, 0, 0, 0, 3, y[5:]], intercept=intercept)
    else:
        fit = so.Multinomial(np.r_[0, 0, 1, 1, 2, 1, y[6:] + np.arange(8) % 2], intercept=intercept)
    return so.Problem(X, fit, so.GroupLasso(0.03, so.Groups.from_sizes([1, 2, 2]), weights=[0, 1, 1]))


def far_out(made: so.Problem, loss: str) -> np.ndarray:
    w0 = np.zeros(made.w_shape)
    w0[0] = FAR[loss]
    return w0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", FAR)
def test_a_saturated_fit_is_proved(loss, intercept, level):
    made = separated(loss, intercept)
    w = so.solve(made, w0=far_out(made, loss), tol=1e-9, throw=False, max_iter=100).w
    certificate = so.certify.duality_gap(made, w, tol=1e-8, level=level)
    assert certificate.verdict == "proved", certificate.reason
    other = w + 0.05 * np.random.default_rng(0).standard_normal(w.shape) * (np.arange(5) > 0).reshape(
        -1, *[1] * (w.ndim - 1)
    )
    bad = so.certify.duality_gap(made, other, tol=1e-8, level=level)
    assert not bad.proved
    for point in (w, other):  # weak duality: no point is below the objective less its certified gap
        assert made.objective(point) - bad.upper <= made.objective(w)


@pytest.mark.parametrize("level", LEVELS)
def test_a_force_far_below_rounding_is_left_out(level):
    """Forces go down to exp(-227)."""
    X = np.array([[1.0, 0.3], [-0.5, 1.0], [0.7, -1.0], [0.0, 2.0]])
    X = np.c_[X, [0.0, 2.0, -1.5, 0.0]]
    made = so.Problem(
        X, so.Logistic([1, 1, 0, 0], intercept=True), so.GroupLasso(0.02, so.Groups.from_sizes([2, 1]), weights=[1, 0])
    )
    w0 = np.array([0.0, 0.0, 113.0])
    w = so.solve(made, w0=w0, tol=1e-9).w
    assert so.certify.duality_gap(made, w, tol=1e-8, level=level).proved


def test_classes_that_a_column_separates_are_fitted():
    """Newton's steps count every class in the unit of its own curvature, however small that is."""
    made = separated("Multinomial", intercept=False)
    z, fitted = refit(made.datafit, made.X[:, :1], np.zeros((14, 3)))
    assert fitted
    assert np.abs(made.X[:, 0] @ made.datafit.gradient(z)).max() <= 1e-14


def test_classes_that_unpenalised_columns_separate_altogether():
    """The loss is next to its infimum 0: solved to it, and proved, where no gradient is more than rounding errors."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 4))
    labels = np.argmax(X[:, :2] @ rng.standard_normal((2, 3)), axis=1)
    assert len(np.unique(labels)) == 3
    penalty = so.GroupLasso(0.1, so.Groups.uniform(2, 2), weights=[0, 1], positive=True)
    problem = so.Problem(X, so.Multinomial(labels, intercept=True), penalty)
    found = so.solve(problem, time_limit=20)
    assert found.objective <= 1e-6
    assert not found.w[2:].any()
    for level in ("float", "ball"):
        assert so.certify.duality_gap(problem, found.w, tol=2e-6, level=level).proved


@pytest.mark.parametrize("loss", ["Multinomial", "Logistic"])
def test_many_saturated_samples_are_named(loss):
    """Labels are separated but for one, so that coefficients grow as the strength falls."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = (X[:, 0] > 0).astype(int)
    y[np.argmax(X[:, 0])] = 0
    fit = so.Multinomial(y, intercept=True) if loss == "Multinomial" else so.Logistic(y, intercept=True)
    problem = so.Problem(X, fit, so.GroupLasso(1e-9, so.Groups.uniform(4, 1)))
    w0 = np.zeros(problem.w_shape)
    w0[0] = 100.0 if loss == "Logistic" else [-50.0, 50.0]
    with pytest.raises(so.NotConverged, match=r"of 60 samples have a probability of 1 .* raise lam"):
        so.solve(problem, so.solvers.FISTA(), w0=w0, max_iter=3)
    with pytest.raises(so.NotConverged) as found:
        so.solve(problem.with_lam(0.01), so.solvers.FISTA(), max_iter=1)
    assert "samples have a probability" not in found.value.result.advice
