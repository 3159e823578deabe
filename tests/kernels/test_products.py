"""The block-sparse product against dense ones: value, derivatives, threads, bad input."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from sparseopt import kernels  # noqa: E402
from sparseopt._native import HAS_NATIVE  # noqa: E402
from sparseopt.kernels import BlockSparse  # noqa: E402

SHAPES = [(64, 96), (33, 250), (100, 70), (16, 16), (5, 3)]
OP = torch.ops.sparseopt.block_linear
BATCHES = (0, 1, 2, 3, 5, 7, 8, 9, 17)


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def sparse(shape, b, kept=0.4, seed=0, dtype=torch.float32):
    """A matrix with about that share of its blocks; block row 0 is empty where there are others."""
    rng = torch.Generator().manual_seed(seed)
    mask = torch.rand(-(-shape[0] // b), -(-shape[1] // b), generator=rng) < kept
    mask[0] = len(mask) == 1
    spread = mask.repeat_interleave(b, 0)[: shape[0]].repeat_interleave(b, 1)[:, : shape[1]]
    return drawn(*shape, seed=seed, dtype=dtype) * spread


def close(found, expected, terms):
    """Equal up to the rounding of sums of that many products of numbers of about 1."""
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=8 * terms * torch.finfo(found.dtype).eps)


@pytest.mark.parametrize("b", [16, 32, 64])
def test_value_and_gradient_are_those_of_a_dense_product(b):
    for shape in SHAPES:
        w, bias = sparse(shape, b), drawn(shape[0], seed=2)
        blocks = BlockSparse.of(w, b)
        assert torch.equal(blocks.dense(), w)
        for n in BATCHES:
            x, g = drawn(n, shape[1], seed=n).requires_grad_(), drawn(n, shape[0], seed=n + 1)
            for given in (None, bias):
                y = kernels.block_linear(x, blocks, given)
                wide = functional.linear(x.double(), w.double(), None if given is None else given.double())
                close(y, wide, shape[1])
            (dx,) = torch.autograd.grad(y, x, g)
            close(dx, g.double() @ w.double(), shape[0])
            assert torch.equal(kernels.block_linear_transposed(g, blocks), dx)


def test_leading_axes_strides_and_other_types():
    w = sparse((48, 80), 16)
    for dtype in (torch.float64, torch.bfloat16):
        blocks = BlockSparse.of(w.to(dtype), 16)
        x = drawn(2, 3, 80, dtype=dtype)
        close(kernels.block_linear(x, blocks), functional.linear(x, w.to(dtype)), 80)
    x = drawn(80, 6, seed=3).t().reshape(2, 3, 80)
    blocks = BlockSparse.of(w, 16)
    y = kernels.block_linear(x, blocks)
    assert y.shape == (2, 3, 48)
    assert y.is_contiguous()
    close(y, functional.linear(x, w), 80)
    assert torch.equal(kernels.block_linear(x[0, 0], blocks), y[0, 0]) or HAS_NATIVE
    close(kernels.block_linear(x[0, 0], blocks), y[0, 0], 80)
    empty = BlockSparse.of(torch.zeros(48, 80), 16)
    assert torch.equal(kernels.block_linear(x, empty, torch.ones(48)), torch.ones(2, 3, 48))


def test_with_and_without_the_operator():
    """Where only the value is asked for, no operator is called; modes of torch see one all the same."""
    from torch.utils.flop_counter import FlopCounterMode

    blocks, x = BlockSparse.of(sparse((20, 24), 16), 16), drawn(3, 24)
    counter = FlopCounterMode(display=False, custom_mapping={OP: lambda *shapes, out_shape=None, **_: 7})
    with counter:
        seen = kernels.block_linear(x, blocks)
    assert counter.get_total_flops() == 7
    assert torch.equal(seen, kernels.block_linear(x, blocks))
    assert torch.equal(seen, kernels.block_linear(x.clone().requires_grad_(), blocks).detach())


def test_second_derivatives():
    blocks = BlockSparse.of(sparse((20, 24), 16, dtype=torch.float64), 16)
    x, bias = drawn(3, 24, dtype=torch.float64).requires_grad_(), drawn(20, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, bias: kernels.block_linear(x, blocks, bias), (x, bias), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: kernels.block_linear(x, blocks) ** 2, (x,), fast_mode=True)


def test_values_are_not_trained():
    blocks = BlockSparse.of(sparse((20, 24), 16), 16)
    blocks.values.requires_grad_()
    with pytest.raises(RuntimeError, match="train the dense weight"):
        kernels.block_linear(drawn(3, 24), blocks).sum().backward()


def test_under_compile():
    blocks = BlockSparse.of(sparse((20, 24), 16), 16)
    x = drawn(3, 24).requires_grad_()

    def loss(x):
        return (kernels.block_linear(2 * x, blocks) ** 2).sum()

    (expected,) = torch.autograd.grad(loss(x), x)
    (found,) = torch.autograd.grad(torch.compile(loss, fullgraph=True, backend="aot_eager")(x), x)
    close(found, expected, 24)


def test_what_does_not_fit_is_refused():
    w = sparse((32, 48), 16)
    blocks = BlockSparse.of(w, 16)
    with pytest.raises(ValueError, match="16, 32 and 64"):
        BlockSparse.of(w, 8)
    with pytest.raises(ValueError, match=r"the matrix takes torch.float32 \[..., 48\]"):
        kernels.block_linear(torch.ones(2, 32), blocks)
    with pytest.raises(ValueError, match="the matrix takes"):
        kernels.block_linear(torch.ones(2, 48, dtype=torch.float64), blocks)
    with pytest.raises(ValueError, match=r"g is .* the matrix takes torch.float32 \[..., 32\]"):
        kernels.block_linear_transposed(torch.ones(2, 48), blocks)
    with pytest.raises(ValueError, match="bias"):
        kernels.block_linear(torch.ones(2, 48), blocks, torch.ones(48))
    with pytest.raises(ValueError, match="belong together"):
        kernels.block_linear(torch.ones(2, 48), BlockSparse(blocks.values, blocks.starts[:-1], blocks.columns, 32, 48))


@pytest.mark.skipif(not HAS_NATIVE, reason="the compiled core checks indices")
def test_indices_outside_the_matrix_are_refused():
    blocks = BlockSparse.of(sparse((32, 48), 16, kept=0.9), 16)
    wrong = [
        (blocks.starts, blocks.columns + 1),
        (blocks.starts, blocks.columns - 1),
        (blocks.starts + 1, blocks.columns),
        (blocks.starts.flip(0), blocks.columns),
    ]
    for starts, columns in wrong:
        with pytest.raises(ValueError, match="no block-sparse matrix"):
            kernels.block_linear(torch.ones(2, 48), BlockSparse(blocks.values, starts, columns, 32, 48))
        with pytest.raises(ValueError, match="no block-sparse matrix"):
            torch.ops.sparseopt.block_linear_transposed(torch.ones(2, 32), blocks.values, starts, columns, 48)


def test_threads_do_not_matter():
    blocks = BlockSparse.of(sparse((300, 200), 32), 32)
    x = drawn(150, 200)
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)  # the fixture sets it back
        results.append(kernels.block_linear(x, blocks))
    assert torch.equal(*results)
