"""The compiled block-sparse product: value, threads, instruction sets."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sparseopt._native import HAS_NATIVE, build_info
from sparseopt._native.products import product_ptr, product_transposed_ptr

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="needs the compiled core")


def products(b, n, threads, shape=(300, 200)):
    """x W' + bias and g W for a random matrix, and both in float64."""
    rng = np.random.default_rng(b + n)
    down, across = -(-shape[0] // b), -(-shape[1] // b)
    mask = rng.random((down, across)) < 0.4
    values = rng.standard_normal((int(mask.sum()), b, b)).astype(np.float32)
    whole = np.zeros((down, across, b, b))
    whole[mask] = values
    values = np.ascontiguousarray(values.transpose(0, 2, 1))
    starts = np.concatenate([[0], mask.sum(axis=1).cumsum()]).astype(np.int32)
    columns = np.nonzero(mask)[1].astype(np.int32)
    w = (values.ctypes.data, starts.ctypes.data, columns.ctypes.data, *shape, b, len(values))
    x, g = (rng.standard_normal((n, size)).astype(np.float32) for size in reversed(shape))
    bias = rng.standard_normal(shape[0]).astype(np.float32)
    y, dx = np.full((n, shape[0]), np.nan, np.float32), np.full((n, shape[1]), np.nan, np.float32)
    product_ptr(w, x.ctypes.data, bias.ctypes.data, y.ctypes.data, n, threads=threads)
    product_transposed_ptr(w, g.ctypes.data, dx.ctypes.data, n, threads=threads)
    dense = whole.transpose(0, 2, 1, 3).reshape(down * b, across * b)
    # zeros beyond the border belong to the format; here they are weights that meet no input and no output
    dense = dense[: shape[0], : shape[1]]
    return y, dx, x.astype(float) @ dense.T + bias, g.astype(float) @ dense


CASES = [(b, n) for b in (16, 32, 64) for n in (1, 2, 3, 11, 40)]
LARGE = (700, 600)
"""Enough for more than one thread at one row of 32 x 32 blocks."""


def digest(threads=2):
    """Hash of all results."""
    total = hashlib.sha256()
    for given in [(b, n, threads) for b, n in CASES] + [(32, 1, threads, LARGE)]:
        for result in products(*given)[:2]:
            total.update(result.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize(("b", "n"), CASES)
def test_against_dense_products(b, n):
    y, dx, wide_y, wide_dx = products(b, n, 1)
    bound = 8 * 300 * np.finfo(np.float32).eps  # sums of at most 300 products of numbers of about 1
    assert np.abs(y - wide_y).max() < bound
    assert np.abs(dx - wide_dx).max() < bound


def test_threads_do_not_matter():
    assert digest(1) == digest(2) == digest(3)


def test_instruction_sets_agree_in_every_bit(at_level):
    levels = [level for level in (0, 3, 4) if level <= build_info()["isa_available"]]
    for level in levels:
        assert at_level(level)["isa"] == (f"x86-64-v{level}" if level else "baseline")
    assert len({at_level(level)["test_block_product"] for level in levels if level}) <= 1
