"""The real data sets: shapes, orthonormal groups, dropped columns, determinism, the message without scikit-learn."""

import sys

import numpy as np
import pytest

import sparseopt as so
from sparseopt.datasets import RANK_TOLERANCE, orthonormal_columns

DATASETS = [
    (so.datasets.diabetes, 442, 55, 10),
    (so.datasets.breast_cancer, 569, 30, 10),
    (so.datasets.digits, 1797, 61, 16),
]


@pytest.mark.parametrize(("make", "n", "p", "n_groups"), DATASETS, ids=lambda value: getattr(value, "__name__", None))
def test_shapes_and_groups(make, n, p, n_groups):
    data = make()
    assert data.name == make.__name__
    assert data.X.shape == (n, p)
    assert data.X.flags.f_contiguous
    assert data.y.shape == (n,)
    assert data.groups.n_features == p
    assert data.groups.n_groups == n_groups == len(data.group_names) == len(set(data.group_names))


@pytest.mark.parametrize(("make", "n", "p", "n_groups"), DATASETS, ids=lambda value: getattr(value, "__name__", None))
def test_groups_are_centred_and_orthonormal(make, n, p, n_groups):
    data = make()
    rounding = 100 * n * np.finfo(float).eps
    assert np.abs(data.X.mean(axis=0)).max() < rounding / RANK_TOLERANCE  # a kept direction magnifies at most this much
    assert abs(data.y.mean()) < rounding * np.abs(data.y).max()
    for g in range(n_groups):
        block = data.X[:, data.groups.members(g)]
        np.testing.assert_allclose(block.T @ block / n, np.eye(block.shape[1]), atol=rounding)


def test_two_calls_agree_to_the_last_bit():
    first, second = so.datasets.breast_cancer(), so.datasets.breast_cancer()
    assert np.array_equal(first.X, second.X)
    assert np.array_equal(first.y, second.y)


def test_sex_is_one_column_and_empty_pixels_are_dropped():
    diabetes, digits = so.datasets.diabetes(), so.datasets.digits()
    assert diabetes.groups.sizes[diabetes.group_names.index("sex")] == 1
    assert digits.groups.sizes.sum() == 64 - 3
    assert set(np.unique(np.round(digits.y - digits.y.min(), 12))) == {0.0, 2.0}


def test_constant_and_dependent_columns_are_dropped():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    block = np.column_stack([a, np.full(50, 0.1), 1e6 * b, a + 1e6 * b, np.zeros(50)])
    basis = orthonormal_columns(block)
    assert basis.shape == (50, 2)
    residual = block - block.mean(axis=0)
    residual -= basis @ (basis.T @ residual) / 50
    assert np.abs(residual).max() < 1e-12 * 1e6 * 50
    assert orthonormal_columns(np.full((50, 3), 0.1)).shape == (50, 0)


def test_a_group_that_vanishes_is_dropped_with_its_name():
    rng = np.random.default_rng(1)
    data = so.datasets._dataset(
        "toy", [rng.normal(size=(20, 2)), np.ones((20, 3))], rng.normal(size=20), ["kept", "gone"]
    )
    assert data.group_names == ("kept",)
    assert data.groups.sizes.tolist() == [2]


def test_nearly_dependent_columns_keep_their_direction_down_to_the_tolerance():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 100))
    assert orthonormal_columns(np.column_stack([a, a + 100 * RANK_TOLERANCE * b])).shape[1] == 2
    assert orthonormal_columns(np.column_stack([a, a + 0.01 * RANK_TOLERANCE * b])).shape[1] == 1


def test_every_digit_has_a_window_between_the_documented_ends():
    widths = []
    for digit in range(10):
        data = so.datasets.digits(digit)
        problem = so.Problem(data.X, so.LeastSquares(data.y), so.GroupLasso(1.0, data.groups, weights="none"))
        window = so.certify.lambda_window(problem)
        widths.append(1 - window.lower / window.upper)
    assert int(np.argmax(widths)) == 7
    assert round(max(widths), 2) == 0.17
    assert int(np.argmin(widths)) == 0
    assert round(min(widths), 3) == 0.003


def test_an_unknown_digit_is_refused():
    with pytest.raises(ValueError, match="digit is 10: give an integer from 0 to 9"):
        so.datasets.digits(10)


def test_missing_scikit_learn_gives_one_clear_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'sparseopt\[sklearn\]'"):
        so.datasets.breast_cancer()
