"""The compiled projections, on the CPU and by the emulated CUDA kernels, against the formulas of the sets."""

from __future__ import annotations

import ctypes
import hashlib

import numpy as np
import pytest

import sparseopt as so
from sparseopt._native import HAS_NATIVE, BlockLayout, build_info
from sparseopt._native.blocks import SUFFIX
from sparseopt._native.projections import (
    Plane,
    TileLibrary,
    keep_blocks_ptr,
    project_library_ptr,
    project_nm_cuda_ptr,
    project_nm_ptr,
)
from sparseopt.sets import NM, PatternLibrary, TopBlocks, TopGroups, TransposableNM
from sparseopt.sets.transposable_nm import maximal_patterns

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
DTYPES = [np.float32, np.float64]
KINDS = ["gauss", "few values", "permuted", "equal", "sparse", "subnormal", "huge", "zero"]


def matrix(kind, shape, dtype, seed=0):
    """Random, tied and scaled matrices; permuted: every row has the same numbers, each twice, in another order."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if kind == "few values":
        x = rng.integers(-3, 4, size=shape)
    if kind == "permuted":
        row = rng.normal(size=shape[1] // 2 + 1)
        x = np.stack([np.repeat(rng.permutation(row), 2)[: shape[1]] for _ in range(shape[0])])
    if kind == "equal":
        x = rng.choice([-0.3, 0.3], size=shape)
    if kind == "sparse":
        x = x * (rng.random(shape) < 0.4)
    limits = np.finfo(dtype)
    scale = {"subnormal": float(limits.smallest_subnormal) * 100, "huge": float(limits.max) / 8, "zero": 0.0}
    return (x * scale.get(kind, 1.0)).astype(dtype)


def formula(s, w):
    """The projection without the compiled core: the mask of the formula."""
    return np.where(s.support(w), w, np.zeros_like(w))


def same_bits(a, b):
    """Equal as bytes, except that a dropped -0.0 and 0.0 are told apart as well."""
    assert a.dtype == b.dtype
    assert a.tobytes() == b.tobytes()


LIBRARY_44 = np.random.default_rng(1).permuted(np.tile(np.arange(16) < 8, (32, 1)), axis=1).reshape(32, 4, 4)
LIBRARY_23 = np.random.default_rng(2).random((7, 2, 3)) < 0.5
SETS = {
    **{
        f"NM {n}:{m}": NM(n, m)
        for n, m in [(1, 2), (1, 4), (2, 4), (3, 4), (1, 8), (2, 8), (4, 8), (7, 8), (5, 16), (0, 4)]
    },
    "NM 4:4": NM(4, 4),
    "NM 9:33": NM(9, 33, remainder="pad"),
    "NM 2:4 padded": NM(2, 4, remainder="pad"),
    "library 4x4": PatternLibrary(LIBRARY_44),
    "library 4x4, one pattern": PatternLibrary(LIBRARY_44[:1]),
    "library 4x4, odd, doubled": PatternLibrary(np.concatenate([LIBRARY_44[:5], LIBRARY_44[:5]])),
    "library 2x3": PatternLibrary(LIBRARY_23, remainder="pad"),
    "library 8x8": PatternLibrary(np.random.default_rng(3).random((4, 8, 8)) < 0.5),
    "transposable 2:4": TransposableNM(2, 4),
    "transposable 2:4 padded": TransposableNM(2, 4, remainder="pad"),
    "transposable 1:3": TransposableNM(1, 3, remainder="pad"),
    "blocks": TopBlocks(3, (8, 16)),
    "groups": TopGroups(5, so.Groups.uniform(16, 1)),
}


def shape_for(s, wide):
    """A matrix shape that the set fits, too narrow or wide enough for vectors, with a remainder where it is padded."""
    rows, cols = (16, 336) if wide else (16, 48)
    return (rows - 1, cols - 3) if getattr(s, "remainder", "error") == "pad" else (rows, cols)


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETS)
def test_compiled_projections_are_the_formulas(name, kind, dtype):
    s = SETS[name]
    for wide in (False, True):
        if name == "NM 9:33" or not wide or kind != "gauss" or dtype == np.float32:
            w = matrix(kind, shape_for(s, wide), dtype, seed=wide)
            before = w.copy()
            expected = formula(s, w)
            same_bits(s.project(w), expected)
            same_bits(w, before)
            assert s.project(w, out=w) is w
            same_bits(w, expected)


@pytest.mark.parametrize("name", ["NM 2:4", "NM 4:8", "library 4x4", "transposable 2:4", "blocks", "groups"])
def test_torch_tensors_are_projected_in_place(name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    s = SETS[name]
    w = matrix("gauss", shape_for(s, True), np.float32)
    t = torch.from_numpy(w.copy())
    fresh = s.project(t)
    assert s.project(t, out=t) is t
    same_bits(t.numpy(), formula(s, w))
    same_bits(fresh.numpy(), t.numpy())
    leaf = torch.from_numpy(w).requires_grad_()
    s.project(leaf).sum().backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), s.support(w))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_refused_wherever_they_are(name, bad):
    s = SETS[name]
    rng = np.random.default_rng(4)
    for dtype in DTYPES:
        w = matrix("gauss", shape_for(s, True), dtype)
        for _ in range(5):
            broken = w.copy()
            broken[tuple(rng.integers(0, w.shape))] = bad
            with pytest.raises(ValueError, match="NaN or infinite"):
                s.project(broken)


def test_layouts_that_the_core_does_not_take_give_the_same():
    w = np.random.default_rng(5).normal(size=(16, 64)).astype(np.float32)
    for name in ("NM 2:4", "library 4x4", "transposable 2:4"):
        s = SETS[name]
        expected = formula(s, w)
        wide = np.zeros((16, 128), np.float32)
        wide[:, ::2] = w
        same_bits(np.ascontiguousarray(s.project(wide[:, ::2])), expected)
        same_bits(np.ascontiguousarray(s.project(np.asfortranarray(w))), expected)
        memory = np.concatenate([w, w])
        target = memory[4:20]
        s.project(memory[:16], out=target)  # overlapping, not the same
        same_bits(target, expected)
        stacked = np.stack([w, -w])
        same_bits(s.project(stacked), formula(s, stacked))


def plane_of(w):
    return Plane(*w.shape, w.strides[0] // w.itemsize, w.shape[1], SUFFIX[w.dtype])


def on_threads(w, threads):
    """Results of all kernels on rows any distance apart, on so many threads."""
    results = []
    library, block = TileLibrary.of(LIBRARY_44), (8, 16)
    kept = np.random.default_rng(0).random((w.shape[0] // 8, w.shape[1] // 16)) < 0.5
    for call in (
        lambda out: project_nm_ptr(w.ctypes.data, out, plane_of(w), 2, 8, threads=threads),
        lambda out: project_library_ptr(w.ctypes.data, out, plane_of(w), library, threads=threads),
        lambda out: keep_blocks_ptr(
            w.ctypes.data, out, BlockLayout(*plane_of(w).shape, block, w.dtype), kept, threads=threads
        ),
    ):
        out = np.empty(w.shape, w.dtype)
        call(out.ctypes.data)
        results.append(out)
    np.testing.assert_array_equal(results[2], w * np.kron(kept, np.ones(block, w.dtype)))
    return results


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_and_row_distances_do_not_change_a_bit(dtype):
    w = matrix("few values", (256, 320), dtype)[:, :304]
    once = on_threads(w, 1)
    for threads in (2, 3, 7):
        for a, b in zip(once, on_threads(w, threads), strict=True):
            same_bits(a, b)
    for a, b in zip(once, on_threads(np.ascontiguousarray(w), 1), strict=True):
        same_bits(a, b)


def digest():
    """Hash of all projections."""
    h = hashlib.sha256()
    for projector in SETS.values():
        for kind in KINDS:
            h.update(projector.project(matrix(kind, shape_for(projector, True), np.float32)).tobytes())
    return h.hexdigest()


def test_instruction_sets_and_pure_python_agree_in_every_bit(at_level):
    wanted = digest()
    assert (at_level(None)["isa"], at_level(0)["isa"]) == (None, "baseline")
    assert at_level(None)["test_projections"] == at_level(0)["test_projections"] == wanted
    for level in range(3, build_info()["isa_available"] + 1):
        assert at_level(level)["isa"] == f"x86-64-v{level}"
        assert at_level(level)["test_projections"] == wanted


def pointer(array):
    """Address of an array for ctypes."""
    return ctypes.c_void_p(array.ctypes.data)


def emulate(library, name, w, *arguments):
    """Result of an emulated kernel on w [R, C], rows any distance apart."""
    out = np.empty(w.shape, w.dtype)
    shape = np.array(plane_of(w).shape, dtype=np.int64)
    getattr(library, f"so_emulated_{name}_{SUFFIX[w.dtype]}")(pointer(w), pointer(out), pointer(shape), *arguments)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_emulated_kernels_are_the_formulas(emulator, kind, dtype):
    for shape in ((5, 7), (16, 40), (33, 130)):
        w = matrix(kind, (shape[0], shape[1] + shape[1] % 2 + 2), dtype)[:, : shape[1]]
        for n, m in ((2, 4), (3, 8), (9, 33)):
            same_bits(emulate(emulator, "nm", w, n, m), formula(NM(n, m, remainder="pad"), w))
        for patterns in (LIBRARY_44, LIBRARY_23, maximal_patterns(2, 4)):
            masks = TileLibrary.of(patterns)
            result = emulate(emulator, "library", w, masks.r, masks.c, len(masks.masks), pointer(masks.masks))
            same_bits(result, formula(PatternLibrary(patterns, remainder="pad"), w))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_emulated_kernels_copy_what_is_not_finite(emulator, bad):
    masks = TileLibrary.of(LIBRARY_44)
    w = matrix("gauss", (9, 21), np.float32)
    w[8, 20] = bad
    zeroed = np.where(np.isfinite(w), w, 0)
    expected = formula(NM(2, 4, remainder="pad"), zeroed)
    expected[8, 20:] = w[8, 20:]
    same_bits(emulate(emulator, "nm", w, 2, 4), expected)
    expected = formula(PatternLibrary(LIBRARY_44, remainder="pad"), zeroed)
    expected[8:, 20:] = w[8:, 20:]
    same_bits(emulate(emulator, "library", w, 4, 4, 32, pointer(masks.masks)), expected)


def test_a_launch_without_cuda_says_so():
    if build_info()["cuda_architectures"]:
        pytest.skip("CUDA is compiled in")
    with pytest.raises(RuntimeError, match="not launched"):
        project_nm_cuda_ptr(0, 0, Plane(4, 4, 4, 4, "f32"), 2, 4)
