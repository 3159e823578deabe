"""Fits of unpenalised columns where Newton steps are useless: nearly separable classes, nearly dependent columns."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.unpenalised import refit


def nearly_separable(seed: int) -> tuple[np.ndarray, so.Multinomial]:
    """Eight samples with offsets of size 10, whose weights differ by up to 1e7, in three or four classes."""
    rng = np.random.default_rng(seed)
    columns, classes = int(rng.integers(1, 3)), int(rng.integers(3, 5))
    X, y = rng.standard_normal((8, columns)), rng.integers(0, classes, 8)
    y[:classes] = np.arange(classes)
    weights, offset = 10.0 ** rng.uniform(-3, 4, 8), 10 * rng.standard_normal((8, classes))
    return X, so.Multinomial(y, weights, offset, intercept=True, n_classes=classes)


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("seed", range(32))
def test_nearly_separable_classes_are_fitted(seed):
    X, loss = nearly_separable(seed)
    z, fitted = refit(loss, X, np.zeros((8, loss.n_outputs)))
    assert fitted
    again, _ = refit(loss, X, z + X @ np.random.default_rng(seed).standard_normal((X.shape[1], loss.n_outputs)))
    assert loss.value(again) == pytest.approx(loss.value(z), rel=1e-9, abs=1e-13)


@pytest.mark.sample(every=11)
@pytest.mark.parametrize("seed", [k for k in range(32) if k != 20])  # of 20 the curvature is lost to rounding
def test_nearly_separable_classes_are_solved_and_proved(seed):
    X, loss = nearly_separable(seed)
    rest = np.random.default_rng(seed).standard_normal((8, 3))
    groups = so.Groups.from_sizes([X.shape[1], 1, 1, 1])
    problem = so.Problem(np.c_[X, rest], loss, so.GroupLasso(0.01, groups, weights=[0, 1, 1, 1]))
    assert so.certify.duality_gap(problem, so.solve(problem).w).proved


def test_a_loss_at_its_intercept_is_the_same_there():
    X, loss = nearly_separable(3)
    z = X @ np.ones((X.shape[1], loss.n_outputs))
    held = loss.at_intercept(z)
    assert held.value(z) == pytest.approx(loss.value(z), rel=1e-13)
    np.testing.assert_allclose(held.gradient(z), loss.gradient(z), atol=1e-15)
    constant = np.array([1.0, 0.0, 0.0])
    assert held.value(z + constant) > held.value(z)
    assert loss.value(z + constant) == pytest.approx(loss.value(z), rel=1e-9)


def fits() -> dict[str, object]:
    rng = np.random.default_rng(1)
    z, times = rng.standard_normal(40), np.exp(rng.standard_normal(40))
    dies = np.arange(40) % 3 > 0
    return {
        "LeastSquares": so.LeastSquares(z, intercept=True),
        "Huber": so.Huber(z, 0.5, intercept=True),
        "Logistic": so.Logistic((z > 0).astype(float), intercept=True),
        "Poisson": so.Poisson(rng.poisson(np.exp(z)), intercept=True),
        "Breslow": so.Cox(times, dies),
        "Efron": so.Cox(np.ceil(4 * times), dies, "efron"),
        "Multinomial": so.Multinomial(np.digitize(z, [-0.7, 0.7]), intercept=True),
    }


@pytest.mark.parametrize("loss", fits().values(), ids=fits())
@pytest.mark.parametrize("distance", [1e-4, 1e-8, 1e-12])
def test_nearly_dependent_columns_are_fitted_as_independent_ones(loss, distance):
    """The span of a column and a difference, of which rounding errors are a part of eps / distance."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2))
    close = np.c_[X[:, 0], X[:, 0] + distance * X[:, 1]]
    apart = np.c_[X[:, 0], (close[:, 1] - close[:, 0]) / distance]
    zero = np.zeros((40, loss.n_outputs) if loss.n_outputs else 40)
    expected, found = refit(loss, apart, zero), refit(loss, close, zero)
    assert found[1]
    assert loss.value(found[0]) == pytest.approx(loss.value(expected[0]), rel=40 * np.finfo(float).eps / distance)


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_steps_of_which_only_rounding_is_left_end_the_fit(seed):
    """One death of positive weight, which three free columns order: the loss falls to 0 without a minimum."""
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((5, 3)) + 10 * rng.standard_normal(3)
    died = [False, False, False, True, True]
    loss = so.Cox(rng.exponential(size=5), died, sample_weight=[2.0, 2.0, 2.0, 0.0, 1.0])
    z, _ = refit(loss, columns, np.zeros(5))
    assert loss.value(z) <= 1e-12 * loss.value(np.zeros(5))
