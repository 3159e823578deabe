"""Designs in memory-mapped files are solved without a copy of them in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import sparseopt as so
from sparseopt._native import HAS_NATIVE
from sparseopt._native import mapped as module
from sparseopt._native.mapped import column_major, memory_mapped, transposed_product

N, P, SIZE = 400, 12000, 10
GROUPS = so.Groups.uniform(P // SIZE, SIZE)


@pytest.fixture(
    params=[(d, o) for d in (np.float64, np.float32) for o in "FC"], ids=lambda v: f"{v[0].__name__}-{v[1]}"
)
def mapped(request, tmp_path):
    """A design in a file, [400, 12000], opened for reading."""
    dtype, order = request.param
    rng, path = np.random.default_rng(0), tmp_path / "X.npy"
    X = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(N, P), fortran_order=order == "F")
    X[:] = rng.standard_normal((N, P))
    X.flush()
    return np.load(path, mmap_mode="r")


def target(X, loss):
    rng = np.random.default_rng(1)
    z = X[:, :20].astype(float) @ rng.standard_normal(20) + 0.3 * rng.standard_normal(N)
    return so.LeastSquares(z) if loss == "least squares" else so.Logistic((z > 0).astype(float), intercept=True)


def solved(X, datafit):
    problem = so.Problem(X, datafit, so.GroupLasso(1.0, so.Groups.uniform(P // SIZE, SIZE)))
    return so.solve(problem.with_lam(0.3 * so.lambda_max(problem)), so.solvers.GroupBCD(), tol=1e-7)


@pytest.mark.skipif(not HAS_NATIVE, reason="no compiled core")
@pytest.mark.parametrize("loss", ["least squares", "logistic"])
def test_solved_without_a_copy_in_memory(mapped, loss):
    datafit = target(mapped, loss)
    tracemalloc.start()
    result = solved(mapped, datafit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 0.5 * mapped.size * 8
    in_memory = solved(np.array(mapped, dtype=np.float64, order="F"), datafit)
    np.testing.assert_allclose(result.w, in_memory.w, atol=1e-4)


@pytest.mark.sample(every=3)
def test_proximal_gradient_methods_make_no_copy_either(mapped, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 2**17)  # so that blocks are small against this X
    made = so.Problem(mapped, so.LeastSquares(mapped[:, 0], intercept=True), so.GroupLasso(0.1, GROUPS))
    tracemalloc.start()
    result = so.solve(made, so.solvers.FISTA(), tol=1e-2, max_iter=2, throw=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 0.4 * mapped.size * 8
    twin = so.Problem(np.array(mapped, dtype=np.float64), made.datafit, made.penalty)
    assert made.smoothness == pytest.approx(twin.smoothness, rel=1e-9)
    np.testing.assert_allclose(made.gradient(result.w), twin.gradient(result.w), atol=1e-9)


def test_column_major_copies_stay_out_of_memory(mapped):
    tracemalloc.start()
    copy = column_major(mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.01 * mapped.nbytes
    assert memory_mapped(copy)
    assert copy.flags.f_contiguous
    np.testing.assert_array_equal(copy, mapped)
    assert not memory_mapped(column_major(np.ones((3, 2))))


def test_products_of_float32_columns_are_exact_in_float64(mapped):
    v = np.random.default_rng(2).standard_normal((N, 2))
    exact = np.asarray(mapped, dtype=np.float64).T @ v
    np.testing.assert_allclose(transposed_product(mapped, v), exact, atol=1e-11)
