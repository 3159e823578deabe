"""Least squares and the plain quadratic: values, gradients, intercepts, weights, curvature, duals."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.datafits import Quadratic

N = 9


def data(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "y": rng.standard_normal(N) + 2,
        "z": rng.standard_normal(N),
        "sample_weight": rng.uniform(0, 3, N) * (rng.uniform(size=N) > 0.2),
        "offset": rng.standard_normal(N),
    }


def least_squares(weighted, offset, intercept, seed=0):
    d = data(seed)
    return so.LeastSquares(
        d["y"], d["sample_weight"] if weighted else None, d["offset"] if offset else None, intercept=intercept
    )


EVERY = pytest.mark.parametrize(
    ("weighted", "offset", "intercept"),
    [(False, False, False), (True, False, False), (False, True, False), (False, False, True), (True, True, True)],
)


def slow_loss(datafit, z, b):
    """sum_i s_i (y_i - offset_i - b - z_i)^2 / 2 divided by sum_i s_i."""
    total = 0.0
    for s, y, o, zi in zip(datafit.sample_weight, datafit.y, datafit.offset, z, strict=True):
        total += s * (y - o - b - zi) ** 2 / 2
    return total / datafit.sample_weight.sum()


def difference_quotient(function, z, h=1e-6):
    return np.array([(function(z + h * e) - function(z - h * e)) / (2 * h) for e in np.eye(len(z))])


@EVERY
def test_value_is_the_weighted_mean_at_the_best_intercept(weighted, offset, intercept):
    datafit, z = least_squares(weighted, offset, intercept), data()["z"]
    b = datafit.intercept(z)
    assert datafit.value(z) == pytest.approx(slow_loss(datafit, z, b), rel=1e-13)
    if intercept:
        others = [slow_loss(datafit, z, b + d) for d in (-1e-3, 1e-3, 1.0)]
        assert datafit.value(z) < min(others)
    else:
        assert b == 0


@EVERY
def test_gradient_and_curvature_by_finite_differences(weighted, offset, intercept):
    datafit, z = least_squares(weighted, offset, intercept), data()["z"]
    assert datafit.gradient(z) == pytest.approx(difference_quotient(datafit.value, z), abs=1e-8)
    hessian = difference_quotient(lambda u: datafit.gradient(u), z)
    assert datafit.curvature(np.eye(N)) == pytest.approx(hessian, abs=1e-8)
    assert datafit.curvature(z) == pytest.approx(hessian @ z, abs=1e-8)


def test_intercept_is_an_unpenalised_column():
    """The normal equations with an explicit column of ones give the same fit, intercept and residual."""
    rng, d = np.random.default_rng(0), data()
    X = rng.standard_normal((N, 3))
    datafit = so.LeastSquares(d["y"], d["sample_weight"], d["offset"], intercept=True)
    scale = np.sqrt(d["sample_weight"])[:, None]
    ones = np.column_stack([X, np.ones(N)])
    solution = np.linalg.lstsq(scale * ones, scale[:, 0] * (d["y"] - d["offset"]), rcond=None)[0]
    z = X @ solution[:3]
    assert datafit.intercept(z) == pytest.approx(solution[3], rel=1e-10)
    assert X.T @ datafit.gradient(z) == pytest.approx(np.zeros(3), abs=1e-12)


def test_integer_weights_are_duplicated_samples():
    d, repeats = data(), np.array([0, 1, 2, 3, 1, 1, 0, 5, 2])
    for intercept in (False, True):
        weighted = so.LeastSquares(d["y"], repeats, d["offset"], intercept=intercept)
        repeated = so.LeastSquares(np.repeat(d["y"], repeats), None, np.repeat(d["offset"], repeats), intercept)
        z = d["z"]
        assert weighted.value(z) == pytest.approx(repeated.value(np.repeat(z, repeats)), rel=1e-13)
        assert weighted.intercept(z) == pytest.approx(repeated.intercept(np.repeat(z, repeats)), abs=1e-13)
        summed = np.zeros(N)
        np.add.at(summed, np.repeat(np.arange(N), repeats), repeated.gradient(np.repeat(z, repeats)))
        assert weighted.gradient(z) == pytest.approx(summed, abs=1e-14)


def test_an_offset_is_subtracted_from_y():
    d = data()
    with_offset, shifted = so.LeastSquares(d["y"], offset=d["offset"]), so.LeastSquares(d["y"] - d["offset"])
    assert with_offset.value(d["z"]) == shifted.value(d["z"])


@EVERY
def test_dual_is_the_best_multiple_and_below_the_loss(weighted, offset, intercept):
    """dual(z, limit) = max of -f*(-alpha * gradient), here by a grid over alpha of inf_u <alpha g, z - u> + f(u)."""
    datafit = least_squares(weighted, offset, intercept)
    rng = np.random.default_rng(1)
    for limit in (0.0, 0.3, 1.0, 5.0, np.inf):
        z = rng.standard_normal(N)
        theta = -datafit.gradient(z)
        share = datafit.sample_weight / datafit.sample_weight.sum()
        target = datafit.y - datafit.offset
        alphas = np.linspace(-min(limit, 10), min(limit, 10), 2001)
        used = share > 0
        conjugate = (theta[used] ** 2 / share[used]).sum() / 2
        values = alphas * (theta @ target) - alphas**2 * conjugate
        dual = datafit.dual(z, limit)
        assert values.max() <= dual + 1e-12
        assert dual <= values.max() + 1e-3


def test_a_perfect_fit_has_dual_zero():
    datafit = so.LeastSquares([1.0, 2.0])
    assert datafit.dual(np.array([1.0, 2.0]), np.inf) == 0


@pytest.mark.parametrize("mean", [1e3, 1e6, 1e10])
def test_a_large_mean_of_y_costs_no_accuracy_with_an_intercept(mean):
    """y - mean is exact for these y, so everything must agree with the centred problem."""
    y = np.array([0.5, -1.25, 2.0, 0.75, -0.5])
    z = np.array([0.1, 0.2, -0.3, 0.5, 0.0])
    plain, shifted = so.LeastSquares(y, intercept=True), so.LeastSquares(y + mean, intercept=True)
    assert shifted.value(z) == pytest.approx(plain.value(z), rel=1e-13)
    assert shifted.gradient(z) == pytest.approx(plain.gradient(z), abs=1e-14)
    assert shifted.dual(z, 0.7) == pytest.approx(plain.dual(z, 0.7), rel=1e-13)
    assert shifted.intercept(z) == pytest.approx(mean + plain.intercept(z), rel=1e-15)


def test_inputs_are_neither_changed_nor_kept_alive():
    d = data()
    before = {name: values.copy() for name, values in d.items()}
    datafit = so.LeastSquares(d["y"], d["sample_weight"], d["offset"], intercept=True)
    datafit.value(d["z"]), datafit.gradient(d["z"]), datafit.curvature(d["z"]), datafit.dual(d["z"], 1.0)
    assert all(np.array_equal(d[name], before[name]) for name in d)
    d["y"][:] = 0
    assert datafit.y.tolist() == before["y"].tolist()


def spd(seed=0, p=4, smallest=0.1):
    rng = np.random.default_rng(seed)
    V = np.linalg.qr(rng.standard_normal((p, p)))[0]
    H = V @ np.diag(np.geomspace(smallest, 2, p)) @ V.T
    return (H + H.T) / 2, rng.standard_normal(p)


def test_quadratic_value_gradient_and_curvature():
    H, b = spd()
    datafit, z = Quadratic(H, b), np.arange(4.0)
    assert datafit.value(z) == pytest.approx(sum(z[i] * H[i, j] * z[j] for i in range(4) for j in range(4)) / 2 - b @ z)
    assert datafit.gradient(z) == pytest.approx(difference_quotient(datafit.value, z), abs=1e-6)
    assert datafit.curvature(np.eye(4)) == pytest.approx(H)
    assert datafit.intercept(z) == 0
    assert pytest.approx(b) == H @ datafit.minimiser


def test_quadratic_dual_is_minus_the_conjugate():
    """-f*(v) = -(v + b)' H^-1 (v + b) / 2 at the best multiple v = alpha * gradient."""
    H, b = spd()
    datafit, rng = Quadratic(H, b), np.random.default_rng(0)
    for limit in (0.0, 0.4, 1.0, 3.0):
        z = rng.standard_normal(4)
        alphas = np.linspace(-limit, limit, 4001)
        shifted = alphas[:, None] * datafit.gradient(z) + b
        values = -0.5 * np.einsum("ij,ij->i", shifted, np.linalg.solve(H, shifted.T).T)
        assert datafit.dual(z, limit) == pytest.approx(values.max(), abs=1e-3)
        assert datafit.dual(z, limit) >= values.max() - 1e-12


def test_quadratic_dual_of_a_singular_matrix():
    inside, outside = Quadratic(np.diag([2.0, 0]), [1.0, 0]), Quadratic(np.diag([2.0, 0]), [1.0, 1.0])
    z = np.array([0.2, 5.0])
    assert inside.dual(z, 0.5) == pytest.approx(-((0.5 * 0.2 + 0.5 * 0.5) ** 2))  # m = z / 2 + c / 2, c = (1/2, 0)
    assert outside.dual(z, 0.5) == -np.inf
    assert outside.dual(z, 1.0) == pytest.approx(-0.5 * 2 * 0.2**2)
