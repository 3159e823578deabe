"""Soft top-k and projections by CUDA kernels behind their torch faces: on the host emulator, and on a device."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import sparseopt as so  # noqa: E402
from sparseopt import kernels  # noqa: E402
from sparseopt._native import HAS_NATIVE, build_info, projections, topk  # noqa: E402
from sparseopt.kernels import device_selection  # noqa: E402

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
LIBRARY = np.random.default_rng(0).random((20, 4, 4)) < 0.5


def emulate_projections(library, patch):
    """The pointers of `projections` by the emulated kernels."""
    address = ctypes.c_void_p

    def nm(w, out, plane, n, m, *, device, stream):
        shape = (ctypes.c_int64 * 4)(*plane.shape)
        getattr(library, "so_emulated_nm_" + plane.suffix)(address(w), address(out), shape, n, m)

    def tiles(w, out, plane, given, masks, *, device, stream):
        shape, sizes = (ctypes.c_int64 * 4)(*plane.shape), (given.r, given.c, len(given.masks))
        call = getattr(library, "so_emulated_library_" + plane.suffix)
        call(address(w), address(out), shape, *sizes, address(masks))

    patch.setattr(projections, "project_nm_cuda_ptr", nm)
    patch.setattr(projections, "project_library_cuda_ptr", tiles)


def emulate_topk(library, patch):
    """The pointers of `topk` by the emulated kernels."""
    address, work_bytes = ctypes.c_void_p, library.so_emulated_topk_bytes

    def forward(x, out, work, codes, shape, k, tau, dtype, *, device, stream):
        call, sizes = getattr(library, "so_emulated_topk_" + topk.SUFFIX[dtype]), (ctypes.c_int64 * 3)(*shape, k)
        call(address(x), None, address(out), address(work), address(codes), sizes, ctypes.c_double(tau))

    def backward(x, g, out, work, shape, k, tau, dtype, *, device, stream):
        call, sizes = getattr(library, "so_emulated_topk_" + topk.SUFFIX[dtype]), (ctypes.c_int64 * 3)(*shape, k)
        call(address(x), address(g), address(out), address(work), None, sizes, ctypes.c_double(tau))

    patch.setattr(topk, "cuda_bytes", lambda rows, n: work_bytes(ctypes.c_int64(rows), ctypes.c_int64(n)))
    patch.setattr(topk, "forward_cuda_ptr", forward)
    patch.setattr(topk, "backward_cuda_ptr", backward)


def emulate(library, patch):
    """Both by the emulated kernels."""
    emulate_projections(library, patch)
    emulate_topk(library, patch)
    patch.setattr(device_selection, "usable", lambda x: x.dtype in DTYPES and x.numel() > 0)
    patch.setattr(device_selection, "stream_of", lambda x: 0)


def drawn(shape, place, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(place)


def cases(place):
    """(operator, in place, arguments, set)."""
    patterns = torch.from_numpy(LIBRARY.copy())
    nm = [(kernels.project_nm, kernels.project_nm_, given, so.sets.NM(*given)) for given in ((2, 4), (3, 8), (2, 3))]
    blocks = [(5, (4, 8)), (0, (4, 8)), (12, (3, 2))]
    top = [(kernels.project_top_blocks, kernels.project_top_blocks_, b, so.sets.TopBlocks(*b)) for b in blocks]
    library = so.sets.PatternLibrary(LIBRARY)
    return [*nm, *top, (kernels.project_patterns, kernels.project_patterns_, (patterns,), library)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_projections_are_those_of_the_sets(place, dtype):
    w = drawn((2, 12, 48), place, dtype)
    for project, project_, arguments, a_set in cases(place):
        wide = w.cpu().float() if dtype in DTYPES[2:] else w.cpu()
        expected = torch.from_numpy(a_set.project(wide.numpy())).to(dtype)
        assert torch.equal(project(w, *arguments).cpu(), expected)
        assert torch.equal(project_(w.clone(), *arguments).cpu(), expected)
        strided = torch.stack([w, w], -1)[..., 0]
        assert torch.equal(project(strided, *arguments).cpu(), expected)
        assert torch.equal(project_(strided, *arguments).cpu(), expected)
        assert torch.equal(strided.cpu(), expected)
    flat = drawn(4 * 1000 + 1, place, dtype)[1:]  # beyond one thread block, not at a unit of 16 bytes
    for x in (flat, flat.clone()):
        same = so.sets.NM(2, 4).project(x.cpu().double().numpy())
        assert torch.equal(kernels.project_nm(x, 2, 4).cpu().double(), torch.from_numpy(same))


def test_ties_go_to_the_lowest_index_and_derivatives_to_what_is_kept(place):
    w = torch.ones(8, 16, device=place)
    for project, _, arguments, a_set in cases(place):
        if not isinstance(a_set, so.sets.TopBlocks) or a_set.block == (4, 8):
            if isinstance(a_set, so.sets.NM) and 16 % a_set.m:
                continue
            k = (min(arguments[0], 4), arguments[1]) if isinstance(a_set, so.sets.TopBlocks) else arguments
            same = so.sets.TopBlocks(*k) if isinstance(a_set, so.sets.TopBlocks) else a_set
            assert torch.equal(project(w, *k).cpu(), torch.from_numpy(same.project(np.ones((8, 16), np.float32))))
    x = drawn((8, 16), place).requires_grad_()
    y = kernels.project_nm(x, 2, 4)
    y.sum().backward()
    assert torch.equal(x.grad, (y != 0).float())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_in_sight(place, bad):
    for dtype in (torch.float32, torch.float16):
        w = drawn((12, 48), place, dtype)
        w[5, 9] = bad
        for project, _, arguments, a_set in cases(place):
            y = project(w, *arguments)
            if not isinstance(a_set, so.sets.TopBlocks):
                assert torch.equal(y[5, 9].cpu(), w[5, 9].cpu()) or (torch.isnan(y[5, 9]) and bad != bad)
                assert bool((y == 0).any())
            elif a_set.k:
                assert not torch.isfinite(y[5, 9])


def test_what_does_not_fit_is_refused(place):
    w = drawn((12, 48), place)
    with pytest.raises(ValueError, match="do not divide"):
        kernels.project_nm(w[:, :47], 2, 4)
    with pytest.raises(ValueError, match="k is at most that"):
        kernels.project_top_blocks(w, 100, (4, 8))
    with pytest.raises(ValueError, match="tiles"):
        kernels.project_patterns(w[:11], LIBRARY)
    with pytest.raises(ValueError, match="k is at most that"):
        torch.ops.sparseopt.soft_topk(w, 49, 0.1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_soft_topk_is_that_of_the_core(place, dtype):
    x, g = drawn((3, 700), place, dtype), drawn((3, 700), place, dtype, 1)
    leaf = x.clone().requires_grad_()
    f = kernels.soft_topk(leaf, 70, 0.1)
    f.backward(g)
    operator = so.SoftTopK(70, 0.1)
    wide = (x.double() if dtype == torch.float64 else x.float()).cpu()
    eps = torch.finfo(dtype).eps
    tolerance = {"rtol": 2 * eps, "atol": 1e-13 if dtype == torch.float64 else 5e-7}
    torch.testing.assert_close(f.detach().cpu(), torch.from_numpy(operator(wide.numpy())).to(dtype), **tolerance)
    slope = torch.from_numpy(operator.vjp(g.cpu().to(wide.dtype).numpy())).to(dtype)
    tolerance["atol"] = 1e-6 if dtype == torch.float64 else 4e-5  # in units of 1 / tau, as test_topk_cuda.py derives
    torch.testing.assert_close(leaf.grad.cpu(), slope, rtol=2 * eps, atol=10 * tolerance["atol"])
    assert torch.equal(torch.ops.sparseopt.soft_topk(x, 70, 0.1), f.detach())
    assert torch.equal(torch.ops.sparseopt.soft_topk_backward(g, x, 70, 0.1), leaf.grad)


def test_rows_without_a_solution_are_nan_and_many_short_rows_are_the_hosts(place, monkeypatch):
    x = drawn((3, 100), place)
    x[1, 4] = torch.nan
    x.requires_grad_()
    f = kernels.soft_topk(x, 10, 0.1)
    f.nansum().backward()
    assert torch.isnan(f[1]).all()
    assert torch.isnan(x.grad[1]).all()
    assert torch.isfinite(f[[0, 2]]).all()
    assert torch.isfinite(x.grad[[0, 2]]).all()
    monkeypatch.setattr(device_selection, "LARGEST_WORK", 1 << 10)
    assert not device_selection.usable_soft_topk(torch.ones(100, 4, device=place))
    assert device_selection.usable_soft_topk(torch.ones(1, 100_000, device=place))
    f = kernels.soft_topk(drawn((100, 4), place), 2, 0.1)
    torch.testing.assert_close(f.sum(1), torch.full((100,), 2.0, device=place))
