"""Problems from sufficient statistics against the raw data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

GROUPS = so.Groups.from_sizes([2, 3, 1])


def data(n: int = 40):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6)) + rng.standard_normal(6)
    return X, X[:, :2].sum(axis=1) + 5 + 0.2 * rng.standard_normal(n), rng.uniform(0.5, 2, n)


@pytest.mark.parametrize("n", [40, 4])
def test_equal_to_the_raw_data(n):
    X, y, _ = data(n)
    raw = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, GROUPS))
    gram = so.Problem.from_gram(X.T @ X, X.T @ y, y @ y, n, raw.penalty)
    assert so.lambda_max(gram) == pytest.approx(so.lambda_max(raw), rel=1e-12)
    w = np.arange(6.0)
    assert gram.objective(w) == pytest.approx(raw.objective(w), rel=1e-12)
    for a, b in zip(so.solve_path(raw, 5, 0.1, tol=1e-10), so.solve_path(gram, 5, 0.1, tol=1e-10), strict=True):
        assert a.objective == pytest.approx(b.objective, rel=1e-8)
        np.testing.assert_allclose(raw.X @ a.w, raw.X @ b.w, atol=1e-4)
        proof = so.certify.duality_gap(gram.with_lam(b.lam), b.w)
        assert proof.verdict == "proved" or (n < 6 and proof.verdict == "undecided")  # singular XtX: hard to certify


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_chunks_with_weights_and_an_intercept(form):
    X, y, s = data()
    chunks = [(form(X[i : i + 7]), y[i : i + 7], s[i : i + 7]) for i in range(0, 40, 7)]
    statistics = so.accumulate_gram(chunks, intercept=True)
    penalty = so.GroupLasso(0.1, GROUPS)
    result = so.solve(statistics.problem(penalty), tol=1e-12)
    raw = so.solve(so.Problem(X, so.LeastSquares(y, s, intercept=True), penalty), tol=1e-12)
    np.testing.assert_allclose(result.w, raw.w, atol=1e-8)
    assert result.intercept == pytest.approx(raw.intercept, rel=1e-8)
    assert result.objective == pytest.approx(raw.objective, rel=1e-10)


def test_the_number_of_chunks_does_not_matter_far_from_zero():
    X, y, _ = data()
    X = X + 1e6
    one = so.accumulate_gram([(X, y)], intercept=True)
    many = so.accumulate_gram(((X[i : i + 1], y[i : i + 1]) for i in range(40)), intercept=True)
    np.testing.assert_allclose(many.XtX, one.XtX, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(many.Xty, one.Xty, rtol=1e-6, atol=1e-6)


def test_a_dask_array():
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    X, y, s = data()
    lazy = so.accumulate_gram(da.from_array(X, chunks=(9, 4)), da.from_array(y, chunks=11), sample_weight=s)
    now = so.accumulate_gram([(X, y, s)])
    np.testing.assert_allclose(lazy.XtX, now.XtX, rtol=1e-12)
    np.testing.assert_allclose(lazy.Xty, now.Xty, rtol=1e-12)


def test_chunks_of_weight_zero_are_no_data():
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    X, y, s = data()
    s[:10] = 0
    kept = so.accumulate_gram([(X[10:], y[10:], s[10:])], intercept=True)
    chunks = [(X[i : i + 10], y[i : i + 10], s[i : i + 10]) for i in range(0, 40, 10)]
    lazy = da.from_array(X, chunks=(10, 6))
    found = [so.accumulate_gram(chunks, intercept=True), so.accumulate_gram(lazy, y, sample_weight=s, intercept=True)]
    for statistics in found:
        np.testing.assert_allclose(statistics.XtX, kept.XtX, rtol=1e-12)
        assert statistics.n == pytest.approx(kept.n)
    for nothing in (
        lambda: so.accumulate_gram([(X, y, 0 * s)]),
        lambda: so.accumulate_gram(lazy, y, sample_weight=0 * s),
    ):
        with pytest.raises(ValueError, match="at least one chunk"):
            nothing()


def test_a_constant_response_and_singular_columns_are_data_too():
    """Rounding errors are no sign of statistics that belong to different data."""
    rng, groups = np.random.default_rng(0), so.Groups.uniform(3, 1)
    column = rng.standard_normal(300)
    X, parts = np.outer(column, [1.0, 0.3, -2.0]), np.array_split(np.arange(300), 7)
    constant = so.accumulate_gram(((X[rows], np.full(len(rows), 0.1)) for rows in parts), intercept=True)
    assert not constant.Xty.any()
    result = so.solve(constant.problem(so.GroupLasso(1.0, groups)))
    assert not result.w.any()
    assert result.intercept == pytest.approx(0.1)
    for seed in range(20):
        mix = np.random.default_rng(seed).standard_normal(3)
        X = np.outer(np.random.default_rng(seed).standard_normal(5000), mix)
        problem = so.accumulate_gram((X[i::4], X[i::4] @ mix) for i in range(4)).problem(so.GroupLasso(1.0, groups))
        assert so.solve(problem).objective <= problem.objective(np.zeros(3))


def test_chunks_that_do_not_fit_are_refused():
    X, y, _ = data()
    plain, centred = so.accumulate_gram([(X, y)]), so.accumulate_gram([(X, y)], intercept=True)
    for refused, message in [
        (lambda: so.accumulate_gram([(X, y), (X[:, :3], y)]), "6 and 3 columns"),
        (lambda: so.accumulate_gram([(sparse.csr_array(X * np.nan), y)]), "must be finite"),
        (lambda: so.accumulate_gram(None), "chunks is None"),
        (lambda: plain.merge(centred), "centring"),
        (
            lambda: plain.problem(so.GroupLasso(1.0, so.Groups.from_lists([[0, 1], [1, 2, 3, 4, 5]], 6, "latent"))),
            "np.ix_",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            refused()
    with pytest.raises(TypeError, match="len"):  # of what reads the chunks, and comes through unchanged
        so.accumulate_gram((X, len(3)) for _ in range(2))


@pytest.mark.parametrize("penalty", [so.GroupLasso, so.SparseGroupLasso])
def test_certificates_of_statistics_and_of_the_data(penalty):
    """The same gap and scale, to the rounding of the statistics, at every level; bad points are refuted."""
    X, y, _ = data()
    options = {"l1_ratio": 0.5} if penalty is so.SparseGroupLasso else {}
    raw = so.Problem(X, so.LeastSquares(y), penalty(0.1, GROUPS, **options))
    gram = so.Problem.from_gram(X.T @ X, X.T @ y, y @ y, len(y), raw.penalty)
    w = so.solve(gram, tol=1e-9).w
    for level in ("float", "ball", "exact"):
        proof = so.certify.duality_gap(gram, w, tol=1e-8, level=level)
        assert proof.verdict == "proved", proof.reason
        assert proof.scale == pytest.approx(so.certify.duality_gap(raw, w).scale, rel=1e-10)
        assert so.certify.duality_gap(gram, w + 0.1, level=level).verdict == "refuted"
    assert so.certify.duality_gap(gram.with_lam(2 * so.lambda_max(gram)), 0 * w).verdict == "proved"


def test_statistics_of_no_data_are_refused():
    X, y, _ = data()
    G, b, penalty = X.T @ X, X.T @ y, so.GroupLasso(1.0, GROUPS)
    cases = [
        ((G[:5], b, y @ y, 40), "must be"),
        ((G + np.triu(G), b, y @ y, 40), "not symmetric"),
        ((G - 100 * np.eye(6), b, y @ y, 40), "semidefinite"),
        ((G, b, 0.5 * (b @ np.linalg.solve(G, b)), 40), "same data"),
        ((np.diag([1.0, 1, 1, 1, 1, 0]), np.ones(6), 100.0, 40), "range"),
        ((G, b, -1.0, 40), "negative"),
        ((G, b, y @ y, 0), "positive"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            so.Problem.from_gram(*arguments, penalty)
    with pytest.raises(ValueError, match="at least one chunk"):
        so.accumulate_gram([])
