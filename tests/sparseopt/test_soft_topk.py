"""The soft top-k operator: its defining properties, edge cases, derivatives and certificate."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparseopt as so

DTYPES = [np.float16, np.float32, np.float64]
SUM_ERROR = {np.float32: 1e-7, np.float64: 4e-15}


@st.composite
def problems(draw):
    """(x [n], k, tau) with 0 < k < n: Gaussian, tied or heavy-tailed entries, any temperature."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 40))
    kind = draw(st.sampled_from(["gauss", "ties", "cauchy", "equal"]))
    x = {"gauss": rng.normal(size=n), "ties": rng.integers(0, 4, n) / 2, "cauchy": rng.standard_cauchy(n)}.get(kind)
    x = np.ones(n) if x is None else x
    return x, draw(st.integers(1, n - 1)), 10.0 ** draw(st.integers(-3, 3))


def exactly(x, k, tau):
    """(f, J) in 50 digits: bisection of sum f = k, independent of the code."""
    with mpmath.workdps(50):
        z = [mpmath.mpf(float(a)) / mpmath.mpf(float(tau)) for a in x]
        low, high = -max(z) - 150, -min(z) + 150
        for _ in range(240):
            t = (low + high) / 2
            low, high = (low, t) if sum(1 / (1 + mpmath.exp(-a - t)) for a in z) > k else (t, high)
        f = [1 / (1 + mpmath.exp(-a - t)) for a in z]
        v = [a / (1 + mpmath.exp(b + t)) for a, b in zip(f, z, strict=True)]
        total = sum(v)
        jacobian = [[((a if i == j else 0) - a * b / total) / tau for j, b in enumerate(v)] for i, a in enumerate(v)]
        return (
            np.array(f, float),
            np.array(jacobian, float).reshape(len(f), len(f)),
            np.array([a / total for a in v], float),
        )


@given(problems())
def test_sum_order_and_log_odds(problem):
    x, k, tau = problem
    f = so.soft_topk(x, k, tau)
    assert abs(math.fsum(f) - k) <= 4e-15 * k
    assert ((f >= 0) & (f <= 1)).all()
    order = np.argsort(x, kind="stable")
    assert (np.diff(f[order]) >= 0).all()
    assert (f[order][1:] == f[order][:-1])[np.diff(x[order]) == 0].all()
    inner = (f > 1e-6) & (f < 1 - 1e-6)
    odds = np.log(f[inner] / (1 - f[inner])) - x[inner] / tau
    # f = 1 - 1e-6 keeps ten digits of 1 - f; x / tau is rounded
    assert np.ptp(odds) <= 1e-9 + 1e-14 * np.abs(x[inner]).max(initial=0) / tau if inner.any() else True


@given(problems())
def test_symmetries(problem):
    x, k, tau = problem
    f, n = so.soft_topk(x, k, tau), len(x)
    np.testing.assert_allclose(so.soft_topk(-x, n - k, tau), 1 - f, atol=1e-13)
    np.testing.assert_array_equal(so.soft_topk(4.0 * x, k, 4.0 * tau), f)
    p = np.random.default_rng(0).permutation(n)
    np.testing.assert_allclose(so.soft_topk(x[p], k, tau), f[p], atol=1e-12)
    dyadic = np.round(x * 64) / 64
    dyadic = np.clip(dyadic, -1e6, 1e6)
    np.testing.assert_allclose(so.soft_topk(dyadic + 8.0, k, tau), so.soft_topk(dyadic, k, tau), atol=1e-13)


@pytest.mark.sample(every=7)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tau", [1.0, 1e-1, 1e-2, 1e-3, 1e-6])
def test_value_and_derivatives_in_50_digits(tau, dtype):
    rng = np.random.default_rng(0)
    for k in (1, 4, 11):
        x, g = rng.normal(size=12).astype(dtype), rng.normal(size=12).astype(dtype)
        x[:4] *= 100 * tau  # some entries near each other for every temperature
        f, jacobian, by_k = exactly(x, k, tau)
        op = so.SoftTopK(k, tau)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(op(x), f, rtol=0, atol=16 * eps)
        scale = np.abs(jacobian) @ np.abs(g)
        relative = 2e-6 if dtype == np.float32 else 1e-12
        tiny = 1e-30 / tau  # of a spread below the range of float32
        for product in (op.vjp(g), op.jvp(g), op.vjp(g, out=g.copy())):
            np.testing.assert_allclose(product, jacobian @ g, rtol=0, atol=relative * scale.max() + tiny)
        if by_k.size and np.abs(jacobian).max() > 1e-20:
            np.testing.assert_allclose(op.derivative_k(), by_k, rtol=0, atol=relative)
            expected = -jacobian @ (x.astype(float) - op.pivot) / tau
            largest = (np.abs(jacobian) @ np.abs(x - op.pivot)).max() / tau
            np.testing.assert_allclose(op.derivative_tau(), expected, rtol=0, atol=relative * largest + tiny)


@given(problems())
def test_derivatives_are_differences(problem):
    x, k, tau = problem
    rng, op = np.random.default_rng(0), so.SoftTopK(k, tau)
    op(x)
    d, step = rng.normal(size=len(x)), 1e-5
    difference = (so.soft_topk(x + step * tau * d, k, tau) - so.soft_topk(x - step * tau * d, k, tau)) / (2 * step)
    np.testing.assert_allclose(op.jvp(tau * d), difference, atol=1e-8)
    high, low = so.soft_topk(x, k, tau * (1 + step)), so.soft_topk(x, k, tau * (1 - step))
    # third derivatives of f in log tau are at most a few |z|^3 exp(-|z|) < 10
    np.testing.assert_allclose(tau * op.derivative_tau(), (high - low) / (2 * step), atol=1e-7)
    np.testing.assert_allclose(op.derivative_k().sum(), 1.0, rtol=1e-12)


@given(problems())
def test_jacobian_is_symmetric_positive_and_kills_constants(problem):
    x, k, tau = problem
    op = so.SoftTopK(k, tau)
    op(x)
    jacobian = np.array([op.vjp(e) for e in np.eye(len(x))])
    size = 1 / (4 * tau)
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-14 * size)
    assert np.abs(jacobian.sum(axis=0)).max() <= 1e-13 * size
    eigenvalues = np.linalg.eigvalsh((jacobian + jacobian.T) / 2)
    assert eigenvalues.min() >= -1e-14 * size
    assert eigenvalues.max() <= size * (1 + 1e-14)


@given(problems())
def test_limit_bound_of_small_temperatures(problem):
    """Ledger B2: |f - mask|_1 <= 2 sqrt(k (n - k)) exp(-D / (2 tau))."""
    x, k, tau = problem
    ordered, n = np.sort(x)[::-1], len(x)
    gap = ordered[k - 1] - ordered[k]
    if gap > 0:
        mask = (x >= ordered[k - 1]).astype(float)
        bound = 2 * math.sqrt(k * (n - k)) * math.exp(-gap / (2 * tau))
        assert np.abs(so.soft_topk(x, k, tau) - mask).sum() <= bound * (1 + 1e-9) + n * 1e-15
        for error in (0.1, 1e-3):
            cool = so.soft_topk(x, k, so.temperature_for(gap, k, n, error))
            assert np.abs(cool - mask).sum() <= error * (1 + 1e-9)


@given(problems(), st.floats(-3, 3))
def test_certificate_encloses_the_distance(problem, moved):
    x, k, tau = problem
    op = so.SoftTopK(k, tau)
    op(x)
    assert op.certificate().within(1e-10 + 1e-13 * np.abs(x).max() / tau)
    from sparseopt.soft_topk.certificate import certify_row

    h, lower, upper = certify_row(x, k, tau, float(op.pivot), float(op.shift) + moved)
    # s* is where the operator is, up to its own certificate
    own = float(op.certificate().upper)
    assert lower - own <= abs(moved) <= upper + own
    assert h * moved >= 0 or abs(moved) <= upper


@pytest.mark.parametrize("dtype", DTYPES)
def test_edge_cases(dtype):
    inf = np.inf
    x = np.array([3, inf, 1, -inf, 2, 1], dtype)
    g = np.arange(6).astype(dtype)
    op = so.SoftTopK(3, 0.5)
    f = op(x)
    assert f.dtype == dtype
    assert f[1] == 1
    assert f[3] == 0
    assert f[2] == f[5]
    np.testing.assert_allclose(f[[0, 2, 4, 5]], so.soft_topk(x[[0, 2, 4, 5]], 2, 0.5), rtol=4 * np.finfo(dtype).eps)
    d = op.vjp(g)
    assert d.dtype == dtype
    assert d[1] == 0
    assert d[3] == 0
    assert d[0] != 0
    assert (op.derivative_tau()[[1, 3]] == 0).all()
    for k, value in ((0, 0), (6, 1)):
        op = so.SoftTopK(k, 0.5)
        assert (op(g) == value).all()
        assert (op.vjp(g) == 0).all()
        assert (op.derivative_k() == 0).all()
        assert op.certificate().within(0)
        assert abs(op.threshold) == inf
    for k, value in ((1, 0), (5, 1)):  # +inf takes all there is, or every entry above -inf is needed
        op = so.SoftTopK(k, 0.5)
        np.testing.assert_array_equal(op(x), np.where(x == inf, 1, np.where(x == -inf, 0, value)))
        assert (op.vjp(g) == 0).all()
    np.testing.assert_allclose(
        so.soft_topk(np.full(4, 7, dtype), 1, 1e-6), np.full(4, 0.25), rtol=2 * np.finfo(dtype).eps
    )
    op = so.SoftTopK(2, 1e-6)
    np.testing.assert_array_equal(op(np.array([2, 1, 0, 2], dtype)), [1, 0, 0, 1])
    np.testing.assert_array_equal(op.vjp(np.array([1, 2, 3, 4], dtype)), np.zeros(4))
    np.testing.assert_allclose(so.soft_topk(np.array([2, 1, 1, 0], dtype), 2, 1e-3), [1, 0.5, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("far", [1e15, 1e30, 1e100, 1e300])
def test_an_entry_far_from_all_others(far):
    x = np.array([0, 1, -2, 0.5])
    for k in (1, 2, 3):
        f = so.soft_topk(np.append(x, -far), k, 1.0)
        np.testing.assert_allclose(f, np.append(so.soft_topk(x, k, 1.0), 0), rtol=1e-14)
        f = so.soft_topk(np.append(x, far), k + 1, 1.0)
        np.testing.assert_allclose(f, np.append(so.soft_topk(x, k, 1.0), 1), rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinite_entries_are_exact_beside_ties(dtype):
    for n in range(2, 20):
        x = np.append(np.zeros(n), [np.inf, -np.inf]).astype(dtype)
        for k in range(2, n + 1):
            assert so.soft_topk(x, k, 1.0)[-2:].tolist() == [1, 0], (n, k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tau", [1e-40, 1e-31, 1e31, 1e40])
def test_extreme_temperatures(tau, dtype):
    f = so.soft_topk(np.array([3, 2, 1, 2.5], dtype), 2, tau)
    np.testing.assert_allclose(f, [1, 0, 0, 1] if tau < 1 else [0.5] * 4, rtol=1e-6)
    large = np.array([3e38, -3e38, 1e38, 0], dtype)
    np.testing.assert_array_equal(so.soft_topk(large, 2, 1.0), [1, 0, 1, 0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_batches_layouts_and_buffers(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 30)).astype(dtype)
    before, op = x.copy(), so.SoftTopK(5, 0.3)
    f, g = op(x), rng.normal(size=x.shape).astype(dtype)
    d = op.vjp(g)
    assert np.shape(op.threshold) == (3, 4)
    single = np.array([so.soft_topk(row, 5, 0.3) for row in x.reshape(-1, 30)]).reshape(x.shape)
    np.testing.assert_array_equal(f, single)
    np.testing.assert_array_equal(x, before)
    odd = np.asfortranarray(x)
    odd.flags.writeable = False
    np.testing.assert_array_equal(so.SoftTopK(5, 0.3)(odd), f)
    fresh = so.SoftTopK(5, 0.3)
    out = np.empty(x.shape, dtype)
    assert fresh(x, out=out) is out
    np.testing.assert_array_equal(out, f)
    tolerance = 1e-3 if dtype == np.float16 else 1e-5
    np.testing.assert_allclose(fresh.vjp(g), d, rtol=tolerance, atol=tolerance)
    strided = np.empty((3, 4, 60), dtype)[..., ::2]
    np.testing.assert_array_equal(so.SoftTopK(5, 0.3)(x, out=strided), f)
    mine = g.copy()
    assert fresh.vjp(mine, out=mine) is mine
    np.testing.assert_allclose(mine, d, rtol=tolerance, atol=tolerance)


def test_integers_are_converted():
    np.testing.assert_array_equal(so.soft_topk([3, 1, 2], 1, 1.0), so.soft_topk([3.0, 1.0, 2.0], 1, 1.0))
    np.testing.assert_array_equal(so.soft_topk([True, False], 1, 1.0), so.soft_topk([1.0, 0.0], 1, 1.0))


def test_a_warm_start_solves_the_new_problem():
    rng = np.random.default_rng(0)
    x, op, out = rng.normal(size=500), so.SoftTopK(50, 0.1), np.empty(500)
    for _ in range(5):
        x = x + rng.choice([1e-3, 3.0]) * rng.normal(size=500)
        op(x, out=out)
        np.testing.assert_allclose(out, so.soft_topk(x, 50, 0.1), atol=1e-13)
    with pytest.raises(ValueError, match="NaN"):
        op(np.full(500, np.nan), out=out)
    with pytest.raises(ValueError, match="call it with x"):
        op.vjp(x)
    np.testing.assert_allclose(op(x), so.soft_topk(x, 50, 0.1), atol=1e-13)


@given(problems())
def test_alternatives_have_their_sum_and_their_derivative(problem):
    x, k, tau = problem
    for kind in (so.LapSumTopK, so.CappedSimplexTopK):
        op = kind(k, tau)
        f = op(x)
        assert abs(math.fsum(f) - k) <= 1e-12 * len(x)
        assert ((f >= 0) & (f <= 1)).all()
        d, step = np.random.default_rng(1).normal(size=len(x)), 1e-7
        plus, minus = kind(k, tau)(x + step * tau * d), kind(k, tau)(x - step * tau * d)
        one_sided = np.abs((plus - f) - (f - minus)).max() / step  # a kink: of the clip, or at ties
        if one_sided <= 1e-5:
            np.testing.assert_allclose(op.vjp(tau * d), (plus - minus) / (2 * step), atol=1e-5)


def test_alternatives_in_closed_form():
    np.testing.assert_allclose(so.CappedSimplexTopK(1, 1.0)([0.5, 0.0, -9.0]), [0.75, 0.25, 0])
    # two entries: F(a + t) + F(b + t) = 1 at t = -(a + b) / 2
    np.testing.assert_allclose(so.LapSumTopK(1, 1.0)([1.0, 0.0]), [1 - np.exp(-0.5) / 2, np.exp(-0.5) / 2])
    hard = so.StraightThroughTopK(2)
    np.testing.assert_array_equal(hard([1.0, 3.0, 3.0, 3.0]), [0, 1, 1, 0])
    np.testing.assert_array_equal(hard.vjp([1.0, 2.0, 3.0, 4.0]), [1, 2, 3, 4])
    for kind in (so.LapSumTopK, so.CappedSimplexTopK):
        for k in (0, 3):
            op = kind(k, 1.0)
            np.testing.assert_array_equal(op([1.0, 2.0, 3.0]), [k / 3] * 3)
            np.testing.assert_array_equal(op.vjp([1.0, 2.0, 3.0]), np.zeros(3))
        with pytest.raises(ValueError, match="infinite"):
            kind(1, 1.0)([1.0, np.inf])
        with pytest.raises(ValueError, match="call it"):
            kind(1, 1.0).vjp([1.0])
