"""Operations on lists of matrices: the bits of those on each matrix alone, as torch operators."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from sparseopt import kernels  # noqa: E402
from sparseopt.kernels import Cut, reference  # noqa: E402
from sparseopt.penalties import MCP, Linear  # noqa: E402

SHAPES = {
    (64, 128): Cut(16, 32),
    (48, 40): Cut(16, 8),
    (31, 33): Cut(4, 5),
    (32, 24 * 9): Cut(16, 8, 9),  # taps of a 3 x 3 convolution
    (7, 5 * 3): Cut(3, 2, 3),
    (5, 3 * 25): Cut(2, 2, 25),
    (3, 40 * 11): Cut(3, 8, 11),
    (129, 27): Cut(1, 1),
    (40, 1200): Cut(16, 8),  # several tasks
    (130, 16): Cut(65, 16),  # more rows than are summed at once
}
CUTS = list(SHAPES.values())
FEW = slice(3, 5)
FLAT = [size for cut in CUTS[FEW] for size in cut]
OPS = torch.ops.sparseopt


def drawn(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in SHAPES]


def numbers(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    grids = [cut.grid(torch.empty(shape)) for shape, cut in SHAPES.items()]
    scales = [torch.randn(grid, generator=generator) for grid in grids]
    return [torch.where(torch.rand(s.shape, generator=generator) < 0.4, 0.0, s).to(dtype) for s in scales]


def copies(tensors):
    return [x.clone() for x in tensors]


def pairwise(case):
    return zip(case[::2], case[1::2], strict=True)


def cases(dtype):
    """Lists that an operation changes or returns; the same one by one."""
    w, g, u, scale = drawn(0, dtype), drawn(1, dtype), drawn(2, dtype), numbers(3, dtype)
    kept, sizes, step = [s != 0 for s in scale], [s.abs() for s in scale], [s.abs().double() for s in scale]

    def each(operation, *lists):
        return [operation(*given) for given in zip(*lists, CUTS, strict=True)]

    def both(many, one, changed, *others):
        """Of an operation that changes its first argument."""
        together, apart = copies(changed), copies(changed)
        returned = many(together, *others, CUTS), each(one, apart, *others)
        return [*(returned if returned[0] is not None else ()), together, apart]

    yield [kernels.foreach_block_norms(w, CUTS), each(kernels.block_norms, w)]
    yield [kernels.foreach_sum_norms(w, u, CUTS), each(kernels.sum_norms, w, u)]
    yield both(kernels.foreach_mask_blocks_, kernels.mask_blocks_, w, kept)
    yield both(kernels.foreach_mask_blocks_into_, kernels.mask_blocks_into_, g, w, kept)
    masked, before = copies(g), [s > 0 for s in scale]
    returned = kernels.foreach_mask_norms_into_(masked, w, before, CUTS)
    yield [
        returned,
        each(kernels.block_norms, w),
        copies(masked),
        each(kernels.mask_blocks_into_, copies(g), w, before),
    ]
    changed = [a != b for a, b in zip(kept, before, strict=True)]
    kernels.foreach_remask_blocks_into_(masked, w, kept, changed, CUTS)
    yield [masked, each(kernels.mask_blocks_into_, copies(g), w, kept)]
    yield both(kernels.foreach_scale_blocks_, kernels.scale_blocks_, w, scale)
    yield both(kernels.foreach_scale_blocks_into_, kernels.scale_blocks_into_, g, w, scale)
    yield both(kernels.foreach_scale_blocks_vjp_, kernels.scale_blocks_vjp_, g, w, scale)
    yield both(kernels.foreach_power_blocks_into_, kernels.power_blocks_into_, g, w)
    yield both(kernels.foreach_power_blocks_vjp_, kernels.power_blocks_vjp_, g, w, sizes)
    for rho in (Linear(), MCP(3.0)):
        together, apart = copies(w), copies(w)
        returned = kernels.foreach_block_prox_(together, rho, step, CUTS)
        yield [returned, [kernels.block_prox_(x, rho, s, cut) for x, s, cut in zip(apart, step, CUTS, strict=True)]]
        yield [together, apart]
    together, apart = copies(g), copies(g)
    kernels.foreach_sparse_decay_(together, w, kept, 0.3, CUTS)
    yield [together, [kernels.sparse_decay_(*x, 0.3, c) for *x, c in zip(apart, w, kept, CUTS, strict=True)]]
    together, apart = copies(g), copies(g)
    kernels.foreach_augment_(together, w, u, u, 0.3)
    yield [together, [kernels.augment_(*x, 0.3) for x in zip(apart, w, u, u, strict=True)]]
    together = copies(g)
    kernels.foreach_attract_(together, w, u, 0.3)
    yield [together, [kernels.reference.attract(*x, 0.3) for x in zip(g, w, u, strict=True)]]
    z, zs, us = copies(g), copies(g), copies(u)
    returned = kernels.foreach_admm_update_(w, zs, us, kept, CUTS)
    yield [returned, each(kernels.admm_update_, w, z, u, kept)]
    yield [zs + us, z + u]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_lists_have_the_bits_of_single_matrices(dtype):
    for case in cases(dtype):
        for together, apart in pairwise(case):
            assert all(torch.equal(a, b) for a, b in zip(together, apart, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_power_of_blocks_is_its_formula(dtype):
    rounding = {torch.float32: 1e-5, torch.float64: 1e-13, torch.bfloat16: 3e-2}[dtype]  # some hundred roundings
    for w, g, cut in zip(drawn(0, dtype), drawn(1, dtype), CUTS, strict=True):
        w[: cut.r] = 0
        out, pulled = torch.empty_like(w), g.clone()
        norms = kernels.power_blocks_into_(out, w, cut)
        expected = reference.block_norms(w, cut)
        scale = float(expected.max())
        torch.testing.assert_close(norms, expected, rtol=rounding, atol=0)
        torch.testing.assert_close(out, reference.scale_blocks(w, expected, cut), rtol=rounding, atol=0)
        kernels.power_blocks_vjp_(pulled, w, norms, cut)
        expected = reference.power_blocks_vjp(g, w, norms, cut)
        torch.testing.assert_close(pulled, expected, rtol=rounding, atol=scale * rounding)
        assert not bool(pulled[: cut.r].any())


def test_the_gradient_of_the_power_of_blocks_is_that_of_autograd():
    for w, g, cut in zip(drawn(0, torch.float64), drawn(1, torch.float64), CUTS, strict=True):
        leaf = w.clone().requires_grad_()
        kernels.scale_blocks(leaf, kernels.block_norms(leaf, cut), cut).backward(g)
        kernels.power_blocks_vjp_(g, w, kernels.block_norms(w, cut), cut)
        torch.testing.assert_close(g, leaf.grad, rtol=1e-11, atol=1e-11)


def test_lists_of_all_kinds_of_matrices():
    """Other strides, dtypes and threads: worked on one by one, or in parts."""
    w, scale = drawn(0), numbers(3)
    w[1], w[4] = w[1].t().contiguous().t(), w[4].bfloat16()
    whole = torch.randn(64, 256)
    w[0] = whole[:, 64:192]
    expected = [kernels.scale_blocks(*given) for given in zip(w, scale, CUTS, strict=True)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    kernels.foreach_scale_blocks_(w, scale, CUTS)
    x, y = drawn(0), drawn(0)
    kernels.foreach_scale_blocks_(x, scale, CUTS)
    torch.set_num_threads(before)
    kernels.foreach_scale_blocks_(y, scale, CUTS)
    assert all(torch.equal(a, b) for a, b in zip(w + x, expected + y, strict=True))
    assert kernels.foreach_block_norms([], []) == []


def test_what_lists_change_is_known_to_autograd():
    w, factor = drawn(0), torch.randn(33, 2, requires_grad=True)
    product = w[2] @ factor
    kernels.foreach_mask_blocks_(w, [s != 0 for s in numbers(3)], CUTS)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_lists_that_do_not_fit_are_refused():
    w, kept = drawn(0), [s != 0 for s in numbers(3)]
    with pytest.raises(ValueError, match="one entry for each matrix"):
        kernels.foreach_mask_blocks_(w, kept[:-1], CUTS)
    with pytest.raises(ValueError, match="one number for each"):
        kernels.foreach_mask_blocks_(w, kept[::-1], CUTS)
    with pytest.raises(ValueError, match="must be like w"):
        kernels.foreach_sum_norms(w, [x.double() for x in w], CUTS)


OPCHECKS = {
    "foreach_block_norms": lambda w, x, s: (w, FLAT),
    "foreach_sum_norms": lambda w, x, s: (w, x, FLAT),
    "foreach_mask_blocks_": lambda w, x, s: (x, [v != 0 for v in s], FLAT),
    "foreach_mask_blocks_into_": lambda w, x, s: (x, w, [v != 0 for v in s], FLAT),
    "foreach_mask_norms_into_": lambda w, x, s: (x, copies(s), w, [v != 0 for v in s], FLAT),
    "foreach_remask_blocks_into_": lambda w, x, s: (x, w, [v != 0 for v in s], [v > 0 for v in s], FLAT),
    "foreach_scale_blocks_": lambda w, x, s: (x, s, FLAT),
    "foreach_scale_blocks_into_": lambda w, x, s: (x, w, s, FLAT),
    "foreach_scale_blocks_vjp_": lambda w, x, s: (x, copies(s), w, s, FLAT),
    "foreach_power_blocks_into_": lambda w, x, s: (x, copies(s), w, FLAT),
    "foreach_power_blocks_vjp_": lambda w, x, s: (x, w, [v.abs() for v in s], FLAT),
    "foreach_sparse_decay_": lambda w, x, s: (x, w, [v != 0 for v in s], 0.1, FLAT),
    "foreach_augment_": lambda w, x, s: (x, w, drawn(4)[FEW], drawn(5)[FEW], 0.1),
    "foreach_attract_": lambda w, x, s: (x, w, drawn(4)[FEW], 0.1, FLAT),
    "foreach_admm_update_": lambda w, x, s: (x, drawn(4)[FEW], w, [v != 0 for v in s], FLAT),
    "foreach_block_prox_": lambda w, x, s: (x, copies(s), [v.abs().double() for v in s], 0, 0.0, FLAT),
}


def test_every_operator_is_checked():
    registered = {name.partition("::")[2] for name in torch._C._dispatch_get_all_op_names() if "sparseopt::" in name}
    assert {name for name in registered if name.startswith("foreach_")} == set(OPCHECKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPCHECKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opcheck(name):
    torch.library.opcheck(getattr(OPS, name).default, OPCHECKS[name](drawn(0)[FEW], drawn(1)[FEW], numbers(3)[FEW]))


def test_lists_are_compiled_without_graph_breaks():
    def step(w, g, scale):
        outs = [torch.zeros_like(x) for x in w]
        kernels.foreach_scale_blocks_into_(outs, w, scale, CUTS[:4])
        products = kernels.foreach_scale_blocks_vjp_(g, w, scale, CUTS[:4])
        norms = kernels.foreach_block_prox_(outs, Linear(), [0.1] * 4, CUTS[:4])
        return outs + products + norms + kernels.foreach_block_norms(w, CUTS[:4])

    w, scale, g, h = drawn(0)[:4], numbers(3)[:4], drawn(1)[:4], drawn(1)[:4]
    eager = step(w, g, scale)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")(w, h, scale)
    assert all(torch.equal(a, b) for a, b in zip(eager + g, compiled + h, strict=True))
