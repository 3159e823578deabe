"""The CUDA kernels of the block operations behind their torch faces: on the host emulator, and on a device."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import sparseopt as so  # noqa: E402
from sparseopt import kernels  # noqa: E402
from sparseopt._native import HAS_NATIVE, build_info, cuda  # noqa: E402
from sparseopt.kernels import Cut, blocks, device, foreach, layout, reference, updates  # noqa: E402

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
CASES = [
    ((64, 96), Cut(32, 32)),  # units of 16 bytes, a warp for each block
    ((48, 40), Cut(16, 8)),
    ((64, 200), Cut(64, 100)),  # a thread block for each block, cut off; more than a thread keeps
    ((31, 33), Cut(4, 5)),  # single entries, cut off at both borders
    ((129, 28), Cut(1, 1)),
    ((16, 12 * 9), Cut(8, 4, 9)),  # taps of a 3 x 3 convolution
    ((7, 5 * 3), Cut(3, 2, 3)),
    ((70, 3), Cut(70, 1)),
    ((6, 8), Cut(1, 4)),  # a thread for each block, or two, of units
    ((1, 1), Cut(4, 4)),
]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
TWINS = [
    *(so.penalties.Linear(), so.penalties.Power(0.5), so.penalties.Log(0.5), so.penalties.Ratio()),
    *(so.penalties.ExpMask(), so.penalties.MCP(3.0), so.penalties.SCAD(3.7), so.penalties.L0()),
]
LAUNCHES: list[int] = []
"""Kernels that each call of the emulator ran."""
ROUNDING = {dtype: torch.finfo(dtype).eps for dtype in DTYPES}


def sizes(grid):
    return (ctypes.c_int64 * 6)(*grid)


def emulate(library, patch):
    """The passes by the emulated kernels."""

    def launch(calls, *, device, stream):
        n = len(calls)
        addresses = [a for c in calls for a in (*c.matrices, c.values, c.results, c.work, c.prox[2])]
        given = (ctypes.c_void_p * (8 * n))(*addresses)
        per_block = (ctypes.c_int * n)(*(c.prox[3] for c in calls))
        grids = (ctypes.c_int64 * (6 * n))(*(size for c in calls for size in c.grid))
        first, launches = calls[0], ctypes.c_int(0)
        number, parameter = ctypes.c_double(first.number), ctypes.c_double(first.prox[1])
        assert not library.so_emulated_grid(
            *(int(first.kind), first.dtype, ctypes.c_int64(n), given, number, first.prox[0], parameter),
            *(per_block, grids, ctypes.byref(launches)),
        )
        LAUNCHES.append(launches.value)

    patch.setattr(cuda, "launch", launch)
    patch.setattr(cuda, "takes", lambda grid: bool(library.so_emulated_grid_takes(sizes(grid))))
    patch.setattr(cuda, "work_of", lambda grid: library.so_emulated_grid_work(sizes(grid)))
    patch.setattr(device, "usable", lambda w: True)
    patch.setattr(device, "stream_of", lambda w: 0)
    for module in (blocks, updates):
        patch.setattr(module, "host", lambda *given: None)
    patch.setattr(foreach, "hosts", lambda *given: None)
    LAUNCHES.clear()


def drawn(shape, place, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(place)


def per_block(w, cut, seed=9):
    scale = drawn(cut.grid(w), "cpu", torch.float32, seed)
    scale[torch.rand(scale.shape, generator=torch.Generator().manual_seed(seed)) < 0.4] = 0
    return scale.to(w.dtype).to(w.device)


def same(found, expected):
    """Bitwise, NaN where NaN is."""
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def close(found, expected, terms):
    """Within the rounding of the formula, which sums `terms` numbers of about 1 in double precision, and ours."""
    eps = ROUNDING[found.dtype]
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=2 * eps, atol=2 * eps + terms * 2.0**-50)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "cut"), CASES, ids=str)
def test_passes_are_their_formulas(place, shape, cut, dtype):
    w, g, z, u = (drawn(shape, place, dtype, seed) for seed in range(4))
    scale, terms = per_block(w, cut), cut.r * cut.c
    kept = scale != 0
    close(kernels.block_norms(w, cut), reference.block_norms(w, cut), terms)
    close(kernels.block_dots(w, g, cut), reference.block_dots(w, g, cut), terms)
    total = (reference.working(w) + reference.working(g)).double()
    close(kernels.sum_norms(w, g, cut), reference.block_norms(total, cut), terms)
    expected = reference.scale_blocks(w, scale, cut)
    same(kernels.scale_blocks(w, scale, cut), expected)
    same(kernels.scale_blocks_(w.clone(), scale, cut), expected)
    same(kernels.scale_blocks_into_(torch.full_like(w, torch.nan), w, scale, cut), expected)
    masked = reference.mask_blocks(w, kept, cut)
    same(kernels.mask_blocks_(w.clone(), kept, cut), masked)
    same(kernels.mask_blocks_into_(torch.full_like(w, torch.nan), w, kept, cut), masked)
    same(kernels.sparse_decay_(g.clone(), w, kept, 0.3, cut), reference.sparse_decay(w, g, kept, 0.3, cut))
    same(kernels.add_scaled_blocks_(g.clone(), w, scale, cut), reference.add_scaled_blocks(g, w, scale, cut))
    same(kernels.augment_(g.clone(), w, z, u, 0.3), reference.augment(g, w, z, u, 0.3))
    powered = torch.full_like(w, torch.nan)
    norms = kernels.updates.power_blocks_into_(powered, w, cut)
    same(norms, kernels.block_norms(w, cut))
    same(powered, reference.scale_blocks(w, norms, cut))
    along = kernels.updates.power_blocks_vjp_(g.clone(), w, norms, cut)
    wide = reference.power_blocks_vjp(g.double(), w.double(), norms.double(), cut)
    rounding = 8 * ROUNDING[dtype] * float(norms.max())  # of two products up to norm times 4, and of their sum
    torch.testing.assert_close(along.double(), wide, rtol=2 * ROUNDING[dtype], atol=rounding)
    pulled = g.clone()
    close(kernels.scale_blocks_vjp_(pulled, w, scale, cut), reference.block_dots(w, g, cut), terms)
    same(pulled, reference.scale_blocks(g, scale, cut))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "cut"), CASES, ids=str)
def test_the_admm_triple(place, shape, cut, dtype):
    w, z, u = (drawn(shape, place, dtype, seed) for seed in range(3))
    kept = per_block(w, cut) != 0
    new_z, new_u, _ = reference.admm_update(w, z, u, kept, cut)
    expected = torch.stack([((w.double() - new_z.double()) ** 2).sum(), ((new_z.double() - z.double()) ** 2).sum()])
    residuals = kernels.admm_update_(w, z, u, kept, cut)
    same(z, new_z)
    same(u, new_u)
    assert residuals.device.type == place
    rounding = 2.0**-50 * w.numel() if dtype == torch.float64 else 2.0**-22  # differences in float32
    torch.testing.assert_close(residuals, expected, rtol=rounding, atol=1e-300)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rho", [so.penalties.Linear(), so.penalties.Power(0.5)], ids=repr)
def test_prox_of_blocks(place, rho, dtype):
    for shape, cut in CASES[:5] + CASES[8:]:
        w = drawn(shape, place, dtype)
        before = reference.block_norms(w.double(), cut)
        steps = 0.5 * before * torch.rand(before.shape, generator=torch.Generator().manual_seed(0)).to(place)
        for step in (0.3, steps):
            x = w.clone()
            norms = kernels.block_prox_(x, rho, step, cut)
            close(norms, before, cut.r * cut.c)
            shrunk = rho.prox(before.cpu(), step if isinstance(step, float) else steps.cpu())
            expected = reference.scale_blocks(w.cpu().double(), shrunk / before.cpu(), cut)
            close(x.cpu(), expected, 64)


@pytest.mark.parametrize("rho", TWINS, ids=repr)
def test_prox_of_every_compiled_penalty(place, rho):
    w, cut = drawn((48, 40), place, torch.float64), Cut(16, 8)
    w[:16, :8] = 0  # where norm / norm would be NaN
    before = reference.block_norms(w, cut)
    steps = before.max() * torch.rand(before.shape, generator=torch.Generator().manual_seed(0), dtype=before.dtype)
    x = w.clone()
    close(kernels.block_prox_(x, rho, steps.to(place), cut), before, 128)
    shrunk = rho.prox(before.cpu().numpy(), steps.cpu().numpy())
    scale = np.divide(shrunk, before.cpu(), out=np.zeros_like(shrunk), where=before.cpu().numpy() > 0)
    close(x.cpu(), reference.scale_blocks(w.cpu(), torch.from_numpy(scale), cut), 128)
    assert 0 < np.count_nonzero(scale) < scale.size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_slices_rows_apart_and_off_units(place, dtype):
    whole = drawn((24, 80), place, dtype)
    for columns in (slice(16, 48), slice(3, 35), slice(8, 41)):
        w = whole[4:20, columns]
        for cut in (Cut(8, 8), Cut(4, 1, 1)):
            close(kernels.block_norms(w, cut), reference.block_norms(w.clone(), cut), 64)
            kept = per_block(w, cut) != 0
            before, expected = whole.clone(), reference.mask_blocks(w.clone(), kept, cut)
            kernels.mask_blocks_(w, kept, cut)
            same(w, expected)
            before[4:20, columns] = expected
            same(whole, before)  # nothing beside it was touched
    transposed = whole.T
    same(kernels.block_norms(transposed, Cut(8, 8)), reference.block_norms(transposed, Cut(8, 8)))


def test_extremes_and_nan(place):
    for dtype in (torch.float32, torch.float64):
        info = torch.finfo(dtype)
        w = torch.zeros(2, 15, dtype=dtype, device=place)
        entries = [info.max / 4, info.tiny, torch.nan, torch.inf, 0.0]
        for b, entry in enumerate(entries):
            w[1, 3 * b + 1] = entry
        same(kernels.block_norms(w, Cut(2, 3)).flatten(), torch.tensor(entries, dtype=dtype, device=place))
        x = w.clone()
        kernels.block_prox_(x, so.penalties.Linear(), 0.0, Cut(2, 3))
        same(x, torch.where(torch.tensor([False, False, True, True, False]).repeat_interleave(3), torch.nan, w))
        w = w.nan_to_num(0.0, 0.0)
        w[0, 0], w[0, 3] = info.max / 4, info.tiny  # two of a size
        close(
            kernels.block_norms(w, Cut(2, 3))[0, :2, 0] / w[0, [0, 3]],
            torch.full((2,), 2**0.5, dtype=dtype, device=place),
            4,
        )
    w = drawn((8, 8), place)
    w[0, 0], w[5, 5] = torch.nan, torch.inf
    kernels.block_prox_(w, so.penalties.Linear(), 0.1, (4, 4))
    assert torch.isnan(w[:4, :4]).all()
    assert torch.isnan(w[4:, 4:]).all()
    assert torch.isfinite(w[:4, 4:]).all()
    kernels.mask_blocks_(w, torch.tensor([[[False], [True]], [[True], [False]]], device=place), (4, 4))
    assert torch.isfinite(w).all()
    scale = torch.zeros(2, 2, 1, device=place)
    w[1, 1] = torch.nan
    assert bool((kernels.scale_blocks(w, scale, (4, 4)) == 0).all())  # 0 times NaN is 0 here


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_bits_of_the_cpu(place, monkeypatch, dtype):
    """Where no sum is taken, compiled for the CPU and by CUDA: one formula, never a fused multiply-add."""
    if place == "cpu":
        results = [_entry_passes("cpu", dtype)]
        for module in (blocks, updates):
            monkeypatch.setattr(module, "host", layout.host)
    else:
        results = [_entry_passes(place, dtype)]
    results.append(_entry_passes("cpu", dtype))
    for found, expected in zip(*results, strict=True):
        same(found.cpu(), expected)


def _entry_passes(place, dtype):
    cut = Cut(8, 16)
    w, g, z, u = (drawn((40, 64), place, dtype, seed) for seed in range(4))
    scale = per_block(w, cut)
    kept = scale != 0
    results = [
        kernels.scale_blocks(w, scale, cut),
        kernels.add_scaled_blocks_(g.clone(), w, scale, cut),
        kernels.sparse_decay_(g.clone(), w, kept, 0.3, cut),
        kernels.augment_(g.clone(), w, z, u, 0.3),
    ]
    kernels.admm_update_(w, z, u, kept, cut)
    return [*results, z, u]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_lists_of_matrices_in_common_launches(place, dtype):
    """The bits of each matrix alone; fifteen in units of 16 bytes and two others: three launches."""
    cases = [((16, 16 * (i + 1)), Cut(8, 8)) for i in range(15)] + [((31, 33), Cut(4, 5)), ((7, 15), Cut(3, 2, 3))]
    ws, gs, zs, us = ([drawn(shape, place, dtype, seed + i) for i, (shape, _) in enumerate(cases)] for seed in range(4))
    cuts = [cut for _, cut in cases]
    scales = [per_block(w, cut) for w, cut in zip(ws, cuts, strict=True)]
    kepts = [scale != 0 for scale in scales]

    def copies(xs):
        return [x.clone() for x in xs]

    def single(function, *lists):
        return [function(*given, cut) for *given, cut in zip(*lists, cuts, strict=True)]

    def check(many, one, kernel_runs=3):
        for found, expected in zip(many, one, strict=True):
            same(found, expected)
        if place == "cpu":
            assert LAUNCHES[0] == kernel_runs
        LAUNCHES.clear()

    check(kernels.foreach_block_norms(ws, cuts), single(kernels.block_norms, ws))
    check(kernels.foreach_sum_norms(ws, us, cuts), single(kernels.sum_norms, ws, us))
    masked, remasked, decayed, pulled, augmented = copies(ws), copies(gs), copies(gs), copies(gs), copies(gs)
    kernels.foreach_mask_blocks_(masked, kepts, cuts)
    check(masked, single(kernels.mask_blocks_, copies(ws), kepts))
    expected, positive = [*single(kernels.block_norms, ws), *masked], [scale > 0 for scale in scales]
    LAUNCHES.clear()
    found = kernels.foreach_mask_norms_into_(remasked, ws, positive, cuts)
    kernels.foreach_remask_blocks_into_(
        remasked, ws, kepts, [a != b for a, b in zip(kepts, positive, strict=True)], cuts
    )
    check([*found, *remasked], expected)
    kernels.foreach_sparse_decay_(decayed, ws, kepts, 0.3, cuts)
    check(
        decayed, [kernels.sparse_decay_(g.clone(), *x) for g, *x in zip(gs, ws, kepts, [0.3] * 17, cuts, strict=True)]
    )
    sums = kernels.foreach_scale_blocks_vjp_(pulled, ws, scales, cuts)
    alone = copies(gs)
    check([*sums, *pulled], [*single(kernels.scale_blocks_vjp_, alone, ws, scales), *alone])
    kernels.foreach_augment_(augmented, ws, zs, us, 0.3)
    check(augmented, [kernels.augment_(g.clone(), *x, 0.3) for g, *x in zip(gs, ws, zs, us, strict=True)])
    many, one = (copies(zs), copies(us)), (copies(zs), copies(us))
    squares = kernels.foreach_admm_update_(ws, *many, kepts, cuts)
    check([*squares, *many[0], *many[1]], [*single(kernels.admm_update_, ws, *one, kepts), *one[0], *one[1]], 6)
    steps, shrunk, alone = [scale.abs().double() for scale in scales], copies(ws), copies(ws)
    norms = kernels.foreach_block_prox_(shrunk, so.penalties.Linear(), steps, cuts)
    given = zip(alone, steps, cuts, strict=True)
    check([*norms, *shrunk], [*[kernels.block_prox_(w, so.penalties.Linear(), s, c) for w, s, c in given], *alone])


def test_derivatives(place):
    w = drawn((16, 24), place, torch.float64).requires_grad_()
    scale = drawn((4, 6, 1), place, torch.float64, 2).requires_grad_()
    fast = {"fast_mode": True}
    assert torch.autograd.gradcheck(lambda w: kernels.block_norms(w, (4, 4)), (w,), **fast)
    assert torch.autograd.gradcheck(lambda w, s: kernels.scale_blocks(w, s, (4, 4)), (w, scale), **fast)


@pytest.mark.slow
def test_compiled_graphs(place):
    w = drawn((16, 24), place, torch.float64).requires_grad_()
    scale = drawn((4, 6, 1), place, torch.float64, 2).requires_grad_()

    def loss(w, scale):
        return (kernels.scale_blocks(w, scale, (4, 4)) ** 2).sum() + kernels.block_norms(w, (4, 4)).sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for a, b in zip(
        torch.autograd.grad(loss(w, scale), (w, scale)),
        torch.autograd.grad(compiled(w, scale), (w, scale)),
        strict=True,
    ):
        close(a, b, 64)


def test_what_the_kernels_do_not_take(emulator):
    takes = lambda *grid: bool(emulator.so_emulated_grid_takes(sizes(grid)))  # noqa: E731
    assert takes(1 << 16, 1 << 16, 1, 1 << 16, 32, 32)  # 2^32 entries
    assert takes(100_000_000, 1, 1, 1, 1, 1)
    assert not takes((1 << 30) + 1, 1, 1, 1, 1, 1)
    assert not takes(1 << 16, 1 << 16, 1, 1 << 16, 1, 1)  # 2^32 blocks
    assert not takes(1 << 16, 1 << 16, 1, 1 << 16, 1 << 16, 1 << 16)  # in one block


def test_places_beyond_32_bits(emulator):
    rng = np.random.default_rng(0)
    for by in (1, 2, 3, 7, 48, 1000, 4097, 2**30 - 1, 2**30):
        n = np.concatenate([rng.integers(0, 2**31, 200), rng.integers(0, 2**45, 200), np.arange(9), [2**31 - 1]])
        n = np.unique(np.concatenate([n, n // by * by, np.maximum(n // by * by - 1, 0)])).astype(np.int64)
        found = np.empty_like(n)
        pointers = (ctypes.c_void_p(n.ctypes.data), ctypes.c_int64(by), ctypes.c_void_p(found.ctypes.data))
        emulator.so_emulated_divide(*pointers, ctypes.c_int64(len(n)))
        np.testing.assert_array_equal(found, n // by)
    rows, columns, ld = 70_000, 50_004, 50_008  # 3.5e9 entries
    for block in (0, 12345, 700_000, rows * columns // 4096):
        for thread, k in ((0, 0), (255, 3), (17, 2)):
            to = np.empty(4, np.int64)
            at = sizes((rows, columns, 1, ld, 4, 4))
            emulator.so_emulated_place(at, ctypes.c_int64(block), thread, k, ctypes.c_void_p(to.ctypes.data))
            row, unit = divmod(1024 * block + 256 * k + thread, columns // 4)
            assert to.tolist() == [row, row * ld + 4 * unit, 4 * unit, int(row < rows)]


@pytest.mark.parametrize(("dtype", "code"), [(torch.bfloat16, 2), (torch.float16, 3)], ids=str)
def test_half_types_on_hosts(emulator, dtype, code):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    wide = torch.empty(len(every))
    count = ctypes.c_int64(len(every))
    emulator.so_emulated_widen(code, ctypes.c_void_p(every.data_ptr()), ctypes.c_void_p(wide.data_ptr()), count)
    same(wide, every.view(dtype).float())
    halves = wide[torch.isfinite(wide)]
    x = torch.cat([wide, (halves[1:] + halves[:-1]) / 2, drawn((5000,), "cpu") * 1e-6, drawn((5000,), "cpu") * 3e4])
    x = torch.cat([x, torch.nextafter(x, torch.tensor(torch.inf))])
    narrow = torch.empty(len(x), dtype=torch.int16)
    pointers = (ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(narrow.data_ptr()))
    emulator.so_emulated_narrow(code, *pointers, ctypes.c_int64(len(x)))
    same(narrow.view(dtype), x.to(dtype))


def test_a_launch_without_cuda_says_so():
    if build_info()["cuda_architectures"] and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RuntimeError, match="error code"):
        cuda.launch([cuda.Call(cuda.Pass.MASK, 0, (0, 0, 0, 0), (4, 4, 1, 4, 2, 2))])
