"""Gram matrices in single precision, exact products, and gaps at the largest errors that these allow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import sparseopt as so
from sparseopt import first_reading
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt._native.gram_sums import GramSums
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "p"), [(1, 1), (31, 5), (33, 49), (513, 100), (1100, 17)])
def test_matrix_within_its_bound(n, p, dtype):
    for centred, weighted in ((False, False), (True, False), (True, True)):
        sums, exact = columns(n, p, dtype, centred, weighted)
        size = 2.0 ** (np.arange(p) % 7)
        lengths = np.linalg.norm(exact, axis=0)
        H, spread = sums.matrix(size)
        H, spread = H * np.outer(size, size), spread * size
        assert (np.abs(H - exact.T @ exact) <= np.outer(spread, spread) + 1e-14 * np.outer(lengths, lengths)).all()
        assert (spread**2 <= 53 * 2.0**-24 * lengths**2).all()
        np.testing.assert_array_equal(H, H.T)


def test_threads_do_not_change_a_bit():
    sums, _ = columns(2100, 130)
    one, two = (sums.matrix(np.ones(130), threads=threads)[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


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
    gram, square = gram_matrix.single_precision(problem), float(y @ y) / 400
    signs = rng.choice([-1.0, 1.0], (30, 30))
    for spread in (gram.spread, 10 * gram.spread):  # the second one takes more directions
        wrong = np.outer(spread, spread) * (np.triu(signs) + np.triu(signs, 1).T)
        as_bad = gram_matrix.GramMatrix(X.T @ X / 400 + wrong, spread, gram.lengths, None, gram.sums)
        model = gram_certificate.PathModel(as_bad, -problem.gradient_at_zero, square, problem.penalty.groups, 400)
        known = gram_certificate.certified(model, b, strengths, 1e-6)
        excess = known.gap - exact / np.maximum(known.objective, 0.5 * square - known.objective)
        assert (excess >= -1e-12).all()
        assert (excess <= 1.01 * gram_certificate.SHARE * 1e-6).all()


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
        known = gram_certificate.certified(model, w[None], strengths[None], 1e-6)
        scale = max(known.objective[0], 0.5 * square - known.objective[0])
        assert at.gap(w) / scale - 1e-14 <= known.gap[0] <= at.gap(w) / scale + 1e-8


@pytest.mark.parametrize("order", ["F", "C"])
def test_sums_at_zero_meet_no_more_additions_than_allowed_for(order, monkeypatch):
    """Equal products, whose sums err to one side, of more rows than are summed at a time; against exact sums."""
    monkeypatch.setattr(gram_matrix, "ROWS", 64)
    n, x, y = 1500, 0.1, 0.7
    X = np.full((n, 2), x, order=order)
    problem = so.Problem(X, so.LeastSquares(np.full(n, y)), so.GroupLasso(1.0, so.Groups.uniform(1, 2)))
    exact = Fraction(x) * Fraction(y)
    error = max(abs(Fraction(float(c)) - exact) for c in gram_matrix.pull_at_zero(problem))
    assert error <= exact * Fraction((64 + 24 + 16) * np.finfo(float).eps / 2)
    gram = gram_matrix.double_precision(problem).H
    assert abs(Fraction(float(gram[0, 1])) - Fraction(x) ** 2) <= Fraction(x) ** 2 * Fraction(
        104 * np.finfo(float).eps / 2
    )
