"""Products of packed columns, exact products, and gaps at the largest errors that these allow."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import sparseopt as so
from sparseopt import first_reading
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt._native.bcd import ColumnStore
from sparseopt._native.gram_sums import GramSums, packed_products
from sparseopt._native.packed import PackedColumns
from sparseopt.solvers import gram_certificate, gram_matrix

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")


def columns(n, p, dtype=np.float64, centred=False, weighted=False):
    rng = np.random.default_rng([n, p])
    X = np.asfortranarray(rng.standard_normal((n, 2 * p)) + 3 * rng.random(2 * p), dtype=dtype)
    chosen = rng.permutation(2 * p)[:p]
    exact = X[:, chosen].astype(np.float64)
    mean = exact.mean(axis=0) if centred else None
    root = rng.random(n) if weighted else None
    exact = exact - (0.0 if mean is None else mean)
    return GramSums(X, chosen, mean, root), exact * (1.0 if root is None else root[:, None])


KINDS = {
    "normal": lambda rng, n, p: rng.standard_normal((n, p)) + 3 * rng.random(p),
    "binary": lambda rng, n, p: np.sign(rng.standard_normal((n, p))),
    "one entry": lambda rng, n, p: np.where(
        np.arange(n)[:, None] == np.arange(p) % n, 1e6, rng.standard_normal((n, p))
    ),
    "magnitudes": lambda rng, n, p: rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-100, 100, p),
    "zeros": lambda rng, n, p: rng.standard_normal((n, p)) * (np.arange(p) % 3 > 0),
}


def packed(X, sizes, centred=False, share=None):
    columns = PackedColumns(ColumnStore(X, so.Groups.from_sizes(sizes)), share, centred)
    columns.read_all()
    root = np.ones(len(X)) if share is None else np.sqrt(len(X) * share)
    weights = np.full(len(X), 1 / len(X)) if share is None else share
    exact = X.astype(np.float64)
    return columns, root[:, None] * (exact - (weights @ exact if centred else 0.0))


def cut(p):
    """Groups of 1, 2, ..., 7 columns, again and again."""
    sizes = np.tile(np.arange(1, 8), p)[:p]
    count = int(np.searchsorted(np.cumsum(sizes), p))
    return [*sizes[:count], p - sizes[:count].sum()]


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("n", "p", "dtype"), [(1, 1, "f8"), (33, 49, "f8"), (1100, 130, "f8"), (513, 100, "f4")])
def test_products_of_packed_columns_within_their_bound(n, p, dtype, kind):
    rng = np.random.default_rng([n, p])
    with np.errstate(over="ignore"):
        X = np.asfortranarray(KINDS[kind](rng, n, p), dtype=dtype)
    share = rng.dirichlet(np.ones(n))
    for centred, weights in ((False, None), (True, None), (True, share)):
        if not np.isfinite(X).all():
            continue
        columns, exact = packed(X, cut(p), centred, weights)
        H, error = packed_products(columns)
        lengths, q = np.linalg.norm(exact, axis=0) / np.sqrt(n), np.sqrt(np.diag(H)) * (1 + 1e-5)
        bound = np.outer(lengths, error) + np.outer(error, q) + 1e-13 * np.outer(lengths, lengths)
        assert (np.abs(H - (exact / n).T @ exact) <= bound).all()
        assert (np.abs(lengths - q) <= error + 2e-5 * lengths).all()
        np.testing.assert_array_equal(H, H.T)
        if kind in ("normal", "binary") and n > 500:
            assert (error <= 1e-3 * lengths).all()


def test_large_entries_are_shortened_so_that_sums_fit():
    """Columns whose entries all are the largest ones: sums over 16 rows would need 34 bits."""
    signs = np.sign(np.random.default_rng(0).standard_normal((640, 9)))
    columns, exact = packed(np.asfortranarray(signs), [9])
    columns.values[:] = np.where(
        columns.values > 0, 32767, -32767
    )  # the whole range, and not only what packing uses of it
    unit = columns.unit.copy()
    H, error = packed_products(columns)
    np.testing.assert_allclose(H, 32767**2 * np.outer(unit, unit) * (exact.T @ exact) / 640, rtol=1e-3)
    assert (error > 1.5 * unit).all()  # for what was rounded besides


def digest():
    rng = np.random.default_rng(0)
    columns, _ = packed(np.asfortranarray(rng.standard_normal((2100, 130))), cut(130))
    H, error = packed_products(columns)
    return float(np.abs(H).sum()), float(error.sum())


def test_instruction_sets_agree():
    """Sums of integers are exact; those in single precision are taken over blocks in the same order."""
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_gram_sums as t; print(*t.digest())"
    )
    for level in (0, 3):
        out = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"SPARSEOPT_ISA": str(level)},
            capture_output=True,
            text=True,
            check=True,
        )
        np.testing.assert_allclose([float(x) for x in out.stdout.split()], digest(), rtol=1e-6)


def test_threads_do_not_change_a_bit():
    columns, _ = packed(np.asfortranarray(np.random.default_rng(0).standard_normal((2100, 130))), cut(130))
    one, two = (packed_products(columns, threads=threads)[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_memory_of_packed_columns_is_used_again():
    rng = np.random.default_rng(0)
    X, Z = (np.asfortranarray(rng.standard_normal((700, 9))) for _ in range(2))
    first = packed_products(packed(Z, cut(9))[0])[0]
    columns, _ = packed(X, cut(9))
    where = columns.values.ctypes.data
    del columns
    columns, _ = packed(Z, cut(9))
    other, _ = packed(X, cut(9))  # at the same time: somewhere else
    assert columns.values.ctypes.data == where != other.values.ctypes.data
    np.testing.assert_array_equal(packed_products(columns)[0], first)


@pytest.mark.parametrize("m", [1, 2, 5, 13])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products(m, dtype):
    for n, p in ((1, 1), (259, 6), (1030, 31)):
        for centred, weighted in ((False, False), (True, True)):
            sums, exact = columns(n, p, dtype, centred, weighted)
            v = np.random.default_rng(m).standard_normal((m, p))
            plain = sums.X[:, sums.columns] * (1.0 if sums.root is None else sums.root[:, None])
            np.testing.assert_allclose(sums.product(sums, v), (plain.T @ (exact @ v.T)).T, rtol=1e-11, atol=1e-11 * n)


def test_gaps_hold_at_the_largest_errors(monkeypatch):
    monkeypatch.setattr(first_reading, "SMALLEST_SIZE", 0)
    rng = np.random.default_rng(1)
    X = np.asfortranarray(rng.standard_normal((400, 30)) + rng.standard_normal((400, 1)))
    y = X[:, :6] @ rng.standard_normal(6) + 0.3 * rng.standard_normal(400)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(10, 3)))
    lams = so.path.lambda_grid(problem, 12)
    b = np.array([so.solve(problem.with_lam(lam), tol=1e-7).w for lam in lams])
    strengths = np.array([problem.with_lam(lam).penalty.strength for lam in lams])
    exact = np.array([problem.with_lam(lam).gap(w) for lam, w in zip(lams, b, strict=True)])
    gram, square = gram_matrix.from_packed(problem), float(y @ y) / 400
    signs = rng.choice([-1.0, 1.0], (400, 30))
    for size in (1, 10):  # the second one takes more directions
        wrong = size * gram.error * signs  # packed columns, each as far from the true one as it may be
        Q = X - wrong
        as_bad = gram_matrix.GramMatrix(Q.T @ Q / 400, size * gram.error * (1 + 1e-9), gram.lengths, None, gram.sums)
        model = gram_certificate.PathModel(as_bad, -problem.gradient_at_zero, square, problem.penalty.groups, 400)
        known = gram_certificate.products(model, b, strengths, 1e-6)
        step = 1e-4 * rng.standard_normal(b.shape) * np.abs(b).max()
        for change in (0.0 * step, step):
            moved = known.moved(as_bad, change, known.product + change @ as_bad.H)
            error, unsure = moved.errors(model)
            truth = (b + change) @ (X.T @ X) / 400
            assert (model.norms(truth - moved.product) <= error + 1e-12).all()
            assert (np.abs(np.einsum("lp,lp->l", b + change, truth) - moved.fitted) <= unsure + 1e-12).all()
        found = gram_certificate.certified(model, b, strengths, known)
        excess = found.gap - exact / np.maximum(found.objective, 0.5 * square - found.objective)
        assert (excess >= -1e-12).all()
        assert (excess <= 1.2 * gram_certificate.SHARE * 1e-6).all()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_gaps_hold_for_sums_in_any_order(sign):
    """Rounding errors all of one sign, as sums of numbers of one sign may have them."""
    rng = np.random.default_rng(2)
    n, groups = 100_000, so.Groups.uniform(2, 2)
    X = np.asfortranarray(rng.uniform(0.5, 1.5, (n, 4)))
    y = X @ np.array([1.0, 0.5, 0.0, 0.0]) + rng.uniform(0, 0.1, n)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))
    at = problem.with_lam(0.01 * so.lambda_max(problem))
    b, strengths = so.solve(at, tol=1e-12).w, at.penalty.strength
    lengths, square = np.sqrt((X**2).mean(axis=0)), float(y @ y) / n
    reach = (4096 + 25) * np.finfo(float).eps / 2  # additions that a product meets in blocks of 4096 rows
    for w in (b, np.zeros(4)):
        H = X.T @ X / n + sign * reach * np.outer(lengths, lengths)
        c = X.T @ y / n - sign * reach * np.sqrt(square) * lengths
        gram = gram_matrix.GramMatrix(H, np.zeros(4), lengths, None, None)
        model = gram_certificate.PathModel(gram, c, square * (1 + sign * reach), groups, n)
        known = gram_certificate.products(model, w[None], strengths[None], 1e-6)
        known = gram_certificate.certified(model, w[None], strengths[None], known)
        scale = max(known.objective[0], 0.5 * square - known.objective[0])
        assert at.gap(w) / scale - 1e-14 <= known.gap[0] <= at.gap(w) / scale + 1e-8


@pytest.mark.parametrize("order", ["F", "C"])
def test_sums_at_zero_meet_no_more_additions_than_allowed_for(order, monkeypatch):
    """Equal products, whose sums err to one side, of more rows than are summed at a time; against exact sums."""
    for module in (gram_matrix, gram_certificate):
        monkeypatch.setattr(module, "ROWS", 64)
    n, x, y = 1500, 0.1, 0.7
    X = np.full((n, 2), x, order=order)
    problem = so.Problem(X, so.LeastSquares(np.full(n, y)), so.GroupLasso(1.0, so.Groups.uniform(1, 2)))
    exact = Fraction(x) * Fraction(y)
    error = max(abs(Fraction(float(c)) - exact) for c in gram_matrix.pull_at_zero(problem))
    assert error <= exact * Fraction(gram_certificate.rounding_of_sums(n, 0))
    gram = gram_matrix.double_precision(problem).H
    assert abs(Fraction(float(gram[0, 1])) - Fraction(x) ** 2) <= Fraction(x) ** 2 * Fraction(
        104 * np.finfo(float).eps / 2
    )
