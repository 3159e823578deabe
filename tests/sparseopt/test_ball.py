"""Ball arithmetic and eigenvalue bounds against exact rational numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import (
    dot,
    exact_group_norms,
    exact_matrix,
    fractions,
    leading_minors_positive,
    random_problem,
    root,
    uneven_groups,
)
from scipy import sparse

from sparseopt.certify.ball import Ball, length, power_of_two, product, row_norms
from sparseopt.certify.evaluation import (
    block_eigenvalue,
    evaluate,
    positive_semidefinite,
    smallest_eigenvalue,
    spectral_norm,
    strong_convexity,
)

SEEDS = given(seed=st.integers(0, 2**32 - 1))


def encloses(ball, exact) -> bool:
    """Whether every exact number lies in its ball."""
    pairs = zip(fractions(ball.mid), fractions(ball.rad), exact, strict=True)
    return all(abs(x - mid) <= rad for mid, rad, x in pairs)


def wild(rng, n) -> np.ndarray:
    """Numbers of all signs and sizes between 1e-150 and 1e150, some zero."""
    return rng.standard_normal(n) * 10.0 ** rng.integers(-150, 150, n) * (rng.uniform(size=n) > 0.1)


@SEEDS
def test_arithmetic_encloses_the_exact_result(seed):
    rng = np.random.default_rng(seed)
    a, b = wild(rng, 8), wild(rng, 8)
    x, y = Ball(a, np.abs(a) * 1e-3), Ball.exact(b)
    A, B = fractions(a), fractions(b)
    near = [v * Fraction(1001, 1000) * Fraction(9999999, 10000000) for v in A]
    for inside in (A, near):
        assert encloses(x + y, [u + v for u, v in zip(inside, B, strict=True)])
        assert encloses(x - y, [u - v for u, v in zip(inside, B, strict=True)])
        assert encloses(x * y, [u * v for u, v in zip(inside, B, strict=True)])
        assert encloses(-x, [-u for u in inside])
        assert encloses(abs(x), [abs(u) for u in inside])
        assert encloses(abs(x).sqrt(), [root(abs(u)) for u in inside])
        total = x.sum()
        assert abs(sum(inside) - Fraction(float(total.mid))) <= Fraction(float(total.rad))
        inner = x.dot(y)
        assert abs(dot(inside, B) - Fraction(float(inner.mid))) <= Fraction(float(inner.rad))
    positive = Ball.exact(np.abs(b) + 1e-100)
    quotient = x / positive
    assert encloses(quotient, [u / v for u, v in zip(near, fractions(positive.mid), strict=True)])
    assert np.all(x.lower < x.mid + (a == 0))
    assert np.all(x.upper >= x.mid)


def test_division_by_what_may_be_zero_is_refused():
    with pytest.raises(ZeroDivisionError):
        Ball.exact([1.0]) / Ball(np.array([1e-3]), np.array([1e-2]))


@SEEDS
def test_group_norms_at_every_scale(seed):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-300, 300)
    v = rng.standard_normal(7) * scale * 10.0 ** rng.integers(-5, 5, 7) * (rng.uniform(size=7) > 0.3)
    norms = Ball.exact(v).group_norms(uneven_groups())
    exact = exact_group_norms(uneven_groups(), fractions(v))
    assert encloses(norms, exact)
    assert np.all(norms.rad <= 1e-14 * norms.mid + 1e-320)
    assert np.all(norms.rad[[x == 0 for x in exact]] == 0)


@SEEDS
def test_products_with_dense_and_sparse_matrices(seed):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-140, 140)
    X = rng.standard_normal((5, 6)) * scale * (rng.uniform(size=(5, 6)) > 0.4)
    v = rng.standard_normal(6) / scale
    expected = [dot(row, fractions(v)) for row in exact_matrix(X)]
    for form in (X, X.astype(np.float32) if 1e-30 < scale < 1e30 else X, sparse.csr_array(X), sparse.csc_array(X)):
        exact = expected if form.dtype == np.float64 else [dot(row, fractions(v)) for row in exact_matrix(form)]
        assert encloses(product(form, Ball.exact(v), row_norms(form)), exact)
        squares = [dot(row, row) for row in exact_matrix(form)]
        assert all(Fraction(float(b)) ** 2 >= s for b, s in zip(row_norms(form), squares, strict=True))


@pytest.mark.parametrize("scale", [0.0, 5e-324, 1e-300, 1e-170, 1.0, 1e170, 1e307])
def test_lengths_are_upper_bounds_without_overflow(scale):
    v = scale * np.array([1.0, -0.5, 0.25])
    exact = root(dot(fractions(v), fractions(v)))
    assert exact <= Fraction(length(v)) <= exact * (1 + Fraction(1, 10**5)) + Fraction(1, 10**320)


def test_powers_of_two():
    values = np.array([0.0, 1.0, 1.5, 2.0, 1e308, 5e-324, np.inf, np.nan])
    assert power_of_two(values).tolist() == [1, 1, 1, 2, 2.0**1023, 5e-324, 1, 1]


def shifted(A, c) -> list[list[Fraction]]:
    return [[a - Fraction(c) * (i == j) for j, a in enumerate(row)] for i, row in enumerate(exact_matrix(A))]


@given(seed=st.integers(0, 2**32 - 1), log_smallest=st.integers(-17, 0), log_scale=st.integers(-150, 150))
def test_the_smallest_eigenvalue_is_really_a_lower_bound(seed, log_smallest, log_scale):
    """A - c I is positive definite by Sylvester's criterion in rational numbers, for the c that is claimed."""
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 6))
    V = np.linalg.qr(rng.standard_normal((p, p)))[0]
    A = V @ np.diag(np.geomspace(10.0**log_smallest, 1, p)) @ V.T * 10.0**log_scale
    A = (A + A.T) / 2
    bound = smallest_eigenvalue(A)
    assert bound >= 0
    if bound > 0:
        assert leading_minors_positive(shifted(A, bound * (1 - 1e-12)))
    if log_smallest >= -10:
        assert bound >= 0.99 * np.linalg.eigvalsh(A)[0] > 0


def test_singular_and_indefinite_matrices_have_no_positive_bound():
    ones = np.ones((3, 3))
    for A in (ones, np.zeros((2, 2)), np.diag([1.0, -1e-20]), np.diag([1.0, -1]), -ones, np.full((2, 2), np.nan)):
        assert smallest_eigenvalue(A) == 0
    rng = np.random.default_rng(0)
    for _ in range(50):
        B = rng.integers(-5, 5, (3, 4)).astype(float)
        assert smallest_eigenvalue(B.T @ B) == 0


def test_semidefiniteness_of_singular_matrices_is_exact():
    assert positive_semidefinite(np.ones((3, 3)))
    assert positive_semidefinite(np.diag([1.0, 0.0]))
    assert positive_semidefinite(np.zeros((2, 2)))
    assert not positive_semidefinite(np.diag([1.0, -1e-300]))
    assert not positive_semidefinite(np.array([[1.0, 1.0], [1.0, np.nextafter(1, 0)]]))
    assert not positive_semidefinite(np.array([[0.0, 1e-9], [1e-9, 0.0]]))
    rng = np.random.default_rng(0)
    for _ in range(20):
        B = rng.integers(-9, 9, (3, 6)).astype(float)
        assert positive_semidefinite(B.T @ B)
        assert not positive_semidefinite(B.T @ B - 2.0**-30 * np.eye(6))


@SEEDS
def test_spectral_norms_are_upper_bounds(seed):
    """c^2 I - A'A is positive definite in rational numbers."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((4, 3)) * 10.0 ** rng.integers(-290, 290)
    bound = spectral_norm(Ball.exact(A))
    columns = exact_matrix(A.T)
    difference = [[Fraction(bound) ** 2 * (i == j) - dot(columns[i], columns[j]) for j in range(3)] for i in range(3)]
    assert leading_minors_positive(difference)
    assert bound <= 1.001 * np.linalg.norm(A, 2)


def test_the_spectral_norm_of_what_is_not_finite_is_infinite():
    assert spectral_norm(Ball(np.array([[np.inf, 1.0]]), np.zeros((1, 2)))) == np.inf


@SEEDS
def test_hessian_columns_and_strong_convexity(seed):
    rng = np.random.default_rng(seed)
    intercept = bool(seed % 2)
    problem = random_problem(seed % 1000, n=9, sizes=(2, 2), intercept=intercept, sample_weight=rng.uniform(0, 2, 9))
    evaluation = evaluate(problem, np.zeros(4))
    share = [s / sum(fractions(problem.datafit.sample_weight)) for s in fractions(problem.datafit.sample_weight)]
    columns = exact_matrix(problem.X.T)
    if intercept:
        columns = [[x - dot(share, column) for x in column] for column in columns]
    exact = [[sum(s * x * y for s, x, y in zip(share, a, b, strict=True)) for b in columns] for a in columns]
    hessian = evaluation.hessian_columns(np.arange(4))
    assert encloses(hessian, [entry for row in exact for entry in row])
    assert all(Fraction(float(c)) >= exact[j][j] for j, c in enumerate(evaluation.curvatures))
    mu = strong_convexity(evaluation)
    assert mu == block_eigenvalue(hessian)
    assert leading_minors_positive(
        [[a - Fraction(mu) * (i == j) for j, a in enumerate(r)] for i, r in enumerate(exact)]
    )
    assert mu >= 0.9 * np.linalg.eigvalsh(np.array([[float(a) for a in row] for row in exact]))[0]
