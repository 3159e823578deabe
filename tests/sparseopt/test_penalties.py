"""One suite for every scalar penalty: prox, value, slope, inverse, traits, dtypes, array libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import SCALAR_PENALTIES

from sparseopt.penalties import ExpMask, Linear, Log, Power, Ratio, ScalarPenalty

EVERY = pytest.mark.parametrize("rho", SCALAR_PENALTIES, ids=repr)
STEPS = np.geomspace(1e-6, 1e4, 21)
EPS = {np.float32: float(np.finfo(np.float32).eps), np.float64: float(np.finfo(np.float64).eps)}


def norms(dtype=np.float64) -> np.ndarray:
    return np.concatenate([[0.0, 1e-8, 1e-7], np.geomspace(1e-6, 1e8, 85)]).astype(dtype)


def drop(rho, r, v, step):
    """(r - v)^2 / 2 + step * rho(r), less its value v^2 / 2 at r = 0, without the cancellation."""
    return r * (r / 2 - v) + step * rho.value(r)


def rounding(rho, r, v, step, eps=EPS[np.float64]):
    """Error bound of `drop`, a few eps of its two terms."""
    return 8 * eps * (r * np.abs(r / 2 - v) + step * rho.value(r))


@EVERY
def test_it_is_a_scalar_penalty(rho):
    assert isinstance(rho, ScalarPenalty)
    assert rho.convex == (rho.weak_convexity == 0)


@pytest.mark.sample(every=3)
@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_prox_beats_a_fine_grid_and_random_competitors(rho, dtype):
    """Tolerance: a relative error k eps of r moves the objective by (k eps v)^2 at a stationary point, and candidates
    are compared with a relative error of a few eps in the terms r (r/2 - v) and step rho(r)."""
    v = norms(dtype)
    rng = np.random.default_rng(0)
    fractions = np.concatenate([[0], np.geomspace(1e-12, 1, 1500), np.linspace(0, 1, 300), rng.uniform(0, 1.5, 200)])
    wide = v.astype(np.float64)
    for step in STEPS:
        r = rho.prox(v, float(step)).astype(np.float64)
        grid = wide[:, None] * fractions
        best = (drop(rho, grid, wide[:, None], step) + rounding(rho, grid, wide[:, None], step)).min(axis=1)
        mine = drop(rho, r, wide, step) - rounding(rho, r, wide, step, EPS[dtype])
        slack = (16 * EPS[dtype] * wide) ** 2
        assert np.all(mine <= best + slack), (step, wide[np.argmax(mine - best - slack)])


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_nonzero_prox_is_stationary_to_the_last_digits(rho, dtype):
    """r - v + step rho'(r) = 0, all terms at most v: a first-order check, far sharper than comparing values."""
    v = norms(dtype)
    for step in STEPS:
        r = rho.prox(v, float(step)).astype(np.float64)
        assert np.all((r >= 0) & (r <= v))
        active = r > 0
        pull = step * rho.slope(r[active])
        residual = np.abs(r[active] - v[active].astype(np.float64) + pull)
        assert np.all(residual <= 32 * EPS[dtype] * (v[active] + pull))


@EVERY
def test_value_is_zero_at_zero_and_increasing(rho):
    t = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 200)])
    values = rho.value(t)
    assert values[0] == 0
    assert np.all(np.diff(values) > 0)


@EVERY
def test_value_is_the_integral_of_the_slope(rho):
    """Gauss-Legendre in log t on intervals of a factor 10, where all slopes are analytic: error below 1e-12."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for low in 10.0 ** np.arange(-4, 5):
        logs = math.log(low) + (nodes + 1) / 2 * math.log(10)
        integral = (weights * rho.slope(np.exp(logs)) * np.exp(logs)).sum() * math.log(10) / 2
        ends = rho.value(np.array([low, 10 * low]))
        assert integral == pytest.approx(ends[1] - ends[0], rel=1e-11, abs=1e-14 * ends[1])


@EVERY
def test_weak_convexity_is_the_most_negative_curvature(rho):
    t = np.concatenate([np.geomspace(1e-6, 1e-2, 40), np.linspace(0.01, 20, 4000)])
    h = 1e-4 * np.minimum(t, 1)
    curvature = (rho.slope(t + h) - rho.slope(t - h)) / (2 * h)
    if rho.weak_convexity == math.inf:
        assert curvature.min() < -1e4
    else:
        assert -curvature.min() == pytest.approx(rho.weak_convexity, rel=1e-4, abs=1e-9)


@EVERY
def test_inverse_is_the_generalised_inverse(rho):
    """inf {t: rho(t) >= y}: rho reaches y there, and not before."""
    y = np.concatenate([np.geomspace(1e-8, 1, 60), [1.5, 2.0, 5.0]])
    t = rho.inverse(y)
    reached = np.isfinite(t)
    assert np.all(rho.value(t[reached]) >= y[reached] * (1 - 1e-12))
    assert np.all(rho.value(t[reached] * (1 - 1e-7)) < y[reached])
    assert np.all(rho.value(np.full((~reached).sum(), 1e15)) < y[~reached])
    assert np.all(rho.inverse(np.array([0.0, -1.0, -math.inf])) == 0)


def test_only_the_bounded_penalty_has_an_infinite_inverse():
    y = np.array([np.nextafter(1, 0), 1.0, 1.5])
    for rho in SCALAR_PENALTIES:
        assert np.isinf(rho.inverse(y)).tolist() == ([False, True, True] if rho == Ratio() else [False] * 3)


@EVERY
@pytest.mark.parametrize("method", ["value", "slope", "prox", "inverse"])
def test_dtype_and_shape_are_kept_and_the_input_is_untouched(rho, method):
    for dtype in (np.float32, np.float64):
        for shape in [(1,), (5,), (2, 3), ()]:
            t = np.full(shape, 0.7, dtype=dtype)
            before = t.copy()
            result = getattr(rho, method)(t)
            assert result.dtype == dtype
            assert result.shape == shape
            assert np.array_equal(t, before)
            if shape:
                assert not np.shares_memory(result, t)


@EVERY
def test_steps_may_be_numbers_or_arrays(rho):
    v = np.array([0.1, 1.0, 10.0], dtype=np.float32)
    steps = np.array([0.01, 0.3, 2.0])
    expected = [rho.prox(v[i : i + 1], float(s))[0] for i, s in enumerate(steps)]
    result = rho.prox(v, steps)
    assert result.dtype == np.float32
    assert result.tolist() == expected
    assert rho.prox(v, np.float64(0.3)).dtype == np.float32
    assert np.array_equal(rho.prox(v, 0), v)


@EVERY
def test_out_may_be_the_input(rho):
    v = norms()
    expected = rho.prox(v, 0.7)
    buffer = v.copy()
    assert rho.prox(buffer, 0.7, out=buffer) is buffer
    assert np.array_equal(buffer, expected)
    with pytest.raises(ValueError, match="out has shape"):
        rho.prox(v, 0.7, out=np.empty(3))


@EVERY
def test_extreme_norms_do_not_overflow(rho):
    v = np.array([0.0, 5e-324, 1e-300, 1e-160, 1e155, 1e300])
    r = rho.prox(v, 1.0)
    assert r[-2:] == pytest.approx(v[-2:], rel=1e-15)
    assert np.all((r >= 0) & (r <= v))


@EVERY
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numpy_torch_and_the_strict_namespace_agree(rho, dtype, xp):
    v = norms(np.dtype(dtype).type)
    tolerance = 64 * EPS[np.dtype(dtype).type]
    for method, arguments in [("value", ()), ("slope", ()), ("inverse", ()), ("prox", (0.3,)), ("prox", (20.0,))]:
        t = np.minimum(v, 50) if method == "inverse" else v
        expected = getattr(rho, method)(t, *arguments)
        result = getattr(rho, method)(xp.asarray(t), *arguments)
        assert result.dtype == getattr(xp, dtype)
        close = np.isclose(np.asarray(result), expected, rtol=tolerance * (50 if method == "inverse" else 1), atol=0)
        # libraries may round differently at a jump, where both candidates are minimisers
        assert close.mean() >= (0.97 if method == "prox" else 1.0), (method, v[~close])


def test_ties_go_to_the_smaller_norm():
    """Exactly representable ties: D(r) = 0 and D'(r) = 0 at an r > 0 (ledger D7)."""
    ties = [
        (Linear(), 3.0, 3.0),
        (Power(0.5), 1.5, 1.0),
        (Ratio(), 1.5, 2.0),
        (Ratio(), 3.5, 8.0),
        (Log(1.0), 1.0, 1.0),
    ]
    for rho, v, step in ties:
        assert rho.prox(np.array([v]), step)[0] == 0, rho
        assert rho.prox(np.array([v * (1 + 1e-12)]), step)[0] > 0, rho


def test_prox_of_the_square_root_in_closed_form():
    v, lam = np.meshgrid(np.geomspace(1e-3, 1e3, 60), np.geomspace(1e-3, 1e2, 20))
    inside = v <= 1.5 * lam ** (2 / 3)
    phi = np.arccos(np.minimum(lam / 4 * (v / 3) ** -1.5, 1))
    expected = np.where(inside, 0, 2 / 3 * v * (1 + np.cos(2 * np.pi / 3 - 2 * phi / 3)))
    found = Power(0.5).prox(v, lam)
    assert np.array_equal(found == 0, expected == 0)
    assert found == pytest.approx(expected, rel=1e-13)


def test_prox_of_the_two_thirds_power_in_closed_form():
    v, lam = np.meshgrid(np.geomspace(1e-2, 1e2, 60), np.geomspace(1e-2, 1e2, 20))
    inside = v <= 2 * (2 * lam / 3) ** 0.75
    argument = np.maximum(27 * v**2 / (16 * (2 * lam) ** 1.5), 1)
    A = 2 / math.sqrt(3) * (2 * lam) ** 0.25 * np.cosh(np.arccosh(argument) / 3) ** 0.5
    root = ((A + np.sqrt(np.maximum(2 * v / A - A**2, 0))) / 2) ** 3
    found = Power(2 / 3).prox(v, lam)
    assert np.array_equal(found == 0, inside)
    assert found == pytest.approx(np.where(inside, 0, root), rel=1e-9)  # the closed form loses digits in its roots


@pytest.mark.parametrize("q", [0.1, 0.5, 2 / 3, 0.9])
def test_jump_of_the_power_prox(q):
    for lam in (1e-3, 1.0, 50.0):
        jump = (2 * lam * (1 - q)) ** (1 / (2 - q))
        threshold = (2 - q) / (2 * (1 - q)) * jump
        below, above = Power(q).prox(threshold * np.array([1 - 1e-9, 1 + 1e-9]), lam)
        assert below == 0
        assert above == pytest.approx(jump, rel=1e-6)


@pytest.mark.parametrize("eps", [0.3, 1.0, 2.0])
def test_prox_of_the_log_sum_in_closed_form(eps):
    v, lam = np.meshgrid(np.geomspace(1e-2, 1e2, 60), np.geomspace(1e-2, 1e2, 20))
    root = 0.5 * (v - eps + np.sqrt(np.maximum((v + eps) ** 2 - 4 * lam, 0)))
    root = np.where(((v + eps) ** 2 >= 4 * lam) & (root > 0), root, 0)
    lower = (root - v) ** 2 / 2 + lam * np.log1p(root / eps) < v**2 / 2 * (1 - 1e-15)
    found = Log(eps).prox(v, lam)
    assert found == pytest.approx(np.where(lower, root, 0), rel=1e-9, abs=1e-12)


def test_exp_mask_is_the_minimum_over_the_mask():
    """q(a) = min over w of w^2 + (a e^-w)^2 (ledger A1), on a fine grid of w."""
    a = np.geomspace(1e-3, 1e3, 25)
    w = np.geomspace(1e-7, 10, 400_001)
    brute = [(w**2 + (t * np.exp(-w)) ** 2).min() for t in a]
    assert ExpMask().value(a) == pytest.approx(brute, rel=1e-8)


def test_exp_mask_has_no_dead_zone():
    v = np.array([1e-300, 1e-12, 1e-8, 1e-5])
    for lam in (1e-3, 1.0, 5.0, 10.5, 12.0, 1e4):
        assert ExpMask().prox(v, lam) == pytest.approx(v / (1 + 2 * lam), rel=1e-8)


def test_exp_mask_inflection_and_growth():
    inflection = math.sqrt(math.e / 2)
    h = 1e-4
    t = np.array([inflection - 0.01, inflection + 0.01])
    curvature = (ExpMask().slope(t + h) - ExpMask().slope(t - h)) / (2 * h)
    assert curvature[0] > 0 > curvature[1]
    assert ExpMask().value(np.array([inflection]))[0] == pytest.approx(0.75, rel=1e-14)
    assert ExpMask().value(np.array([1e16]))[0] / math.log(1e16) ** 2 == pytest.approx(0.93, abs=0.005)


@given(seed=st.integers(0, 2**32 - 1), q=st.sampled_from([0.3, 0.5, 2 / 3, 0.9]))
def test_power_prox_is_homogeneous(seed, q):
    rng = np.random.default_rng(seed)
    v, step, c = rng.uniform(0, 10, 50), rng.uniform(0.01, 5), 2.0 ** rng.integers(-20, 20)
    scaled = Power(q).prox(c * v, c ** (2 - q) * step) / c
    plain = Power(q).prox(v, step)
    close = np.isclose(scaled, plain, rtol=1e-12)
    assert close.sum() >= 49  # one may sit at the jump


@pytest.mark.parametrize("rho", [Linear(), Log(0.3), Log(1.0), Ratio(), Power(0.5), ExpMask()], ids=repr)
def test_derivatives_by_torch(rho):
    torch = pytest.importorskip("torch")
    t = torch.tensor([0.3, 1.1, 4.0, 7.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rho.value, (t,))
    (slope,) = torch.autograd.grad(rho.value(t).sum(), t)
    assert torch.allclose(slope, rho.slope(t.detach()), rtol=1e-10)
    assert torch.autograd.gradcheck(lambda v: rho.prox(v, 0.1), (t,), atol=1e-6)


@pytest.mark.parametrize("q", [0.0, 1.0, 1.5, -0.5, math.nan, math.inf, "half", None])
def test_power_refuses_other_exponents(q):
    with pytest.raises(ValueError, match=r"^q is"):
        Power(q)


@pytest.mark.parametrize("eps", [0.0, -1.0, math.nan, math.inf])
def test_log_refuses_other_scales(eps):
    with pytest.raises(ValueError, match="eps is"):
        Log(eps)


@EVERY
@pytest.mark.parametrize("dtype", ["int64", "bool"])
@pytest.mark.parametrize("method", ["value", "slope", "prox", "inverse"])
def test_integers_and_booleans_count_as_float64(rho, method, dtype, xp):
    t = np.array([0, 1, 2]).astype(dtype)
    expected = getattr(rho, method)(t.astype(np.float64))
    result = getattr(rho, method)(xp.asarray(t))
    assert result.dtype == xp.float64
    assert np.allclose(np.asarray(result), expected, rtol=1e-14)


@EVERY
def test_prox_refuses_negative_steps_and_other_dtypes(rho):
    for step in (-1, -1e-300, math.nan, np.float32(-1), np.array([1.0, math.nan])):
        with pytest.raises(ValueError, match=r"^step is .*: give numbers >= 0"):
            rho.prox(np.ones(2), step)
    for v, out in [(np.ones(2), np.ones(2, np.float32)), (np.ones(2, int), np.ones(2, int))]:
        with pytest.raises(ValueError, match=r"^out has dtype"):
            rho.prox(v, 1.0, out=out)
    with pytest.raises(ValueError, match="dtype complex128: give real numbers"):
        rho.value(np.ones(2, complex))
