"""The CUDA kernels: their bodies on the host emulator, and on a device where there is one."""

from __future__ import annotations

import ctypes
import importlib

import numpy as np
import pytest

from sparseopt import penalties
from sparseopt._native import (
    HAS_NATIVE,
    BlockLayout,
    RadialProx,
    block_prox,
    block_prox_cuda_ptr,
    build_info,
    radial_twin,
)

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
RHOS = [penalties.Linear(), penalties.Power(0.5), penalties.Log(0.5), penalties.Ratio(), penalties.ExpMask()]
SHAPES = [(1, 1), (31, 33), (1, 129), (4, 4), (32, 32), (129, 31)]


def pointer(array):
    """Address of an array for ctypes."""
    return ctypes.c_void_p(array.ctypes.data)


def emulate(library, w, block, rho, step):
    """(result, norms) of the emulated kernel on w [R, C], rows any distance apart."""
    out, norms = np.empty(w.shape, w.dtype), np.empty((w.shape[0] // block[0], w.shape[1] // block[1]), w.dtype)
    shape = np.array([*w.shape, w.strides[0] // w.itemsize, w.shape[1], *block], dtype=np.int64)
    kind, parameter = radial_twin(rho)
    suffix = {4: "f32", 8: "f64"}[w.itemsize]
    code = getattr(library, "so_emulated_block_prox_" + suffix)(
        pointer(w),
        pointer(out),
        pointer(norms),
        pointer(shape),
        kind,
        ctypes.c_double(parameter),
        pointer(step),
        int(step.ndim == 2),
    )
    assert code == 0
    return out, norms


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", SHAPES)
@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_the_kernel_body_gives_the_numbers_of_the_cpu(emulator, rho, block, dtype):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(2 * block[0], 2 * block[1] + 3)).astype(dtype)[:, : 2 * block[1]]
    w[: block[0], : block[1]] = 0
    step = rng.uniform(0, 1, size=(2, 2))
    out, norms = emulate(emulator, w, block, rho, step)
    expected_norms = np.empty((2, 2), dtype)
    expected = block_prox(w, block, rho, step, norms=expected_norms)
    tolerance = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance * np.abs(w).max())
    np.testing.assert_allclose(norms, expected_norms, rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_entries(emulator, dtype):
    info = np.finfo(dtype)
    w = np.zeros((2, 12), dtype)
    w[0, 0], w[0, 3], w[0, 6], w[0, 9] = info.max / 4, info.tiny, np.nan, np.inf
    out, norms = emulate(emulator, w, (2, 3), penalties.Linear(), np.zeros(()))
    np.testing.assert_array_equal(norms[0], np.array([info.max / 4, info.tiny, np.nan, np.inf], dtype))
    np.testing.assert_array_equal(out, block_prox(w, (2, 3), penalties.Linear(), 0.0))


def test_the_emulator_reports_a_divergent_barrier(emulator):
    assert emulator.so_emulated_divergence() == 1


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("block", SHAPES)
@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_on_a_device(rho, block, name):
    if not build_info()["cuda_architectures"]:
        pytest.skip("CUDA was not compiled in (no nvcc)")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    dtype = getattr(torch, name)
    w = torch.randn(3 * block[0], 2 * block[1], dtype=dtype, device="cuda")
    step = torch.rand(3, 2, dtype=torch.float64, device="cuda")
    out, norms = torch.empty_like(w), torch.empty(3, 2, dtype=dtype, device="cuda")
    layout = BlockLayout(*w.shape, w.shape[1], w.shape[1], block, np.dtype(name))
    prox = RadialProx(*radial_twin(rho), step.data_ptr(), per_block=True)
    stream = torch.cuda.current_stream().cuda_stream
    for _ in range(2):
        block_prox_cuda_ptr(w.data_ptr(), out.data_ptr(), layout, prox, norms=norms.data_ptr(), stream=stream)
        result = out.clone()
    expected = block_prox(w.cpu().numpy(), block, rho, step.cpu().numpy())
    np.testing.assert_allclose(result.cpu().numpy(), expected, rtol=0, atol=1e-4 if name == "float32" else 1e-12)
    np.testing.assert_array_equal(result.cpu().numpy(), out.cpu().numpy())


def test_a_launch_without_cuda_says_so():
    if build_info()["cuda_architectures"] and importlib.util.find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a CUDA device")
    w, step = np.ones((4, 4)), np.ones(1)
    layout = BlockLayout(4, 4, 4, 4, (4, 4), w.dtype)
    prox = RadialProx(*radial_twin(penalties.Linear()), step.ctypes.data, per_block=False)
    with pytest.raises(RuntimeError, match="error code"):
        block_prox_cuda_ptr(w.ctypes.data, w.ctypes.data, layout, prox)
