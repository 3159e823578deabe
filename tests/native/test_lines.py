"""Passes over blocks of whole cache lines: their formulas; the same bits on every instruction set, for any threads."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sparseopt._native import build_info, grid, lines

needs_native = pytest.mark.skipif(not build_info()["native"], reason="the core is not compiled here")
NAMES = {np.float32: "f32", np.float64: "f64"}
SHAPES = [
    ((96, 160), (32, 32)),
    ((50, 48), (8, 16)),
    ((9, 192), (4, 96)),
    ((7, 128), (16, 64)),
    ((300, 160), (3, 32)),
    ((1030, 1024), (32, 32)),
]
"""(rows, channels), block: rows are cut off and not, widths are common and not; the last one, 4 MB of float32, is large
enough for the other passes to be in lines."""


def results(shape, block, dtype, threads=1):
    """w, z and u before; then u, norms, squares after the addition, and what the splitting and a decay leave."""
    rng = np.random.default_rng(0)
    grids = grid.Grids([grid.GridLayout(*shape, 1, shape[1], *block)], NAMES[dtype], threads)
    assert lines.takes(grids)
    w, z, u = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    cells = (-(-shape[0] // block[0]), shape[1] // block[1])
    z *= (rng.random(cells) < 0.3).repeat(block[0], 0)[: shape[0]].repeat(block[1], 1)
    kept = (rng.random(cells) < 0.4).astype(np.uint8)
    whole = np.pad(z != 0, [(0, cells[0] * block[0] - shape[0]), (0, 0)])
    occupied = whole.reshape(cells[0], block[0], cells[1], block[1]).any((1, 3)).astype(np.uint8)
    held = per_cell(z, block)
    before = (w, z.copy(), u.copy(), kept)
    norms, squares, g = np.empty(cells, dtype), np.empty((*cells, 3)), u.copy()
    at = lambda *arrays: [a.ctypes.data for a in arrays]  # noqa: E731
    one = lambda *arrays: [[a.ctypes.data] for a in arrays]  # noqa: E731
    dots, sums = np.empty(cells, dtype), np.empty(cells, dtype)
    grid.dots_ptr(*one(w, u, dots), grids)
    grid.sum_norms_ptr(*one(w, u, sums), grids)
    grid.decay_ptr(*one(w, g, kept), 0.3, grids)
    lines.add_ptr(*at(w, u, norms, squares), grids)
    added = u.copy()
    residuals = lines.split_ptr(*at(z, u, squares, kept, occupied, held), grids)
    assert np.array_equal(occupied, kept)
    return before, (added, norms, squares, z, u, np.array(residuals), held, g, dots, sums)


def per_cell(x, block):
    """Sums of squares of the blocks, float64."""
    rows, columns = np.arange(x.shape[0]) // block[0], np.arange(x.shape[1]) // block[1]
    shape = rows[-1] + 1, columns[-1] + 1
    cell = (rows[:, None] * shape[1] + columns).ravel()
    return np.bincount(cell, (x.astype(float) ** 2).ravel(), shape[0] * shape[1]).reshape(shape)


@needs_native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "block"), SHAPES)
def test_passes_are_their_formulas(shape, block, dtype):
    (w, z, u, kept), found = results(shape, block, dtype)
    added, norms, squares, new_z, new_u, residuals, held, g, dots, sums = found
    spread = kept.astype(bool).repeat(block[0], 0)[: shape[0]].repeat(block[1], 1)
    total, eps = w + u, np.finfo(dtype).eps
    np.testing.assert_array_equal(added, total)
    np.testing.assert_array_equal(new_z, np.where(spread, total, 0))
    np.testing.assert_array_equal(new_u, np.where(spread, 0, total))
    np.testing.assert_array_equal(g[spread], u[spread])
    np.testing.assert_allclose(g, u + np.where(spread, 0, dtype(0.3) * w), rtol=0, atol=4 * eps * (1 + abs(w).max()))
    rows, columns = np.arange(shape[0]) // block[0], np.arange(shape[1]) // block[1]
    cell = (rows[:, None] * kept.shape[1] + columns).ravel()
    close = {"rtol": 64 * eps}  # at most 64 terms of one sign are added in single precision
    np.testing.assert_allclose(norms, np.sqrt(per_cell(total, block)), **close)
    np.testing.assert_allclose(squares, np.stack([per_cell(x, block) for x in (u, w, total)], -1), **close)
    np.testing.assert_allclose(held, per_cell(new_z, block), **close)
    np.testing.assert_allclose(sums, norms, **close)
    products = np.bincount(cell, (w.astype(float) * u).ravel()).reshape(kept.shape)
    np.testing.assert_allclose(dots, products, rtol=0, atol=64 * eps * block[0] * block[1] ** 0.5)
    apart, moved = w.astype(float) - new_z, new_z.astype(float) - z
    np.testing.assert_allclose(residuals, [(apart**2).sum(), (moved**2).sum()], **close)


@needs_native
def test_extremes_of_norms():
    grids = grid.Grids([grid.GridLayout(4, 96, 1, 96, 4, 32)], "f32")
    w, norms, squares = np.zeros((4, 96), np.float32), np.empty(3, np.float32), np.empty((3, 3))
    for large in (1e-30, 3e25, np.inf, np.nan):
        u = np.zeros((4, 96), np.float32)
        u[2:, 32:34] = large
        lines.add_ptr(*[a.ctypes.data for a in (w, u, norms, squares)], grids)
        np.testing.assert_allclose(norms, [0, 2 * np.float32(large), 0], rtol=1e-6)


def digest(threads=1) -> str:
    """Hash of the results for all shapes and both types."""
    h = hashlib.sha256()
    for shape, block in SHAPES:
        for dtype in (np.float32, np.float64):
            for array in results(shape, block, dtype, threads)[1]:
                h.update(array.tobytes())
    return h.hexdigest()


@needs_native
def test_threads_and_instruction_sets_give_the_same_bits(at_level):
    found = {digest(1), digest(2), digest(3)}
    found |= {at_level(level)["test_lines"] for level in (0, 3, 4) if level <= build_info()["isa_available"]}
    assert len(found) == 1
