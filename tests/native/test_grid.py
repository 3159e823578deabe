"""Passes over grids of blocks: the same bits on every instruction set, whole lines and odd widths, cached and not."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sparseopt._native import build_info, grid

needs_native = pytest.mark.skipif(not build_info()["native"], reason="the core is not compiled here")
SHAPES = [
    ((96, 160), (32, 32), 1),
    ((64, 48), (8, 16), 1),
    ((33, 50), (8, 7), 1),
    ((12, 20), (4, 5), 3),
    ((9, 40), (2, 1), 1),
]
"""(rows, channels), block, taps: whole lines, cut off at the border, in taps, columns alone."""
POWER_VJP = 7
"""Of the results, the one of matrices that has sums over blocks in it."""


def results(shape, block, taps, dtype):
    """Every pass on drawn arrays, as a list of arrays."""
    rng, (rows, channels) = np.random.default_rng(0), shape
    layout = grid.GridLayout(rows, channels, taps, channels * taps, *block)
    grids = grid.Grids([layout], "f32" if dtype == np.float32 else "f64")
    w, g, u = (rng.standard_normal((rows, channels * taps)).astype(dtype) for _ in range(3))
    cells = (-(-rows // block[0]), -(-channels // block[1]), taps)
    scale = np.where(rng.random(cells) < 0.5, 0.0, rng.random(cells)).astype(dtype)
    kept = (scale > 0).astype(np.uint8)
    at = lambda *arrays: [[a.ctypes.data] for a in arrays]  # noqa: E731
    out, masked, in_place, z = np.full_like(w, np.nan), np.full_like(w, np.nan), w.copy(), np.where(g > 1, g, 0)
    sums, norms, inner, decayed, new_u = (
        np.empty_like(scale),
        np.empty_like(scale),
        np.empty_like(scale),
        g.copy(),
        u.copy(),
    )
    grid.dots_ptr(*at(w, g, sums), grids)
    grid.sum_norms_ptr(*at(w, g, norms), grids)
    grid.scale_ptr(*at(w, scale, out), grids)
    grid.mask_ptr(*at(w, kept, masked), grids)
    grid.mask_ptr(*at(in_place, kept, in_place), grids)
    vjp, pulled = g.copy(), g.copy()
    grid.scale_vjp_ptr(*at(w, vjp, scale, vjp, inner), grids)
    sizes = np.where(scale > 0, 1 + scale, scale)
    grid.power_vjp_ptr(*at(w, sizes, pulled), grids)
    grid.decay_ptr(*at(w, decayed, kept), 0.3, grids)
    residuals = np.array(grid.admm_ptr(*at(w, z, new_u, kept), grids))
    return [sums, norms, out, masked, in_place, vjp, inner, pulled, decayed, z, new_u, residuals]


def expected(shape, block, taps, dtype):
    """The same by NumPy, in double precision."""
    rng, (rows, channels) = np.random.default_rng(0), shape
    w, g, u = (rng.standard_normal((rows, channels * taps)).astype(dtype).astype(float) for _ in range(3))
    cells = (-(-rows // block[0]), -(-channels // block[1]), taps)
    scale = np.where(rng.random(cells) < 0.5, 0.0, rng.random(cells)).astype(dtype).astype(float)
    row, column = np.arange(rows) // block[0], np.arange(channels * taps) // taps // block[1]
    cell = (row[:, None] * cells[1] + column) * taps + np.arange(channels * taps) % taps
    per_cell = lambda x: np.bincount(cell.ravel(), x.ravel(), scale.size).reshape(cells)  # noqa: E731
    s, before = scale.ravel()[cell], np.where(g > 1, g, 0)
    kept, x = s > 0, w + u
    z = np.where(kept, x, 0)
    sizes = np.where(scale > 0, 1 + scale, 0)
    along = np.where(scale > 0, per_cell(w * g) / (1 + scale), 0)
    return [
        *(per_cell(w * g), np.sqrt(per_cell((w + g) ** 2)), s * w, np.where(kept, w, 0), np.where(kept, w, 0)),
        *(s * g, per_cell(w * g), sizes.ravel()[cell] * g + along.ravel()[cell] * w),
        *(g + np.where(kept, 0, 0.3 * w), z, x - z),
        np.array([((w - z) ** 2).sum(), ((z - before) ** 2).sum()]),
    ]


@needs_native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "block", "taps"), [*SHAPES, ((1088, 1024), (32, 32), 1)])
def test_passes_are_their_formulas(shape, block, taps, dtype):
    """The largest one is written past the cache."""
    eps = np.finfo(dtype).eps
    pairs = zip(results(shape, block, taps, dtype), expected(shape, block, taps, dtype), strict=True)
    for i, (found, wanted) in enumerate(pairs):
        sums = wanted.ndim == 3 or i == POWER_VJP
        terms = block[0] * block[1] if sums else 4 if wanted.ndim == 2 else shape[0] * shape[1]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * eps * terms**0.5 * (1 + np.abs(wanted).max()))


def digest() -> str:
    """Hash of the results for all shapes and both types."""
    h = hashlib.sha256()
    for shape in SHAPES:
        for dtype in (np.float32, np.float64):
            for array in results(*shape, dtype):
                h.update(array.tobytes())
    return h.hexdigest()


@needs_native
def test_instruction_sets_give_the_same_bits(at_level):
    found = {at_level(level)["test_grid"] for level in (0, 3, 4) if level <= build_info()["isa_available"]}
    assert len(found) == 1
