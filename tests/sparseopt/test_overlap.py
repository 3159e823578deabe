"""Overlapping groups by latent duplication: the expanded problem, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

LISTS = [[0, 1, 2], [2, 3, 4], [4, 5, 0], [3]]


def latent() -> so.Groups:
    return so.Groups.from_lists(LISTS, overlap="latent")


def data(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 6))
    return X, X @ np.array([1.0, 1, 1, 0, 0, 0]) + 0.2 * rng.standard_normal(30)


def test_the_groups_are_the_lists_in_their_order():
    groups = latent()
    assert (groups.n_groups, groups.n_features, groups.n_columns) == (4, 10, 6)
    assert groups.columns.tolist() == [j for members in LISTS for j in members]
    assert [groups.columns[groups.members(g)].tolist() for g in range(4)] == LISTS
    assert groups.contiguous
    assert "10 coefficients of 6 columns" in repr(groups)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_matrix, sparse.csr_array], ids=["dense", "csc", "csr"])
def test_expand_and_collapse_are_adjoint(kind):
    rng, groups = np.random.default_rng(0), latent()
    X = rng.standard_normal((5, 6))
    for shape in ((10,), (10, 3)):
        w = rng.standard_normal(shape)
        assert groups.expand(kind(X)) @ w == pytest.approx(X @ groups.collapse(w), rel=1e-13)
    assert groups.collapse(np.ones(10)).tolist() == [2, 1, 2, 2, 2, 1]


def test_without_overlap_nothing_happens():
    plain = so.Groups.from_lists([[0, 2], [1]])
    X, w = np.ones((2, 3)), np.arange(3.0)
    assert plain.columns is None
    assert plain.n_columns == 3
    assert plain.expand(X) is X
    assert plain.collapse(w) is w
    same = so.Groups.from_lists([[0, 1], [2]], overlap="latent")
    assert same != so.Groups.from_lists([[0, 1], [2]])
    assert same == so.Groups.from_lists([[0, 1], [2]], overlap="latent")
    assert latent() != so.Groups.from_lists([[1, 0, 2], *LISTS[1:]], overlap="latent")


def test_overlap_stays_an_error_by_default():
    with pytest.raises(ValueError, match=r"coefficient 2 is in two groups.*latent"):
        so.Groups.from_lists(LISTS)
    with pytest.raises(ValueError, match="overlap is 'sum'"):
        so.Groups.from_lists(LISTS, overlap="sum")
    with pytest.raises(ValueError, match="contains 0 twice"):
        so.Groups.from_lists([[0, 0], [1]], overlap="latent")
    with pytest.raises(ValueError, match="coefficient 1 is in no group"):
        so.Groups.from_lists([[0], [0, 2]], overlap="latent")
    X, y = data()
    with pytest.raises(ValueError, match="6 columns, but the groups cover 3"):
        so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.from_lists([[0], [0, 1, 2]], overlap="latent")))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_matrix], ids=["dense", "sparse"])
def test_solve_agrees_with_cvxpy_on_the_latent_problem(kind):
    """min |y - X sum_g v_g|^2 / (2 n) + lam sum_g sqrt(size) |v_g|, with v_g supported on lists[g]."""
    cvxpy = pytest.importorskip("cvxpy")
    X, y = data()
    problem = so.Problem(kind(X), so.LeastSquares(y), so.GroupLasso(0.1, latent()))
    result = so.solve(problem, tol=1e-10)
    parts = [cvxpy.Variable(len(members)) for members in LISTS]
    fit = sum(X[:, members] @ part for members, part in zip(LISTS, parts, strict=True))
    norms = [len(members) ** 0.5 * cvxpy.norm(part) for members, part in zip(LISTS, parts, strict=True)]
    best = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(y - fit) / 60 + 0.1 * sum(norms))).solve(solver="CLARABEL")
    assert result.objective == pytest.approx(best, rel=1e-8)
    assert result.w.shape == (6,)
    assert result.latent.shape == (10,)
    assert np.array_equal(result.w, problem.collapse(result.latent))
    assert problem.objective(result.latent) == pytest.approx(result.objective, rel=1e-14)
    assert problem.gap(result.latent) <= 1e-9
    assert so.certify.duality_gap(problem, result.latent, tol=1e-8).proved
    fitted = np.zeros(6)
    for members, part in zip(LISTS, parts, strict=True):
        fitted[members] += part.value
    assert result.w == pytest.approx(fitted, abs=1e-3)


def test_the_support_is_a_union_of_groups():
    X, y = data()
    groups = latent()
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))
    result = so.solve(problem.with_lam(0.4 * so.lambda_max(problem)), tol=1e-9)
    active = groups.active(result.latent)
    assert active.tolist() == [0]
    assert np.flatnonzero(result.w).tolist() == sorted({j for g in active for j in LISTS[g]})


def test_lambda_max_is_sharp_and_warm_starts_are_latent():
    X, y = data()
    problem = so.Problem(X, so.LeastSquares(y), so.SparseGroupLasso(1.0, latent(), l1_ratio=0.3))
    largest = so.lambda_max(problem)
    assert not so.solve(problem.with_lam(1.001 * largest)).w.any()
    first = so.solve(problem.with_lam(0.5 * largest), tol=1e-9)
    assert first.w.any()
    again = so.solve(problem.with_lam(0.5 * largest), w0=first.latent, tol=1e-9)
    assert again.objective == pytest.approx(first.objective, rel=1e-9)


def test_nonconvex_penalties_take_overlapping_groups():
    X, y = data()
    problem = so.Problem(X, so.LeastSquares(y), so.GroupMCP(0.05, latent()))
    result = so.solve(problem, tol=1e-8)
    assert X @ result.w == pytest.approx(problem.X @ result.latent, rel=1e-12)


def test_latent_is_w_itself_without_overlap():
    X, y = data()
    result = so.solve(so.Problem(X, so.LeastSquares(y), so.GroupLasso(0.1, so.Groups.uniform(3, 2))))
    assert result.latent is result.w


def test_restrict_keeps_the_order_of_the_coefficients():
    groups = so.Groups.from_lists([[3], [6, 0], [1, 2, 4, 5]])
    kept = groups.restrict(np.array([0, 1]))
    assert kept.labels.tolist() == [1, 0, 1]
    assert kept.names == (0, 1)
