"""The compiled soft top-k against the reference, over sizes, distributions, temperatures and instruction sets."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from sparseopt._native import HAS_NATIVE, build_info, topk, topk_reference

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
DTYPES = [np.float32, np.float64]
TEMPERATURES = [1e3, 1.0, 0.1, 0.01, 1e-3, 1e-5, 1e-6]
SIZES = [2, 31, 64, 1000, 4500]
LONG = 270_000
"""Long enough to be sampled, and for several threads."""


def gauss(rng, n, k):
    return rng.normal(size=n)


def levels(rng, n, k):
    return np.round(2 * rng.normal(size=n)) / 2


def equal(rng, n, k):
    return np.full(n, rng.normal())


def mostly_zero(rng, n, k):
    return np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n))


def two_levels(rng, n, k):
    return rng.permutation((np.arange(n) < k) * 1.0)


def cauchy(rng, n, k):
    return rng.standard_cauchy(size=n)


def in_order(rng, n, k):
    return np.sort(rng.normal(size=n))


def rectified(rng, n, k):
    return np.maximum(rng.normal(size=n), 0)


def ten_levels(rng, n, k):
    return np.floor(10 * rng.random(n)) / 10


KINDS = [gauss, levels, equal, mostly_zero, two_levels, cauchy, in_order]


def counts(n):
    return sorted({1, max(1, n // 10), n // 2, n - 1} - {0, n})


def solved(x, k, tau, *, threads=1, warm_from=None):
    """(f, state) of the compiled core."""
    state = topk.new_state(x.dtype) if warm_from is None else warm_from
    f = np.empty_like(x)
    topk.forward(state, x, f, k, tau, warm=warm_from is not None, threads=threads)
    return f, state


def gradient(state, x, y, g, k, tau, threads=1):
    out = np.empty_like(g)
    topk.backward(state, x, y, g, out, k, tau, threads)
    return out


def exact(x, k, tau):
    """(f, v) in float64 by the reference."""
    t = topk_reference.solve(x.astype(np.float64), k, tau)
    f, rest = topk_reference.responses(x.astype(np.float64), tau, t)
    return f, f * rest


def assert_solved(x, k, tau, f, state, rng):
    """Sum, entries and both gradients against the reference, at the accuracy that is promised."""
    single = x.dtype == np.float32
    assert abs(math.fsum(f) - k) <= (1e-7 if single else 4e-15) * k
    expected, v = exact(x, k, tau)
    # a logit is rounded to eps |z|, and sigmoid'(z) |z| < 0.23; a few such steps
    assert np.abs(f - expected).max() <= (5e-7 if single else 1e-14 * max(1.0, 1e-3 * np.abs(x).max() / tau))
    g = rng.normal(size=x.shape).astype(x.dtype)
    total = v.sum()
    right = v * (g - v @ g / total) / tau if total > 0 else np.zeros_like(v)
    scale = np.linalg.norm(v * (np.abs(g) + 1)) / tau
    for y in (f, None):
        wrong = np.linalg.norm(gradient(state, x, y, g, k, tau) - right)
        # below 1e-30 the spread is beneath the range of float32; between, its relative error is that of the threshold
        assert wrong <= (2e-5 if single else 1e-6) * scale + 1e-30 / tau


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", TEMPERATURES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_compiled_is_the_reference(kind, tau, dtype):
    rng = np.random.default_rng(0)
    for n in SIZES:
        for k in counts(n):
            x = kind(rng, n, k).astype(dtype)
            f, state = solved(x, k, tau)
            assert_solved(x, k, tau, f, state, rng)


def long_cases():
    """(kind, dtype, tau, k), nearly all of them slow."""
    settings = [(1.0, LONG // 10), (0.03, LONG // 3), (1e-3, LONG // 10), (1e-5, LONG // 10), (0.1, LONG - 1)]
    quick = {(gauss, np.float32, 0.03), (gauss, np.float32, 1e-5), (levels, np.float64, 1e-3), (gauss, np.float64, 0.1)}
    for kind in KINDS:
        for dtype in DTYPES:
            for tau, k in settings:
                marks = [] if (kind, dtype, tau) in quick else pytest.mark.slow
                yield pytest.param(kind, dtype, tau, k, marks=marks)


@pytest.mark.parametrize(("kind", "dtype", "tau", "k"), list(long_cases()))
def test_long_vectors(kind, dtype, tau, k):
    rng = np.random.default_rng(1)
    x = kind(rng, LONG, k).astype(dtype)
    f, state = solved(x, k, tau)
    assert_solved(x, k, tau, f, state, rng)


TIED = [
    (mostly_zero, 1e-3),
    (two_levels, 0.01),
    (two_levels, 1e-6),
    (equal, 1e-3),
    (rectified, 1.0),
    (ten_levels, 0.003),
]


@pytest.mark.parametrize(("kind", "tau"), TIED)
def test_many_equal_entries_get_what_the_others_leave(kind, tau):
    """Their rounding errors are all the same and add up: the stored value makes the sum right, the threshold agrees."""
    rng = np.random.default_rng(8)
    for k in (LONG // 10, LONG // 10 + 200):  # the share of a level, or of it and a few of the next
        x = kind(rng, LONG, LONG // 10).astype(np.float32)
        f, state = solved(x, k, tau)
        assert_solved(x, k, tau, f, state, rng)
        level = np.partition(x, LONG // 3)[LONG // 3]
        (pivot,), (shift,), _ = topk.thresholds(state, 1)
        of_level = topk_reference.sigmoid_pair(np.array((float(level) - pivot) / tau + shift))[0]
        assert np.ptp(f[x == level]) == 0
        # a logit z is rounded to eps |z|, which counts where f is not 1
        rounding = 2e-7 * max(1.0, abs(float(level) - pivot) / tau + abs(shift))
        np.testing.assert_allclose(f[x == level][0], of_level, rtol=rounding, atol=np.finfo(np.float32).tiny)


@pytest.mark.parametrize("tau", [0.1, 1e-4])
def test_ties_next_to_infinite_entries(tau):
    rng, k = np.random.default_rng(9), LONG // 10
    x = two_levels(rng, LONG, k).astype(np.float32)
    for value, many in ((np.inf, k - 100), (np.inf, k), (-np.inf, LONG - k - 100), (-np.inf, LONG - k)):
        y = np.where(np.arange(LONG) < many, np.float32(value), np.float32(1) if value < 0 else x)
        f, _ = solved(y, k, tau)
        finite = np.isfinite(y)
        assert (f[~finite] == (value > 0)).all()
        left = k - (many if value > 0 else 0)
        assert abs(math.fsum(f[finite]) - left) <= 1e-7 * k
        assert np.abs(f[finite] - exact(y[finite], left, tau)[0]).max() <= 5e-7 if 0 < left < finite.sum() else True


ACCURACY = {1.0: 1e-7, 0.1: 5e-7, 1e-2: 5e-7, 1e-3: 5e-7, 1e-4: 5e-7, 1e-5: 1e-6, 1e-6: 5e-6}
"""tau -> relative error of the gradient, float32, n = 1e5: that of f (1 - f) is eps |z|, |z| up to 50 at 1e-6."""


@pytest.mark.parametrize("tau", ACCURACY)
def test_accuracy_in_single_precision(tau):
    rng = np.random.default_rng(0)
    n, k = 100_000, 10_000
    x, g = rng.normal(size=(2, n)).astype(np.float32)
    f, state = solved(x, k, tau)
    expected, v = exact(x, k, tau)
    assert np.abs(f - expected).max() <= 1.2e-7  # the logit is rounded to eps |z|, sigmoid'(z) |z| < 0.23, and f itself
    right = v * (g - v @ g / v.sum()) / tau
    assert np.linalg.norm(gradient(state, x, f, g, k, tau) - right) <= ACCURACY[tau] * np.linalg.norm(right)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [1.0, 0.05, 1e-4])
@pytest.mark.parametrize("n", [1000, pytest.param(LONG, marks=pytest.mark.slow)])
def test_a_warm_start_is_as_accurate(n, tau, dtype):
    rng = np.random.default_rng(2)
    k, x = n // 7, rng.normal(size=n).astype(dtype)
    _, state = solved(x, k, tau)
    for moved in (1e-3, 10.0):
        x = (x + moved * rng.normal(size=n)).astype(dtype)
        f, state = solved(x, k, tau, warm_from=state)
        assert_solved(x, k, tau, f, state, rng)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [1.0, 0.05, 1e-4])
def test_threads_do_not_change_a_bit(tau, dtype):
    rng = np.random.default_rng(3)
    k, x, g = LONG // 10, rng.normal(size=LONG).astype(dtype), rng.normal(size=LONG).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        f, state = solved(x, k, tau, threads=threads)
        results.append((f, gradient(state, x, f, g, k, tau, threads), gradient(state, x, None, g, k, tau, threads)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_solved_one_by_one(dtype):
    rng = np.random.default_rng(4)
    x, g = rng.normal(size=(300, 257)).astype(dtype), rng.normal(size=(300, 257)).astype(dtype)
    f, state = solved(x, 20, 0.1, threads=2)
    d = gradient(state, x, f, g, 20, 0.1, threads=2)
    for i in (0, 7, 299):
        alone, one = solved(x[i], 20, 0.1)
        np.testing.assert_array_equal(f[i], alone)
        np.testing.assert_array_equal(d[i], gradient(one, x[i], f[i], g[i], 20, 0.1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_and_unaligned_arrays_give_the_same(dtype):
    rng = np.random.default_rng(5)
    n, k, tau = LONG, LONG // 10, 0.1
    x = rng.normal(size=n).astype(dtype)
    f, _ = solved(x, k, tau)
    state = topk.new_state(x.dtype)
    for shift in (0, 1, 5):
        out = np.empty(n + shift, dtype)[shift:]
        assert state.forward_ptr(x.ctypes.data, out.ctypes.data, 1, n, k, tau, False, 1) == (0, 0)
        np.testing.assert_array_equal(out, f)
        g, d = rng.normal(size=n).astype(dtype), np.empty(n + shift, dtype)[shift:]
        assert state.backward_ptr(x.ctypes.data, out.ctypes.data, g.ctypes.data, d.ctypes.data, 1, n, k, tau, 1) == (
            0,
            0,
        )
        np.testing.assert_array_equal(d, gradient(state, x, f, g, k, tau))


def digest():
    """Hash of many results, and one sum of each."""
    rng, total, close = np.random.default_rng(0), hashlib.sha256(), []
    for n in (100, 5000, 400_000):
        for tau in (1.0, 0.05, 1e-4):
            for dtype in DTYPES:
                x, g = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
                state, f, d = topk.new_state(x.dtype), np.empty_like(x), np.empty_like(x)
                topk.forward(state, x, f, n // 10, tau, warm=False, threads=1)
                topk.backward(state, x, None, g, d, n // 10, tau, 1)
                total.update(f.tobytes() + d.tobytes())
                close.append(float(f @ np.cos(np.arange(n)).astype(dtype)))
    return total.hexdigest(), close


def test_instruction_sets_agree(at_level):
    if build_info()["isa_available"] < 4:
        pytest.skip("this machine has no x86-64-v4")
    baseline, v3, v4 = (at_level(level)["test_topk"] for level in (0, 3, 4))
    assert v3[0] == v4[0]
    np.testing.assert_allclose(baseline[1], v4[1], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_infinite_entries_in_long_vectors(dtype):
    """More than a sample would see, fewer, and so many that nothing is left to solve."""
    rng = np.random.default_rng(6)
    for tau, many in ((1.0, 60_000), (1e-4, 3), (1e-4, 60_000)):
        x = rng.normal(size=LONG).astype(dtype)
        places = rng.permutation(LONG)
        x[places[:many]] = np.inf
        x[places[many : 3 * many]] = -np.inf
        for k, value in ((many, 0.0), (LONG - 2 * many, 1.0), (many + 1000, None)):
            f, state = solved(x, k, tau)
            assert (f[x == np.inf] == 1).all()
            assert (f[x == -np.inf] == 0).all()
            finite = np.isfinite(x)
            d = gradient(state, x, f, rng.normal(size=LONG).astype(dtype), k, tau)
            assert (d[~finite] == 0).all()
            if value is None:
                expected, _ = exact(x[finite], k - many, tau)
                assert np.abs(f[finite] - expected).max() <= (5e-7 if dtype == np.float32 else 1e-10)
            else:
                assert (f[finite] == value).all()
                assert (d == 0).all()


@pytest.mark.parametrize("n", [10, LONG])
@pytest.mark.parametrize("tau", [1.0, 1e-5])
def test_what_cannot_be_solved(n, tau):
    x = np.random.default_rng(7).normal(size=n)
    for k in (0, 3, n):
        bad = x.copy()
        bad[n // 2] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            solved(bad, k, tau)
    high, low = x.copy(), x.copy()
    high[:4], low[:4] = np.inf, -np.inf
    with pytest.raises(ValueError, match="more entries"):
        solved(high, 3, tau)
    with pytest.raises(ValueError, match="fewer than k"):
        solved(low, n - 3, tau)
    assert solved(high, 4, tau)[0].sum() == 4
    assert solved(low, n - 4, tau)[0].sum() == n - 4


def test_the_reference_refuses_what_the_core_refuses():
    x, state = np.ones(5), topk_reference.State()
    out = np.empty(5)
    assert state.forward(x, out, 2, 1.0, False, 1) == (0, 0)
    for target in (x, np.empty(5, np.float32), np.empty(4), np.empty(10)[::2]):
        assert state.forward(x, target, 2, 1.0, False, 1)[0] == topk.REFUSED
        assert topk.new_state(x.dtype).forward(x, target, 2, 1.0, False, 1)[0] == topk.REFUSED
