"""The regulariser of Theorem 1.1: values, the generalised inverse, gradient, Lemmas 2.4 and 2.5."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import SCALAR_PENALTIES, uneven_groups

import sparseopt as so
from sparseopt.penalties import ExpMask, Linear, Log, Power, Ratio

GROUPS = uneven_groups()
SUBADDITIVE = [rho for rho in SCALAR_PENALTIES if rho != ExpMask()]


def slow_norms(groups, w):
    return [math.sqrt(sum(float(x) ** 2 for x in np.ravel(w[groups.members(g)]))) for g in range(groups.n_groups)]


def ratio_inverse(y):
    return y / (1 - y) if y < 1 else math.inf


@pytest.mark.parametrize(
    ("rho", "naive"),
    [
        (Linear(), lambda a: sum(a)),
        (Power(0.5), lambda a: sum(math.sqrt(x) for x in a) ** 2),
        (Power(2 / 3), lambda a: sum(x ** (2 / 3) for x in a) ** 1.5),
        (Log(0.3), lambda a: 0.3 * (math.prod(1 + x / 0.3 for x in a) - 1)),
        (Ratio(), lambda a: ratio_inverse(sum(x / (1 + x) for x in a))),
    ],
    ids=["Linear", "square root", "two thirds", "Log", "Ratio"],
)
def test_value_is_the_inverse_of_the_sum(rho, naive):
    rng = np.random.default_rng(0)
    for w in (rng.standard_normal(7), 0.1 * rng.standard_normal(7), 0.05 * rng.standard_normal((7, 2))):
        expected = 1.7 * naive(slow_norms(GROUPS, w))
        assert so.InverseSum(1.7, GROUPS, rho).value(w) == pytest.approx(expected, rel=1e-12)


def test_value_is_not_the_sum():
    w = np.ones(7)
    R = so.InverseSum(1.0, GROUPS, Power(0.5))
    assert R.value(w) > 1.5 * sum(math.sqrt(a) for a in slow_norms(GROUPS, w))


def test_value_is_infinite_beyond_a_bounded_q():
    R = so.InverseSum(2.0, so.Groups.uniform(2, 1), Ratio())
    assert R.value(np.array([2.0, 2.0])) == math.inf  # 4/3 > 1
    assert R.value(np.array([1.0, 1.0])) == math.inf  # exactly 1, the supremum, which is not attained
    assert R.value(np.array([0.5, 0.5])) == pytest.approx(2 * 2.0)
    assert R.value(np.array([1e30, 0.0])) == 2e30
    with pytest.raises(ValueError, match="inf at this w"):
        R.gradient(np.array([2.0, 2.0]))


@pytest.mark.parametrize("rho", SCALAR_PENALTIES, ids=repr)
def test_one_active_group_is_charged_exactly_its_norm(rho):
    R = so.InverseSum(0.3, GROUPS, rho)
    assert R.value(np.zeros(7)) == 0
    for scale in (1e-200, 1e-3, 1.0, 1e3, 1e200):
        w = np.zeros(7)
        w[[0, 6]] = scale * np.array([3.0, 4.0])
        assert R.value(w) == 0.3 * GROUPS.norms(w)[1]
        assert R.value(w) == R.companion.value(w)


def test_the_companion_is_the_unweighted_group_lasso():
    R = so.InverseSum(0.3, GROUPS, Power(0.5))
    assert isinstance(R.companion, so.GroupLasso)
    assert R.companion.strength.tolist() == [0.3] * 3
    assert R.with_lam(2.0).companion.lam == 2.0
    assert R.with_lam(2.0).rho == Power(0.5)
    assert not R.convex


@given(seed=st.integers(0, 2**32 - 1), n_groups=st.integers(1, 6), log_scale=st.integers(-6, 3))
def test_lemma_2_4_the_group_lasso_is_below(seed, n_groups, log_scale):
    """sum |u_g| <= R_q(u) for increasing subadditive q.  Tolerance: q^-1 magnifies the rounding error of the sum."""
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes(rng.integers(1, 4, n_groups))
    u = 10.0**log_scale * rng.standard_normal(groups.n_features) * rng.choice([0.0, 1.0], groups.n_features)
    for rho in SUBADDITIVE:
        value = so.InverseSum(1.0, groups, rho).value(u)
        if math.isfinite(value):
            assert sum(slow_norms(groups, u)) <= value * (1 + 1e-12) + 1e-15, rho


def test_the_exp_mask_breaks_lemma_2_4():
    u = np.array([0.5, 0.5])
    value = so.InverseSum(1.0, so.Groups.uniform(2, 1), ExpMask()).value(u)
    assert value < 1.0 - 0.1


@pytest.mark.parametrize("rho", SCALAR_PENALTIES, ids=repr)
def test_gradient_against_finite_differences(rho):
    rng = np.random.default_rng(0)
    R = so.InverseSum(1.3, GROUPS, rho)
    for w in (0.2 * rng.standard_normal(7), 0.1 * rng.standard_normal((7, 2))):
        gradient = R.gradient(w)
        for index in np.ndindex(w.shape):
            h = np.zeros_like(w)
            h[index] = 1e-6
            difference = (R.value(w + h) - R.value(w - h)) / 2e-6
            assert gradient[index] == pytest.approx(difference, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("rho", [Linear(), Power(0.5), Log(1.0)], ids=repr)
def test_gradient_at_extreme_scales_and_zero_groups(rho):
    w = np.array([0.0, 1.0, 0, 0, 0, 0, 0.0])
    R = so.InverseSum(1.0, GROUPS, rho)
    assert R.gradient(w) == pytest.approx(w)
    assert R.gradient(1e-300 * w) == pytest.approx(w)
    assert R.gradient(np.zeros(7)).tolist() == [0] * 7


@pytest.mark.parametrize("rho", SCALAR_PENALTIES, ids=repr)
def test_every_library_gives_the_same(rho, xp):
    R, rng = so.InverseSum(1.3, GROUPS, rho), np.random.default_rng(0)
    for w in (0.2 * rng.standard_normal(7), 0.1 * rng.standard_normal((7, 2)), np.eye(7)[0], np.zeros(7)):
        assert float(R.value(xp.asarray(w))) == pytest.approx(float(R.value(w)), rel=1e-12)
        assert np.asarray(R.gradient(xp.asarray(w))) == pytest.approx(R.gradient(w), rel=1e-12)


@pytest.mark.parametrize("rho", [Linear(), Power(0.5), Log(1.0), Ratio()], ids=repr)
def test_gradient_is_that_of_torch(rho):
    torch = pytest.importorskip("torch")
    w = torch.tensor(0.1 + 0.1 * np.random.default_rng(0).uniform(size=7), requires_grad=True)
    R = so.InverseSum(1.3, GROUPS, rho)
    assert torch.autograd.gradcheck(R.value, (w,))
    (gradient,) = torch.autograd.grad(R.value(w), w)
    assert torch.allclose(gradient, R.gradient(w.detach()), rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    w = np.ones(7, dtype=dtype)
    R = so.InverseSum(1.3, GROUPS, Power(0.5))
    assert R.value(w).dtype == dtype
    assert R.gradient(w).dtype == dtype
    assert w.tolist() == [1] * 7


def test_rho_must_have_an_inverse():
    with pytest.raises(ValueError, match="without value and slope and inverse"):
        so.InverseSum(1.0, GROUPS, "sqrt")


@pytest.mark.parametrize("rho", SCALAR_PENALTIES, ids=repr)
@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_and_booleans_count_as_float64(rho, dtype, xp):
    R, integers = so.InverseSum(0.3, GROUPS, rho), np.array([0, 0, 1, 0, 0, 1, 0]).astype(dtype)
    w, exact = xp.asarray(integers), integers.astype(np.float64)
    assert float(R.value(w)) == pytest.approx(float(R.value(exact)), rel=1e-14)
    assert np.allclose(np.asarray(R.gradient(w)), R.gradient(exact), rtol=1e-14)
