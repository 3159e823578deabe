"""The CUDA kernels of the soft top-k: their bodies on the host emulator, and on a device where there is one."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest

from sparseopt._native import HAS_NATIVE, build_info, topk

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
DTYPES = [np.float32, np.float64]


def emulated(library, x, g, k, tau):
    """(f, gradient, codes) of rows x [rows, n] and g by the emulated kernels, out of place and into g."""
    rows, n = x.shape
    work = np.full(library.so_emulated_topk_bytes(ctypes.c_int64(rows), ctypes.c_int64(n)), 0xAB, np.uint8)
    f, d, codes = np.empty_like(x), g.copy(), np.full(rows, 77, np.int32)
    shape = np.array([rows, n, k], np.int64)
    run = getattr(library, "so_emulated_topk_" + topk.SUFFIX[x.dtype])
    for given, out in ((None, f), (d, d)):
        addresses = [a if a is None else ctypes.c_void_p(a.ctypes.data) for a in (x, given, out, work, codes, shape)]
        run(*addresses, ctypes.c_double(tau))
    return f, d, codes


def on_cpu(x, g, k, tau):
    """(f, gradient) of the rows by the compiled core."""
    state, f, d = topk.new_state(x.dtype), np.empty_like(x), np.empty_like(g)
    topk.forward(state, x, f, k, tau, warm=False, threads=1)
    topk.backward(state, x, None, g, d, k, tau, 1)
    return f, d


def rows_of(rng, n):
    """Rows [6, n]: continuous, in steps, mostly zero (of both signs), all equal, in order, and of wild scale."""
    gauss = rng.normal(size=n)
    zeros = np.where(rng.random(n) < 0.9, np.where(rng.random(n) < 0.5, 0.0, -0.0), gauss)
    return np.stack([gauss, np.round(2 * gauss) / 2, zeros, np.full(n, 0.3), np.sort(gauss), rng.standard_cauchy(n)])


def assert_agree(x, g, k, tau, f, d):
    """f and d of rows x against the CPU, at the accuracy that both promise: a logit is rounded to eps |z|."""
    single = x.dtype == np.float32
    expected, slope = on_cpu(x, g, k, tau)
    for i, row in enumerate(f):
        assert abs(math.fsum(row) - k) <= (1e-7 if single else 1e-14) * k
        finite = x[i][np.isfinite(x[i])]
        size = max(1.0, 1e-3 * np.abs(finite).max() / tau) if len(finite) else 1.0
        assert np.abs(row - expected[i]).max() <= (5e-7 if single else 2e-14 * size)
        v = expected[i].astype(float) * (1.0 - expected[i])
        scale = np.linalg.norm(v * (np.abs(g[i]) + 1)) / tau
        # below 1e-30 the spread is beneath the range of float32
        assert np.linalg.norm(d[i] - slope[i]) <= (4e-5 if single else 2e-6) * scale + 1e-30 / tau


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [10.0, 0.1, 1e-3, 1e-6])
def test_the_kernel_bodies_give_the_numbers_of_the_cpu(emulator, tau, dtype):
    rng = np.random.default_rng(0)
    for n, k in ((2, 1), (33, 32), (300, 1), (700, 350)):
        x, g = rows_of(rng, n).astype(dtype), rng.normal(size=(6, n)).astype(dtype)
        f, d, codes = emulated(emulator, x, g, k, tau)
        assert (codes == topk.DONE).all()
        assert_agree(x, g, k, tau, f, d)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_several_chunks(emulator, dtype):
    rng = np.random.default_rng(1)
    n, k = 3001, 300
    x, g = rows_of(rng, n)[1:3].astype(dtype), rng.normal(size=(2, n)).astype(dtype)
    for tau in (0.1, 1e-4):
        f, d, codes = emulated(emulator, x, g, k, tau)
        assert (codes == topk.DONE).all()
        assert_agree(x, g, k, tau, f, d)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [1.0, 1e-5])
def test_infinite_entries(emulator, tau, dtype):
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=(3, 60)).astype(dtype), rng.normal(size=(3, 60)).astype(dtype)
    x[:, 5:9], x[:, 20:30] = np.inf, -np.inf
    x[2, 40:50] = x[2, 51]
    for k in (4, 20, 49, 50):
        f, d, codes = emulated(emulator, x, g, k, tau)
        assert (codes == topk.DONE).all()
        assert (f[:, 5:9] == 1).all()
        assert (f[:, 20:30] == 0).all()
        assert (d[:, 5:9] == 0).all()
        assert (d[:, 20:30] == 0).all()
        assert_agree(x, g, k, tau, f, d)
        if k in (4, 50):
            assert (f[:, 40:] == (k == 50)).all()
            assert (d == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_none_and_all(emulator, dtype):
    x = np.random.default_rng(3).normal(size=(2, 40)).astype(dtype)
    for k in (0, 40):
        f, d, codes = emulated(emulator, x, np.ones_like(x), k, 0.1)
        assert (codes == topk.DONE).all()
        assert (f == k / 40).all()
        assert (d == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_that_cannot_be_solved_is_nan_and_the_others_are_not(emulator, dtype):
    x = np.random.default_rng(4).normal(size=(4, 40)).astype(dtype)
    x[1, 7] = np.nan
    x[2, :6], x[3, :36] = np.inf, -np.inf
    f, d, codes = emulated(emulator, x, np.ones_like(x), 5, 0.1)
    assert codes.tolist() == [topk.DONE, topk.NAN, topk.MANY_INFINITE, topk.FEW_FINITE]
    assert np.isnan(f[1:]).all()
    assert np.isnan(d[1:]).all()
    np.testing.assert_allclose(f[0], on_cpu(x[:1], x[:1], 5, 0.1)[0][0], atol=5e-7)


def test_a_launch_without_cuda_says_so():
    if build_info()["cuda_architectures"]:
        pytest.skip("CUDA was compiled in")
    x = np.ones(4)
    with pytest.raises(RuntimeError, match="error code -1"):
        topk.forward_cuda_ptr(x.ctypes.data, x.ctypes.data, 0, 0, (1, 4), 2, 1.0, x.dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("tau", [0.1, 1e-5])
def test_on_a_device(tau, name):
    if not build_info()["cuda_architectures"]:
        pytest.skip("CUDA was not compiled in (no nvcc)")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    dtype, (rows, n, k) = np.dtype(name), (6, 100_003, 9000)
    rng = np.random.default_rng(5)
    x, g = rows_of(rng, n).astype(dtype), rng.normal(size=(rows, n)).astype(dtype)
    there, slope = torch.from_numpy(x).cuda(), torch.from_numpy(g).cuda()
    work = torch.empty(topk.cuda_bytes(rows, n), dtype=torch.uint8, device="cuda")
    codes, results = torch.empty(rows, dtype=torch.int32, device="cuda"), []
    stream = torch.cuda.current_stream().cuda_stream
    for _ in range(2):
        f, d = torch.empty_like(there), torch.empty_like(there)
        addresses = there.data_ptr(), f.data_ptr(), work.data_ptr(), codes.data_ptr()
        topk.forward_cuda_ptr(*addresses, (rows, n), k, tau, dtype, stream=stream)
        addresses = there.data_ptr(), slope.data_ptr(), d.data_ptr(), work.data_ptr()
        topk.backward_cuda_ptr(*addresses, (rows, n), k, tau, dtype, stream=stream)
        results.append((f.cpu().numpy(), d.cpu().numpy()))
    assert (codes == topk.DONE).all()
    assert_agree(x, g, k, tau, *results[0])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
