"""The CUDA kernels of the block-sparse product behind their torch faces: on the host emulator, and on a device."""

from __future__ import annotations

import ctypes

import pytest

torch = pytest.importorskip("torch")

from sparseopt import kernels  # noqa: E402
from sparseopt._native import HAS_NATIVE, build_info, cuda  # noqa: E402
from sparseopt.kernels import BlockSparse, device_products  # noqa: E402

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
SIDES, DTYPES = [16, 32, 64], [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def emulate(library, patch):
    """The products by the emulated kernels."""

    def launch(call, *, device, stream):
        tensors, sizes = (ctypes.c_void_p * 7)(*call.tensors), (ctypes.c_int64 * 5)(*call.sizes)
        assert library.so_emulated_product(call.dtype, int(call.transposed), tensors, sizes) == 0

    patch.setattr(cuda, "launch_product", launch)
    patch.setattr(device_products, "usable", lambda x, values: x.numel() > 0)
    patch.setattr(device_products, "stream_of", lambda x: 0)


def drawn(*shape, seed=0, dtype=torch.float32, place="cpu"):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.to(dtype).to(place)


def sparse(shape, b, dtype, place, kept=0.5):
    """A matrix with about that share of its blocks; block row 0 is empty where there are others."""
    mask = torch.rand(-(-shape[0] // b), -(-shape[1] // b), generator=torch.Generator().manual_seed(b)) < kept
    mask[0] = len(mask) == 1
    spread = mask.repeat_interleave(b, 0)[: shape[0]].repeat_interleave(b, 1)[:, : shape[1]]
    return drawn(*shape, dtype=dtype, place=place) * spread.to(place)


def close(found, expected, terms):
    """Up to the rounding of a sum of that many products of about 1 (in float32 for half types) and of the result."""
    eps = torch.finfo(found.dtype).eps
    sums = 4 * terms * (torch.finfo(torch.float32).eps if eps > 1e-7 else eps)
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=2 * eps, atol=sums)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("b", SIDES)
def test_products_are_those_of_the_dense_matrix(place, b, dtype):
    for shape, batches in (((3 * b, 2 * b), (2, 70)), ((2 * b + 5, b + 3), (1, 5))):
        w, bias = sparse(shape, b, dtype, place, 0.9), drawn(shape[0], seed=2, dtype=dtype, place=place)
        blocks = BlockSparse.of(w, b)
        assert torch.equal(blocks.dense(), w)
        for n in batches:  # row by row, and in tiles, one of them cut off
            x, g = (drawn(n, size, seed=n + 1, dtype=dtype, place=place) for size in (shape[1], shape[0]))
            wide = torch.nn.functional.linear(x.double(), w.double(), bias.double())
            close(kernels.block_linear(x, blocks, bias), wide, shape[1])
            close(kernels.block_linear(x, blocks), x.double() @ w.double().T, shape[1])
            close(kernels.products.block_linear_transposed(g, blocks), g.double() @ w.double(), shape[0])


@pytest.mark.skipif((build_info()["isa_available"] or 0) < 3, reason="this processor has no fused multiply-add")
@pytest.mark.parametrize("b", [16, 64])
def test_the_bits_of_the_cpu(place, b, monkeypatch):
    """In tiles, float32: one chain of multiply-adds for each sum, in the order of the blocks."""
    w = sparse((2 * b + 5, 3 * b), b, torch.float32, "cpu")
    x, g = drawn(6, 3 * b, seed=1), drawn(6, 2 * b + 5, seed=2)
    blocks, there = BlockSparse.of(w, b), BlockSparse.of(w.to(place), b)
    found = kernels.block_linear(x.to(place), there), kernels.products.block_linear_transposed(g.to(place), there)
    monkeypatch.setattr(device_products, "usable", lambda x, values: False)
    expected = kernels.block_linear(x, blocks), kernels.products.block_linear_transposed(g, blocks)
    for a, c in zip(found, expected, strict=True):
        assert torch.equal(a.cpu(), c)


def test_leading_axes_slices_derivatives_and_no_blocks(place):
    w = sparse((40, 48), 16, torch.float64, place)
    blocks = BlockSparse.of(w, 16)
    x = drawn(50, 6, dtype=torch.float64, place=place).t().reshape(2, 3, 50)[..., 1:49]  # not contiguous
    y = kernels.block_linear(x.requires_grad_(), blocks)
    assert y.shape == (2, 3, 40)
    close(y, x @ w.T, 48)
    (dx,) = torch.autograd.grad(y.square().sum(), x)
    close(dx, 2 * y.detach() @ w, 40 * 48)
    off = drawn(97, dtype=torch.bfloat16, place=place)[1:].reshape(2, 48)  # rows that do not start at units
    half = BlockSparse.of(w.bfloat16(), 16)
    close(kernels.block_linear(off, half), off.double() @ w.bfloat16().double().T, 48)
    many = off.repeat(4, 1)
    close(kernels.block_linear(many, half), many.double() @ w.bfloat16().double().T, 48)
    empty = BlockSparse.of(torch.zeros(40, 48, dtype=torch.float64, device=place), 16)
    for n in (1, 6):
        x = drawn(n, 48, dtype=torch.float64, place=place)
        assert bool((kernels.block_linear(x, empty, torch.ones_like(w[:, 0])) == 1).all())
        assert bool((kernels.products.block_linear_transposed(x[:, :40], empty) == 0).all())
    assert kernels.block_linear(x[:0], blocks).shape == (0, 40)


def test_nan_stays_in_its_row_and_parts_outside_make_nan(place):
    for dtype in (torch.float32, torch.bfloat16):
        w = drawn(32, 48, dtype=dtype, place=place)
        blocks = BlockSparse.of(w, 16)
        for n in (2, 8):
            x = drawn(n, 48, seed=3, dtype=dtype, place=place)
            x[1, 7] = torch.nan
            y = kernels.block_linear(x, blocks)
            assert torch.isnan(y[1]).all()
            assert torch.isfinite(y[0]).all()
            for wrong in (3, -1):
                columns = blocks.columns.clone()
                columns[4] = wrong  # of the second block row
                y = kernels.block_linear(x, BlockSparse(blocks.values, blocks.starts, columns, 32, 48))
                assert torch.isnan(y[0, 16:]).all()
                assert torch.isfinite(y[0, :16]).all()


def test_blocks_by_columns():
    blocks = BlockSparse.of(sparse((100, 130), 16, torch.float32, "cpu", 0.3), 16)
    starts, rows, order = device_products.by_columns(blocks.starts, blocks.columns, 9)
    assert {t.dtype for t in (starts, rows, order)} == {torch.int32}
    assert starts[0] == 0
    assert starts[-1] == len(order) == len(blocks.columns)
    for c in range(9):
        mine = order[starts[c] : starts[c + 1]].long()
        assert bool((blocks.columns[mine] == c).all())
        assert bool((mine.diff() > 0).all())
        assert bool((blocks.starts[rows[starts[c] : starts[c + 1]].long()] <= mine).all())
