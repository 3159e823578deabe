"""Values, gradients, Hessians, curvature bounds, intercepts and conjugates of the losses beyond least squares."""

from __future__ import annotations

import numpy as np
import pytest
from glm import CLASSES, LOSSES, WITH_INTERCEPT, N, datafit, shape_of, slow_value

import sparseopt as so

CASES = [(name, False) for name in LOSSES] + [(name, True) for name in WITH_INTERCEPT]
EVERY = pytest.mark.parametrize(("name", "intercept"), CASES)
SEEDS = range(4)


def points(fit, seed, count, scale=1.0):
    rng = np.random.default_rng(seed + 50)
    return [scale * rng.standard_normal(shape_of(fit)) for _ in range(count)]


@EVERY
def test_value_is_the_mean_of_the_losses_at_the_best_intercept(name, intercept):
    for seed in SEEDS:
        fit = datafit(name, seed, intercept=intercept, plain=seed == 0)
        (z,) = points(fit, seed, 1)
        b = fit.intercept(z)
        best = slow_value(fit, z + fit.offset + b)
        assert fit.value(z) == pytest.approx(best, rel=1e-12, abs=1e-14)
        for shift in (1e-3, -1e-3, 0.3, -0.3) if intercept else ():
            direction = shift * np.eye(CLASSES)[0] if fit.n_outputs else shift
            assert slow_value(fit, z + fit.offset + b + direction) >= best - 1e-13


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_hessian_of_cox_along_a_direction_least_at_the_last_death(ties):
    """Less its least entry such a direction vanishes on the last risk set."""
    fit = so.Cox([1, 1, 2, 3, 4], [1, 1, 1, 0, 1], ties)
    z, d, h = np.array([0.3, -0.2, 0.1, 0.5, -0.4]), np.array([0.5, 0.2, 0.1, 0.4, -1.0]), 1e-5
    bent = (fit.gradient(z + h * d) - fit.gradient(z - h * d)) / (2 * h)
    np.testing.assert_allclose(fit.hessian(z, d), bent, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 30.0, 400.0])
@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_hessian_of_cox_in_coefficients_is_that_along_their_columns(ties, scale):
    """Also where the sums over risk sets differ by more than the range of floats."""
    rng = np.random.default_rng(3)
    X, z = rng.standard_normal((60, 7)) + 3, scale * rng.standard_normal(60)
    time, event = np.ceil(5 * rng.exponential(size=60)), rng.random(60) < 0.7
    fit = so.Cox(time, event, ties, sample_weight=rng.uniform(0, 2, 60) * (rng.random(60) < 0.9))
    found, wanted = fit.hessian_of_columns(X, z), X.T @ np.stack([fit.hessian(z, x) for x in X.T], axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("intercept", [False, True])
def test_multinomial_hessian_of_the_first_classes(intercept):
    fit, X = datafit("Multinomial", intercept=intercept), np.random.default_rng(4).standard_normal((N, 3))
    (z,) = points(fit, 0, 1)
    every = fit.hessian_of_columns(X, z).reshape(3, CLASSES, 3, CLASSES)
    few = fit.hessian_of_columns(X, z, CLASSES - 1).reshape(3, CLASSES - 1, 3, CLASSES - 1)
    np.testing.assert_allclose(few, every[:, :-1, :, :-1], atol=1e-15)


@pytest.mark.parametrize("name", [name for name in WITH_INTERCEPT if name != "Multinomial"])
def test_a_large_constant_in_z_costs_no_balance(name):
    """The constant of z is lost in the intercept; what matters is that the gradient still sums to 0."""
    fit = datafit(name, intercept=True, plain=True)
    z = np.round(points(fit, 0, 1)[0] * 2**20) / 2**20  # z + 1e9 is a float
    slopes = fit.gradient(z + 1e9)
    np.testing.assert_allclose(slopes, fit.gradient(z), rtol=1e-12, atol=1e-15)
    assert np.abs(slopes.sum(axis=0)).max() <= 16 * len(slopes) * np.finfo(float).eps * np.abs(slopes).max()


@EVERY
def test_the_curvature_bound_dominates_the_hessian_everywhere(name, intercept):
    fit = datafit(name, intercept=intercept)
    if name == "Poisson":
        with pytest.raises(ValueError, match="no bound on its curvature"):
            fit.curvature(np.ones(N))
        assert fit.smoothness_bound == np.inf
        return
    C = fit.curvature(np.eye(N))
    np.testing.assert_allclose(C, C.T, atol=1e-15)
    np.testing.assert_allclose(fit.curvature(np.ones(N)), C @ np.ones(N), atol=1e-15)
    for z, d in zip(points(fit, 1, 30, 2.0), points(fit, 2, 30), strict=True):
        assert np.vdot(d, fit.hessian(z, d)) <= np.vdot(d, C @ d) + 1e-14
    assert np.linalg.eigvalsh(C)[-1] <= fit.smoothness_bound * fit.share.max() * (1 if "Cox" not in name else N) + 1e-12


@EVERY
def test_the_conjugate_is_a_supremum(name, intercept):
    """Ascent on <u, z> - f(z) from 0 comes as close to f*(u) as one likes, and never above."""
    fit = datafit(name, 1, intercept=intercept)
    u = 0.7 * fit.gradient(points(fit, 3, 1)[0])
    z = np.zeros(shape_of(fit))
    majorised = name == "Huber" or name.startswith("Cox")
    inverse = np.linalg.pinv(fit.curvature(np.eye(N)), hermitian=True) if majorised else None
    for _ in range(3000 if majorised else 40):
        d = u - fit.gradient(z)
        z = z + (inverse @ d if majorised else _newton_direction(fit, z, d))
    reached = np.vdot(u, z) - fit.value(z)
    assert reached <= fit.conjugate(u) + 1e-12
    assert reached >= fit.conjugate(u) - 1e-6


def _newton_direction(fit, z, d):
    size = z.size
    H = np.stack([fit.hessian(z, e.reshape(z.shape)).ravel() for e in np.eye(size)], axis=1)
    return np.linalg.lstsq(H + 1e-12 * np.eye(size), d.ravel(), rcond=None)[0].reshape(z.shape)


@pytest.mark.parametrize("name", LOSSES)
def test_outside_the_domain_the_conjugate_is_infinite(name):
    if name in ("LeastSquares", "MultiResponse"):
        fit = datafit(name, intercept=True)
        assert fit.conjugate(np.ones(shape_of(fit))) == np.inf
        return
    fit = datafit(name, plain=True)
    assert fit.conjugate(-100 * np.ones(shape_of(fit))) == np.inf


@pytest.mark.sample(every=3)
@EVERY
def test_dual_is_the_best_multiple_and_below_the_loss(name, intercept):
    for seed in SEEDS:
        fit = datafit(name, seed, intercept=intercept)
        (z,) = points(fit, seed, 1)
        gradient = fit.gradient(z)
        for limit in (0.2, 0.8, 1.0, 1.5, np.inf):
            found = fit.dual(z, limit)
            top = min(limit, 1.0 if name.startswith("Cox") else 3.0)
            grid = [-fit.conjugate(a * gradient) for a in np.linspace(0, top, 200)]
            if name == "CoxEfron":  # a lower bound of the best multiple, with equality at 1
                assert found <= max(grid) + 1e-3
                assert found >= (grid[-1] if top == 1 else 0.0) - 1e-12
            else:
                assert found >= max(grid) - 1e-12
            assert found <= fit.value(np.zeros_like(z)) + 1e-12


@EVERY
def test_integer_weights_are_duplicated_samples(name, intercept):
    if name == "CoxEfron":
        pytest.skip("Efron's correction treats duplicates as ties, so that a weight of 2 is something else")
    fit = datafit(name, plain=True, intercept=intercept)
    counts = np.arange(N) % 3
    keep = np.repeat(np.arange(N), counts)
    rebuilt = _rebuilt(fit, np.arange(N), counts), _rebuilt(fit, keep, None)
    (z,) = points(fit, 0, 1)
    assert rebuilt[0].value(z) == pytest.approx(rebuilt[1].value(z[keep]), rel=1e-12)
    gathered = np.zeros_like(z)
    np.add.at(gathered, keep, rebuilt[1].gradient(z[keep]))
    np.testing.assert_allclose(rebuilt[0].gradient(z), gathered, atol=1e-14)


def _rebuilt(fit, rows, weight):
    options = {"sample_weight": weight} | ({"intercept": True} if fit.fit_intercept else {})
    if isinstance(fit, so.Cox):
        return so.Cox(fit.time[rows], fit.event[rows], fit.ties, sample_weight=weight)
    if isinstance(fit, so.MultiResponse):
        return so.MultiResponse(fit.Y[rows], **options)
    if isinstance(fit, so.Multinomial):
        return so.Multinomial(fit.y[rows], n_classes=CLASSES, **options)
    if isinstance(fit, so.Huber):
        return so.Huber(fit.y[rows], fit.delta, **options)
    return type(fit)(fit.y[rows], **options)


@EVERY
@pytest.mark.parametrize("size", [1e3, -1e3])
def test_far_out_nothing_overflows(name, intercept, size):
    """z of +-1000 gives finite values and gradients; Poisson alone may be huge, and is then left out."""
    for seed in SEEDS:
        fit = datafit(name, seed, intercept=intercept)
        rng = np.random.default_rng(seed)
        z = size * rng.choice([-1.0, 1.0], shape_of(fit))
        if name == "Poisson" and not intercept:
            z = -np.abs(z)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            value, gradient, dual = fit.value(z), fit.gradient(z), fit.dual(z, 0.7)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
        assert dual <= value + 1e-9 * abs(value)
        if intercept:
            assert np.abs(gradient.sum(axis=0)).max() <= 1e-12 * max(np.abs(gradient).sum(), 1)


@EVERY
@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_a_point_that_diverged_has_no_value(name, intercept, entry):
    """Solvers try steps that overflow, and go back where the value is no number: nothing may be raised there."""
    fit = datafit(name, intercept=intercept, plain=True)
    z = np.zeros(shape_of(fit))
    z[([0, 1], [1, 0])[: z.ndim]] = entry
    with np.errstate(all="ignore"):
        assert not np.isfinite(fit.value(z))
        assert fit.gradient(z).shape == z.shape


@pytest.mark.parametrize("name", WITH_INTERCEPT)
def test_a_huge_offset_is_taken_up_by_the_intercept(name):
    fit = datafit(name, plain=True, intercept=True)
    far = _rebuilt(fit, np.arange(N), None)
    far.offset = far.offset + 1e4
    if hasattr(far, "target"):
        return  # fixed in the constructor; covered by the tests of least squares
    (z,) = points(fit, 0, 1)
    assert far.value(z) == pytest.approx(fit.value(z), rel=1e-10)
    np.testing.assert_allclose(far.gradient(z), fit.gradient(z), atol=1e-11)
    assert far.dual(z, 0.9) == pytest.approx(fit.dual(z, 0.9), rel=1e-9)


def test_intercepts_do_not_depend_on_what_was_computed_before():
    for name in WITH_INTERCEPT:
        fit = datafit(name, intercept=True)
        z, other = points(fit, 0, 2, 3.0)
        first = fit.intercept(z)
        fit.gradient(other)
        assert np.array_equal(fit.intercept(z), first)


def test_one_class_alone_has_a_large_finite_intercept():
    z = np.linspace(-3, 3, 5)
    assert 40 <= so.Logistic(np.ones(5), intercept=True).intercept(z) < 100
    assert so.Logistic(np.zeros(5), intercept=True).value(z) < 1e-16
    assert so.Poisson(np.zeros(5), intercept=True).value(z) < 1e-16
    absent = so.Multinomial([0, 1, 0, 1, 0], n_classes=4, intercept=True)
    assert np.isfinite(absent.intercept(np.zeros((5, 4)))).all()
    assert np.abs(absent.gradient(np.zeros((5, 4)))[:, 2:]).max() < 1e-16


def test_two_classes_of_the_multinomial_are_the_logistic_loss():
    fit = datafit("Logistic", plain=True, intercept=True)
    twin = so.Multinomial(fit.y, intercept=True)
    (z,) = points(fit, 0, 1)
    stacked = np.stack([np.zeros(N), z], axis=1)
    assert twin.value(stacked) == pytest.approx(fit.value(z), rel=1e-12)
    np.testing.assert_allclose(twin.gradient(stacked)[:, 1], fit.gradient(z), atol=1e-15)
    difference = twin.intercept(stacked) @ [-1, 1]
    assert difference == pytest.approx(fit.intercept(z), abs=1e-12)


def test_breslow_and_efron_agree_without_ties():
    rng = np.random.default_rng(0)
    time, event = rng.permutation(N), rng.uniform(size=N) < 0.6
    breslow, efron = so.Cox(time, event), so.Cox(time, event, "efron")
    z = rng.standard_normal(N)
    assert breslow.value(z) == pytest.approx(efron.value(z), rel=1e-13)
    assert breslow.conjugate(0.5 * breslow.gradient(z)) == pytest.approx(efron.conjugate(0.5 * efron.gradient(z)))


def test_cox_does_not_see_a_constant_nor_the_clock():
    fit = datafit("Cox")
    (z,) = points(fit, 0, 1)
    assert fit.value(z + 700) == pytest.approx(fit.value(z), rel=1e-10)
    later = so.Cox(np.exp(fit.time), fit.event, sample_weight=fit.sample_weight, offset=fit.offset)
    np.testing.assert_array_equal(later.gradient(z), fit.gradient(z))


REFUSED = [
    (lambda: so.Logistic([0, 1, 2]), "allowed are -1 and 1, or 0 and 1"),
    (lambda: so.Logistic(["a", "b"]), "dtype"),
    (lambda: so.Multinomial([0, 1, 1.5]), "integers 0..K-1"),
    (lambda: so.Multinomial([0, -1]), "integers 0..K-1"),
    (lambda: so.Multinomial([0, 0]), "label 0 only"),
    (lambda: so.Multinomial([0, 3], n_classes=3), "n_classes is 3"),
    (lambda: so.Poisson([1, -1]), r"y\[1\] is -1: counts must not be negative"),
    (lambda: so.Huber([1.0], 0.0), "delta is 0"),
    (lambda: so.MultiResponse([1.0, 2.0]), "dimensions"),
    (lambda: so.Cox([1, 2], [0, 0]), "no event"),
    (lambda: so.Cox([1, 2], [0, 2]), r"event\[1\] is 2"),
    (lambda: so.Cox([1, 2], [1]), "event has 1 entries"),
    (lambda: so.Cox([1, 2], [1, 1], ties="exact"), "ties is 'exact'"),
    (lambda: so.Cox([1, 2], [1, 1], intercept=True), "a constant cancels"),
    (lambda: so.Logistic([0, 1], sample_weight=[1, -1]), r"sample_weight\[1\] is -1"),
    (lambda: so.Huber([1.0, 2.0], offset=[1.0]), "offset has shape"),
    (lambda: so.MultiResponse([[1.0, 2.0]], offset=[[1.0]]), "1 samples and 2 outputs"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused_with_advice(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_intercepts_take_few_evaluations(monkeypatch):
    """Newton's method ends where rounding does, and is not taken for one that fails to converge."""
    rng, counts = np.random.default_rng(0), []
    slopes = so.Logistic.slopes

    def counted(self, eta):
        counts[-1] += 1
        return slopes(self, eta)

    monkeypatch.setattr(so.Logistic, "slopes", counted)
    for size in (0.01, 0.1, 1.0, 10.0) * 50:
        datafit = so.Logistic(np.arange(200) % 2, intercept=True)
        counts.append(0)
        z = size * rng.standard_normal(200)
        b = datafit.intercept(z)
        assert abs(slopes(datafit, z + b).sum()) <= 200 * np.finfo(float).eps * (1 + np.abs(z).max())
    assert np.mean(counts) <= 8
