"""The torch operators against their plain formulas, opcheck, and torch.compile."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import sparseopt as so  # noqa: E402
from sparseopt import kernels  # noqa: E402
from sparseopt._native import HAS_NATIVE  # noqa: E402
from sparseopt.kernels import Cut, reference  # noqa: E402

CASES = [
    ((64, 96), Cut(32, 32)),
    ((48, 40), Cut(16, 8)),
    ((31, 33), Cut(4, 5)),  # cut off at both borders
    ((129, 27), Cut(1, 1)),
    ((16, 12 * 9), Cut(8, 4, 9)),  # taps of a 3 x 3 convolution
    ((7, 5 * 3), Cut(3, 2, 3)),  # the same, cut off
    ((70, 3), Cut(70, 1)),
    ((1, 1), Cut(4, 4)),
]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-13, torch.bfloat16: 2e-2, torch.float16: 3e-3}
"""Some hundred roundings of the dtype: sums over at most 70 x 33 entries, in any order."""


def drawn(shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(a, b, dtype):
    torch.testing.assert_close(a, b, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


def per_block(w, cut, seed=9):
    scale = drawn(cut.grid(w), w.dtype, seed)
    scale[torch.rand(scale.shape, generator=torch.Generator().manual_seed(seed)) < 0.4] = 0
    return scale


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "cut"), CASES, ids=str)
def test_operators_are_their_formulas(shape, cut, dtype):
    w, g, scale = drawn(shape, dtype), drawn(shape, dtype, 1), None
    scale = per_block(w, cut)
    close(kernels.block_norms(w, cut), reference.block_norms(w, cut), dtype)
    close(kernels.block_dots(w, g, cut), reference.block_dots(w, g, cut), dtype)
    close(kernels.sum_norms(w, g, cut), reference.block_norms(w + g, cut), dtype)
    expected = reference.scale_blocks(w, scale, cut)
    close(kernels.scale_blocks(w, scale, cut), expected, dtype)
    close(kernels.scale_blocks_(w.clone(), scale, cut), expected, dtype)
    kept = scale != 0
    assert torch.equal(kernels.mask_blocks_(w.clone(), kept, cut), reference.mask_blocks(w, kept, cut))
    decayed = kernels.sparse_decay_(g.clone(), w, kept, 0.3, cut)
    close(decayed, reference.sparse_decay(w, g, kept, 0.3, cut), dtype)
    close(kernels.scale_blocks_into_(torch.empty_like(w), w, scale, cut), expected, dtype)
    masked = kernels.mask_blocks_into_(torch.empty_like(w), w, kept, cut)
    assert torch.equal(masked, reference.mask_blocks(w, kept, cut))
    pulled = g.clone()
    close(kernels.scale_blocks_vjp_(pulled, w, scale, cut), reference.block_dots(w, g, cut), dtype)
    close(pulled, reference.scale_blocks(g, scale, cut), dtype)
    added = kernels.add_scaled_blocks_(g.clone(), w, scale, cut)
    close(added, reference.add_scaled_blocks(g, w, scale, cut), dtype)
    z, u = drawn(shape, dtype, 2), drawn(shape, dtype, 3)
    close(kernels.augment_(g.clone(), w, z, u, 0.3), reference.augment(g, w, z, u, 0.3), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "cut"), CASES, ids=str)
def test_the_admm_triple(shape, cut, dtype):
    w, z, u = (drawn(shape, dtype, seed) for seed in range(3))
    kept = per_block(w, cut) != 0
    new_z, new_u, residuals = reference.admm_update(w, z, u, kept, cut)
    found = kernels.admm_update_(w, z, u, kept, cut)
    close(z, new_z, dtype)
    close(u, new_u, dtype)
    close(found, residuals, dtype if dtype in (torch.float64,) else torch.bfloat16)


@pytest.mark.parametrize("large", [0, 1 << 22], ids=["as large", "small"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_admm_triple_in_two_steps(dtype, large, monkeypatch):
    """Two turns, the same bits as in one step; what is 0 is left alone in the second one."""
    monkeypatch.setattr(kernels.splitting, "LARGE", large)
    cuts = [cut for _, cut in CASES]
    ws, zs, us = ([drawn(shape, dtype, seed) for shape, _ in CASES] for seed in range(3))
    once = [(z.clone(), u.clone()) for z, u in zip(zs, us, strict=True)]
    splitting = kernels.Splitting(ws, zs, us, cuts)
    assert bool(splitting.large) == (large == 0 and HAS_NATIVE and dtype in (torch.float32, torch.float64))
    for seed in (9, 10):
        norms = splitting.norms()
        kepts = [per_block(w, cut, seed) != 0 for w, cut in zip(ws, cuts, strict=True)]
        found = splitting.project(kepts)
        for i, (w, cut) in enumerate(zip(ws, cuts, strict=True)):
            wide = [reference.working(x) for x in (w, once[i][1])]
            close(norms[i], reference.block_norms(wide[0] + wide[1], cut), wide[0].dtype)
            close(found[i], kernels.admm_update_(w, *once[i], kepts[i], cut), torch.float32)
            assert torch.equal(zs[i], once[i][0])
            assert torch.equal(us[i], once[i][1])


def test_the_two_steps_of_the_admm_triple_as_formulas():
    """The operators take any blocks; `Splitting` leaves to them those of whole lines alone."""
    w, z, u, cut = drawn((31, 33)), drawn((31, 33), seed=1), drawn((31, 33), seed=2), Cut(4, 5)
    kept = per_block(w, cut) != 0
    new_z, new_u, residuals = reference.admm_update(w, z, u, kept, cut)
    before = u.clone()
    norms, squares = OPS.admm_add_(u, w, *cut)
    close(norms, reference.block_norms(u, cut), torch.float32)
    wanted = torch.stack([reference.block_norms(x, cut) ** 2 for x in (before, w, u)], -1)
    close(squares.float(), wanted, torch.float32)
    occupied, held = ~kept, squares[..., 0].clone()
    close(OPS.admm_split_(z, u, occupied, held, squares, kept, *cut), residuals, torch.float32)
    close(held.float(), wanted[..., 2] * kept, torch.float32)
    assert torch.equal(occupied, kept)
    assert torch.equal(z, new_z)
    assert torch.equal(u, new_u)


def test_changes_of_z_between_projections_are_noticed(monkeypatch):
    """Where it is 0, z is not read in the next turn, of another object too; unless torch knows that it was changed."""
    monkeypatch.setattr(kernels.splitting, "LARGE", 0)
    (w, z, u), cut = (drawn((8, 64), seed=seed) for seed in range(3)), (8, 32)
    kept = torch.tensor([[[True], [False]]])

    def turn():
        """Residuals of an update with a new object: the same bits for copies, of which nothing is known."""
        copies = kernels.Splitting([w], [z.clone()], [u.clone()], [cut])
        copies.norms()
        (wanted,) = copies.project([kept])
        splitting = kernels.Splitting([w], [z], [u], [cut])
        before = z.clone()
        splitting.norms()
        (found,) = splitting.project([kept])
        assert torch.equal(found, wanted) or bool(z[0, 40])
        return found, ((z - before).double() ** 2).sum()

    changes = [
        lambda: None,
        lambda: z[:, 32:].fill_(3),
        lambda: z.view(-1)[40:50].copy_(torch.ones(10)),
        lambda: z.copy_(w),
        lambda: kernels.augment_(z, w, w, u, 0.5),
    ]
    for change in changes:
        change()
        found, moved = turn()
        assert torch.equal(z[:, 32:], torch.zeros(8, 32))
        close(found[1].float(), moved.float(), torch.float32)
    z.data[0, 40] = 1.0  # past torch's books: the block counts as 0 and is left alone, where lines are compiled
    turn()
    assert bool(z[0, 40] == 1) == HAS_NATIVE


@pytest.mark.parametrize("rho", [so.penalties.Linear(), so.penalties.MCP(3.0), so.penalties.Power(0.5)], ids=repr)
@pytest.mark.parametrize(("shape", "cut"), CASES, ids=str)
def test_prox_of_blocks(shape, cut, rho):
    w = drawn(shape, torch.float64)
    before = reference.block_norms(w, cut)
    x = w.clone()
    step = 0.5 * float(before.median()) + 1e-3
    norms = kernels.block_prox_(x, rho, step, cut)
    close(norms, before, torch.float64)
    shrunk = rho.prox(before, step)
    close(x, reference.scale_blocks(w, shrunk / before, cut), torch.float64)


def test_a_rho_of_ones_own_is_called():
    class Half:
        def prox(self, v, step=1.0, out=None):
            return v / (1 + step)

    w = drawn((8, 8))
    x = w.clone()
    kernels.block_prox_(x, Half(), 1.0, (4, 4))
    close(x, w / 2, torch.float32)


@pytest.mark.parametrize(("shape", "cut"), CASES[:6], ids=str)
def test_derivatives_against_differences(shape, cut):
    w, g = drawn(shape, torch.float64).requires_grad_(), drawn(shape, torch.float64, 1).requires_grad_()
    scale = drawn(cut.grid(w), torch.float64, 2).requires_grad_()
    fast = {"fast_mode": True}
    assert torch.autograd.gradcheck(lambda a: kernels.block_norms(a, cut), (w,), **fast)
    assert torch.autograd.gradcheck(lambda a, b: kernels.block_dots(a, b, cut), (w, g), **fast)
    assert torch.autograd.gradcheck(lambda a, s: kernels.scale_blocks(a, s, cut), (w, scale), **fast)


def test_zero_blocks_and_extremes():
    w = torch.zeros(8, 8, requires_grad=True)
    kernels.block_norms(w, (4, 4)).sum().backward()
    assert torch.equal(w.grad, torch.zeros(8, 8))
    for factor in (1e-30, 1e25):
        x = torch.full((8, 8), factor)
        close(kernels.block_norms(x, (4, 4)) / factor, torch.full((2, 2, 1), 4.0), torch.float32)
        close(kernels.block_norms(x, (3, 3)) / factor, reference.block_norms(x, Cut(3, 3)) / factor, torch.float32)
    for factor in (1e-310, 1e-200, 1e200, 1e307):
        x = torch.full((8, 8), factor, dtype=torch.float64)
        for given in (x, x.new_empty(8, 16)[:, ::2].copy_(x)):  # compiled, and where it cannot be
            ratios = kernels.block_norms(given, (4, 4)) / factor
            torch.testing.assert_close(ratios, torch.full_like(ratios, 4.0), rtol=1e-12, atol=0)
    x = torch.zeros(64, 64)
    x[40, 40], x[0, 63] = 1e-30, -0.0
    for cut in ((32, 32), (16, 8), (5, 3)):  # blocks of zeros beside one that underflows
        norms = kernels.block_norms(x, cut)
        assert torch.equal(norms, reference.block_norms(x, Cut(*cut)))
        assert int((norms > 0).sum()) == 1
    x = torch.ones(8, 8)
    x[0, 0] = torch.nan
    assert torch.isnan(kernels.block_prox_(x, so.penalties.Linear(), 0.1, (4, 4))[0, 0, 0])
    assert torch.isnan(x[:4, :4]).all()
    kernels.mask_blocks_(x, torch.tensor([[[False], [True]], [[True], [True]]]), (4, 4))
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "cut"), CASES[:6], ids=str)
def test_gradients_where_blocks_are_closed_are_zero(shape, cut, dtype):
    """A block times 0 is 0 whatever it holds, and its gradient too, also NaN or inf."""
    w, g = drawn(shape, dtype), drawn(shape, dtype, 1)
    scale = per_block(w, cut)
    closed = reference.spread(scale == 0, cut, w)
    g[closed] = torch.tensor([torch.nan, torch.inf], dtype=dtype).repeat(closed.sum())[: closed.sum()]
    pulled = g.clone()
    kernels.scale_blocks_vjp_(pulled, w, scale, cut)
    close(pulled, reference.scale_blocks(g, scale, cut), dtype)
    assert not bool(pulled[closed].any())
    w[closed] = 0
    kernels.power_blocks_vjp_(g, w, kernels.block_norms(w, cut), cut)
    assert not bool(g[closed].any())
    assert bool(torch.isfinite(g).all())


@pytest.mark.parametrize(("shape", "cut"), CASES[:6], ids=str)
def test_norms_of_blocks_with_nan_beside_infinity(shape, cut):
    for wrong in (torch.tensor([torch.inf, torch.nan]), torch.tensor([torch.nan, -torch.inf])):
        w = drawn(shape, torch.float64).abs()
        w.view(-1)[:2] = wrong
        expected = reference.block_norms(w, cut)
        found = [kernels.block_norms(w, cut), kernels.block_norms(w.float(), cut), kernels.sum_norms(w, w, cut) / 2]
        for norms in found:
            torch.testing.assert_close(norms.double(), expected, rtol=1e-5, atol=0, equal_nan=True)


def test_views_of_rows_and_columns():
    whole = drawn((40, 64), torch.float64)
    part, copy = whole[8:24, 16:48], whole[8:24, 16:48].clone()
    close(kernels.block_norms(part, (8, 8)), kernels.block_norms(copy, (8, 8)), torch.float64)
    kept = kernels.block_norms(part, (8, 8)) > 8
    kernels.mask_blocks_(part, kept, (8, 8))
    assert torch.equal(whole[8:24, 16:48], reference.mask_blocks(copy, kept, Cut(8, 8)))
    transposed = whole.T
    kept = kernels.block_norms(transposed, (8, 8)) > 8
    kernels.mask_blocks_(transposed, kept, (8, 8))
    assert torch.equal(kernels.block_norms(transposed, (8, 8)) == 0, ~kept)


def test_threads_do_not_matter():
    w, g = drawn((256, 512)), drawn((256, 512), seed=1)
    results = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        z, u = g.clone(), w.clone()
        residuals = kernels.admm_update_(w, z, u, torch.ones(32, 64, 1, dtype=torch.bool), (8, 8))
        results.append([kernels.block_norms(w, (8, 8)), kernels.block_dots(w, g, (8, 8, 4)), z, u, residuals])
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_projections_are_those_of_the_sets():
    w = drawn((16, 32))
    library = so.sets.libraries.all_patterns((4, 4), 8)[:20]
    cases = [
        (kernels.project_nm, kernels.project_nm_, (2, 4), so.sets.NM(2, 4)),
        (kernels.project_patterns, kernels.project_patterns_, (library,), so.sets.PatternLibrary(library)),
        (kernels.project_top_blocks, kernels.project_top_blocks_, (5, (4, 8)), so.sets.TopBlocks(5, (4, 8))),
    ]
    for project, project_, arguments, a_set in cases:
        expected = torch.from_numpy(a_set.project(w.numpy()))
        assert torch.equal(project(w, *arguments), expected)
        assert torch.equal(project_(w.clone(), *arguments), expected)
        assert torch.equal(project(w.bfloat16(), *arguments) != 0, a_set.support(w.bfloat16().float()))
        x = w.clone().requires_grad_()
        project(x, *arguments).sum().backward()
        assert torch.equal(x.grad, (expected != 0).float())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_soft_topk_is_that_of_the_core(dtype):
    x, g = drawn((3, 200), dtype), drawn((3, 200), dtype, 1)
    leaf = x.clone().requires_grad_()
    f = kernels.soft_topk(leaf, 20, 0.1)
    (f * g).sum().backward()
    operator = so.SoftTopK(20, 0.1)
    wide = x.double() if dtype == torch.float64 else x.float()
    close(f.detach(), torch.from_numpy(operator(wide.numpy())).to(dtype), dtype)
    product = operator.vjp(g.to(wide.dtype).numpy())
    close(leaf.grad, torch.from_numpy(product).to(dtype), dtype)
    close(torch.ops.sparseopt.soft_topk(x, 20, 0.1), f.detach(), dtype)


OPS = torch.ops.sparseopt
KEPT = torch.tensor([True, False] * 12).reshape(4, 6, 1)
SQUARES = KEPT.double()[..., None].repeat(1, 1, 1, 3)
BLOCKS = kernels.BlockSparse.of(drawn((32, 24)), 16)
STORED = (BLOCKS.values, BLOCKS.starts, BLOCKS.columns)
OPCHECKS = {
    "block_norms": lambda w: (w, 4, 4, 1),
    "block_dots": lambda w: (w, drawn((16, 24), seed=1).requires_grad_(), 4, 4, 1),
    "scale_blocks": lambda w: (w, drawn((4, 6, 1), seed=2).requires_grad_(), 4, 4, 1),
    "scale_blocks_backward": lambda w: (w.detach(), drawn((16, 24)), drawn((4, 6, 1)), 4, 4, 1),
    "scale_blocks_": lambda w: (w.detach(), drawn((4, 6, 1)), 4, 4, 1),
    "mask_blocks_": lambda w: (w.detach(), KEPT, 4, 4, 1),
    "block_prox_": lambda w: (w.detach(), torch.tensor(0.1, dtype=torch.float64), 0, 0.0, 4, 4, 1),
    "sum_norms": lambda w: (w.detach(), drawn((16, 24)), 4, 4, 1),
    "admm_update_": lambda w: (w.detach(), drawn((16, 24)), drawn((16, 24)), KEPT, 4, 4, 1),
    "admm_add_": lambda w: (drawn((16, 24)), w.detach(), 4, 4, 1),
    "admm_split_": lambda w: (drawn((16, 24)), w.detach(), ~KEPT, KEPT.double(), SQUARES, KEPT, 4, 4, 1),
    "augment_": lambda w: (w.detach(), drawn((16, 24)), drawn((16, 24)), drawn((16, 24)), 0.1),
    "sparse_decay_": lambda w: (w.detach(), drawn((16, 24)), KEPT, 0.1, 4, 4, 1),
    "scale_blocks_into_": lambda w: (drawn((16, 24)), w.detach(), drawn((4, 6, 1)), 4, 4, 1),
    "mask_blocks_into_": lambda w: (drawn((16, 24)), w.detach(), KEPT, 4, 4, 1),
    "scale_blocks_vjp_": lambda w: (drawn((16, 24)), w.detach(), drawn((4, 6, 1)), 4, 4, 1),
    "add_scaled_blocks_": lambda w: (drawn((16, 24)), w.detach(), drawn((4, 6, 1)), 4, 4, 1),
    "soft_topk": lambda w: (w, 5, 0.1),
    "project_nm": lambda w: (w, 2, 4),
    "project_nm_": lambda w: (w.detach(), 2, 4),
    "project_top_blocks": lambda w: (w, 5, 4, 4),
    "project_top_blocks_": lambda w: (w.detach(), 5, 4, 4),
    "project_patterns": lambda w: (w, torch.eye(4, dtype=torch.bool)[None]),
    "project_patterns_": lambda w: (w.detach(), torch.eye(4, dtype=torch.bool)[None]),
    "block_linear": lambda w: (w, *STORED, drawn((32,)).requires_grad_(), 32),
    "block_linear_transposed": lambda w: (drawn((16, 32)).requires_grad_(), *STORED, 24),
    "soft_topk_backward": lambda w: (drawn((16, 24)), w.detach(), 5, 0.1),
    "power_blocks_into_": lambda w: (drawn((16, 24)), w.detach(), 4, 4, 1),
    "power_blocks_vjp_": lambda w: (drawn((16, 24)), w.detach(), drawn((4, 6, 1)).abs(), 4, 4, 1),
}


def test_every_operator_is_checked():
    registered = {name.partition("::")[2] for name in torch._C._dispatch_get_all_op_names() if "sparseopt::" in name}
    elsewhere = {"compressed"}  # of exports
    assert {name for name in registered - elsewhere if not name.startswith("foreach_")} == set(OPCHECKS)


@pytest.mark.parametrize("name", OPCHECKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opcheck(name):
    w = drawn((16, 24)).requires_grad_()
    utilities = ["test_schema", "test_autograd_registration", "test_faketensor"]
    torch.library.opcheck(getattr(OPS, name).default, OPCHECKS[name](w), test_utils=utilities)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPCHECKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opcheck_traced(name):
    w = drawn((16, 24)).requires_grad_()
    torch.library.opcheck(getattr(OPS, name).default, OPCHECKS[name](w))


def test_compile_without_graph_breaks():
    def loss(w, m):
        mask = kernels.soft_topk(m.flatten(), 6, 0.5).reshape(m.shape)
        x = kernels.scale_blocks(w, mask, (4, 4))
        return (kernels.project_nm(x, 2, 4) ** 2).sum() + kernels.block_norms(x, (4, 4)).sum()

    leaves = [(drawn((16, 24)).requires_grad_(), drawn((4, 6, 1), seed=1).requires_grad_()) for _ in range(2)]
    loss(*leaves[0]).backward()
    torch.compile(loss, fullgraph=True, backend="aot_eager")(*leaves[1]).backward()
    for eager, compiled in zip(*leaves, strict=True):
        close(eager.grad, compiled.grad, torch.float32)


def test_what_does_not_fit_is_refused():
    w = torch.ones(4, 6)
    with pytest.raises(ValueError, match="matrix"):
        kernels.block_norms(torch.ones(3), (1, 1))
    with pytest.raises(ValueError, match="taps"):
        kernels.block_norms(w, (1, 1, 4))
    with pytest.raises(ValueError, match="dtype"):
        kernels.block_norms(w.int(), (1, 1))
    with pytest.raises(ValueError, match="one number for each"):
        kernels.scale_blocks(w, torch.ones(2, 2), (2, 2))
    with pytest.raises(ValueError, match="bool"):
        kernels.mask_blocks_(w, torch.ones(2, 3, 1), (2, 2))
    with pytest.raises(ValueError, match="like w"):
        kernels.block_dots(w, w.double(), (2, 2))
    with pytest.raises(ValueError, match="k is at most"):
        kernels.soft_topk(w, 7, 0.1)
    with pytest.raises(ValueError, match="temperature"):
        kernels.soft_topk(w, 2, 0.0)
    with pytest.raises(ValueError, match="floating tensor"):
        kernels.soft_topk(np.ones(3), 2, 0.1)
