"""The compiled block operations against their NumPy reference, over awkward shapes, memory layouts and values."""

from __future__ import annotations

import hashlib
import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparseopt import penalties
from sparseopt._native import HAS_NATIVE, block_norms, block_prox, build_info, radial_twin, reference

RHOS = [penalties.Linear(), penalties.Power(0.5), penalties.Log(0.5), penalties.Ratio(), penalties.ExpMask()]
SHAPES = [(1, 1), (31, 31), (31, 1), (1, 129), (33, 129), (4, 4), (5, 16), (32, 32), (7, 48), (129, 33)]
DTYPES = [np.float32, np.float64]

needs_native = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")


def matrix(block, dtype, seed=0, grid=(3, 2)):
    """Gaussian [3 br, 2 bc] whose first block is zero."""
    w = np.random.default_rng(seed).normal(size=(grid[0] * block[0], grid[1] * block[1])).astype(dtype)
    w[: block[0], : block[1]] = 0
    return w


def steps(grid, seed=0):
    """Strengths between 0 and 3, the last one 0."""
    step = np.random.default_rng(seed).uniform(0, 3, size=grid)
    step[-1, -1] = 0
    return step


def assert_close(actual, expected, scale):
    """Equal up to rounding: a few ulp of `scale`, and as many as a sum of that many squares has."""
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=0, atol=64 * np.finfo(expected.dtype).eps * float(scale))


def test_a_compiler_on_this_machine_means_a_compiled_core():
    if os.environ.get("SPARSEOPT_REQUIRE_NATIVE") == "0" or os.environ.get("SPARSEOPT_DISABLE_NATIVE") == "1":
        pytest.skip("the environment asks for pure Python")
    if not any(map(shutil.which, ["c++", "g++", "clang++"])):
        pytest.skip("no C++ compiler on this machine")
    assert HAS_NATIVE, build_info()["reason"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", SHAPES)
def test_norms_are_those_of_numpy(block, dtype):
    w = matrix(block, dtype)
    expected = [[np.linalg.norm(b) for b in np.hsplit(rows, 2)] for rows in np.vsplit(w.astype(float), 3)]
    assert_close(block_norms(w, block), np.array(expected, dtype), np.max(expected))
    assert block_norms(w, block)[0, 0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", SHAPES)
@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_prox_is_the_reference(rho, block, dtype):
    w = matrix(block, dtype)
    before, step = w.copy(), steps((3, 2))
    expected, v = reference.prox(w, block, rho, step)
    norms = np.empty((3, 2), dtype)
    result = block_prox(w, block, rho, step, norms=norms)
    assert_close(result, expected, np.abs(w).max())
    assert_close(norms, v, v.max())
    np.testing.assert_array_equal(w, before)
    np.testing.assert_array_equal(block_prox(w, block, rho, step, out=w), result)


@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_no_competitor_is_better(rho):
    rng = np.random.default_rng(1)
    w, step = matrix((4, 3), np.float64), 0.7

    def objective(x):
        return ((x - w) ** 2).sum() / 2 + step * rho.value(block_norms(x, (4, 3))).sum()

    best = objective(block_prox(w, (4, 3), rho, step))
    for scale in (1e-3, 0.1, 1.0):
        assert best <= objective(block_prox(w, (4, 3), rho, step) + scale * rng.normal(size=w.shape)) + 1e-12
    assert best <= min(objective(0 * w), objective(w)) + 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_layouts_do_not_matter(dtype):
    block, rho, step = (5, 3), penalties.Log(0.5), steps((3, 2))
    wide = np.random.default_rng(2).normal(size=(40, 17)).astype(dtype)
    for w in (wide[:15, 2:8], wide[1:31:2, 2:8], wide[14::-1, 2:8], wide[:6, :15].T, wide[:15, 1:12:2]):
        expected = block_prox(np.ascontiguousarray(w), block, rho, step)
        np.testing.assert_array_equal(block_prox(w, block, rho, step), expected)
        out = np.zeros((30, 20), dtype)[::2, 4:10]
        np.testing.assert_array_equal(block_prox(w, block, rho, step, out=out), expected)
        in_place = w.copy(order="F")
        assert block_prox(in_place, block, rho, step, out=in_place) is in_place
        np.testing.assert_array_equal(in_place, expected)


def test_out_may_overlap_the_input():
    memory = np.random.default_rng(3).normal(size=(20, 6))
    expected = block_prox(memory[:16].copy(), (4, 3), penalties.Linear(), 0.5)
    np.testing.assert_array_equal(block_prox(memory[:16], (4, 3), penalties.Linear(), 0.5, out=memory[4:]), expected)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("in_place", [True, False])
def test_threads_do_not_change_a_bit(dtype, in_place):
    w = matrix((31, 33), dtype, grid=(9, 70))
    results = []
    for threads in (1, 2, 3, 7):
        x = w.copy()
        results.append(block_prox(x, (31, 33), penalties.Linear(), 1.5, out=x if in_place else None, threads=threads))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def digest():
    """Hash of many results, and one sum of norms."""
    h = hashlib.sha256()
    for dtype in DTYPES:
        for block in ((32, 32), (33, 31), (5, 17), (1, 129), (300, 1)):
            w = np.random.default_rng(0).normal(size=(3 * block[0], 40 * block[1])).astype(dtype)
            for rho in (penalties.Linear(), penalties.Power(0.5)):
                h.update(block_prox(w, block, rho, 1.0).tobytes())
            h.update(block_norms(w, block).tobytes())
    w = np.random.default_rng(1).normal(size=(1024, 2048)).astype(np.float32)
    h.update(block_prox(w, (32, 32), penalties.Linear(), 1.0).tobytes())
    return h.hexdigest(), float(block_norms(w, (32, 32)).astype(float).sum())


@needs_native
def test_instruction_sets_agree(at_level):
    available = build_info()["isa_available"]
    if not available:
        pytest.skip("this machine has the baseline instruction set only")
    baseline, v3 = at_level(0), at_level(3)
    assert (baseline["isa"], v3["isa"]) == ("baseline", "x86-64-v3")
    assert baseline["test_blocks"][1] == pytest.approx(v3["test_blocks"][1], rel=1e-6)
    if available < 4:
        pytest.skip("this machine has no x86-64-v4: only the baseline and v3 were compared")
    v4 = at_level(4)
    assert v4["isa"] == "x86-64-v4"
    assert v3["test_blocks"] == v4["test_blocks"]


def test_pure_python_gives_the_same_numbers(at_level):
    pure = at_level(None)
    assert pure["isa"] is None
    assert pure["test_blocks"][1] == pytest.approx(digest()[1], rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_entries(dtype):
    info = np.finfo(dtype)
    w = np.zeros((2, 12), dtype)
    w[0, 0], w[0, 3], w[0, 6], w[0, 9] = info.max / 4, info.tiny, np.nan, np.inf
    norms = block_norms(w, (2, 3))[0]
    assert norms[0] == info.max / 4
    assert norms[1] == info.tiny
    assert np.isnan(norms[2])
    assert norms[3] == np.inf
    result = block_prox(w, (2, 3), penalties.Linear(), 0.0)
    np.testing.assert_array_equal(result[:, :6], w[:, :6])
    assert np.isnan(result[:, 6:]).all()
    expected, _ = reference.prox(w, (2, 3), penalties.Linear(), np.zeros(()))
    np.testing.assert_array_equal(result, expected)


class Huber:
    """A penalty of one's own: t^2 / 2 up to 1, then t - 1/2."""

    def prox(self, v, step=1.0, out=None):
        """Closed form."""
        return np.where(v <= 1 + step, v / (1 + step), v - step)


class Linear(penalties.Linear):
    """A subclass may mean something else, so it has no twin."""

    def prox(self, v, step=1.0, out=None):
        """Leaves everything."""
        return v


@pytest.mark.parametrize("size", [1e-160, 1e100, 1e160, 1e300])
def test_log_of_entries_whose_squares_leave_the_range(size):
    w = np.full((1, 1), size)
    for eps in (0.5, 2.0):
        rho = penalties.Log(eps)
        np.testing.assert_allclose(block_prox(w, (1, 1), rho, 1.0), rho.prox(w, 1.0), rtol=1e-12)


def test_penalties_of_ones_own_are_called_in_python():
    w = matrix((4, 3), np.float64)
    assert radial_twin(Huber()) is None
    assert radial_twin(Linear()) is None
    np.testing.assert_array_equal(block_prox(w, (4, 3), Linear(), 1.0), w)
    expected, v = reference.prox(w, (4, 3), Huber(), np.array(0.3))
    norms = np.empty((3, 2))
    np.testing.assert_array_equal(block_prox(w, (4, 3), Huber(), 0.3, norms=norms), expected)
    np.testing.assert_array_equal(norms, v)


def test_integers_are_converted():
    w = np.arange(12).reshape(4, 3)
    assert block_norms(w, (4, 3)).dtype == np.float64
    np.testing.assert_array_equal(block_norms(w > 5, (4, 3)), [[np.sqrt(6)]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(block=(5, 3)), "pad w with zeros to 5 rows"),
        (dict(block=(4, 2)), "2 does not divide 3 columns"),
        (dict(block=(0, 3)), "two positive integers"),
        (dict(block=4), "two positive integers"),
        (dict(w=np.zeros((4, 3), complex)), "float32 or float64"),
        (dict(w=np.zeros((4, 3), np.float16)), "float32 or float64"),
        (dict(w=np.zeros(4)), r"\[R, C\]"),
        (dict(w=np.zeros((0, 3))), "not empty"),
        (dict(w=[[1.0]]), "a list"),
        (dict(step=-1.0), "negative or not finite"),
        (dict(step=np.inf), "negative or not finite"),
        (dict(step=np.ones(2)), "one step for each block"),
        (dict(step="a"), "give a number"),
        (dict(threads=0), "positive integer"),
        (dict(out=np.zeros((4, 3), np.float32)), "it must be float64"),
        (dict(out=np.zeros((3, 4))), "it must be float64"),
        (dict(norms=np.zeros((2, 2))), "it must be float64"),
        (dict(out=np.broadcast_to(0.0, (4, 3))), "read-only"),
    ],
    ids=str,
)
def test_bad_input_is_named(arguments, message):
    given = dict(w=np.ones((4, 3)), block=(4, 3), rho=penalties.Linear(), step=1.0) | arguments
    with pytest.raises(ValueError, match=message):
        block_prox(**given)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_any_shape(br, bc, down, across, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(br * down, bc * across)).astype(np.float32)
    rho = RHOS[seed % len(RHOS)]
    expected, v = reference.prox(w, (br, bc), rho, np.array(0.2))
    assert_close(block_norms(w, (br, bc)), v, v.max())
    if isinstance(
        rho, penalties.Linear | penalties.ExpMask
    ):  # no jump, where rounding of the norm could choose the side
        assert_close(block_prox(w, (br, bc), rho, 0.2), expected, np.abs(w).max())
