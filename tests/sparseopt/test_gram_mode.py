"""Paths from the Gram matrix against solutions from the data themselves."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt import first_reading
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt.solvers import gram_certificate, gram_matrix

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")


@pytest.fixture(autouse=True)
def small_designs_too(monkeypatch):
    monkeypatch.setattr(first_reading, "SMALLEST_SIZE", 0)
    monkeypatch.setattr(gram_matrix, "SAMPLES_PER_STRENGTH", 0)
    monkeypatch.setattr(gram_matrix, "MORE_SAMPLES", 0)


def instance(X=None, sizes=(5, 1, 10, 4) * 3, weights="sqrt", **datafit):
    rng = np.random.default_rng(0)
    groups = so.Groups.from_sizes(sizes)
    p = groups.n_features
    X = rng.standard_normal((300, p)) + 0.7 * rng.standard_normal((300, 1)) if X is None else X
    w = np.where(groups.labels % 4 == 1, rng.standard_normal(p), 0.0)
    y = X @ w / np.abs(X).max() + 0.3 * rng.standard_normal(300) + 2.0
    return so.Problem(np.asfortranarray(X), so.LeastSquares(y, **datafit), so.GroupLasso(1.0, groups, weights))


def largest_share_of_rounding(problem, w):
    """Rounding errors of the gradient at w, relative to the strengths: by as much may a dual point have to shrink."""
    lengths = np.sqrt(problem.datafit.share @ problem.X.astype(float) ** 2)
    size = np.sqrt(problem.datafit.share @ problem.datafit.target**2) + np.abs(w) @ lengths
    error = gram_certificate.rounding_of_sums(*problem.X.shape) * size * problem.penalty.groups.norms(lengths)
    return (error / problem.penalty.strength).max()


def assert_path_proved(problem, path, tol):
    """Proved again from the data; gaps and violations are those of the data, or more by the errors allowed for."""
    allowed = 1.0 if problem.kept["gram"].packed else 1e-3  # errors of packed columns may take what is left of tol
    assert len(path) == 20
    for result in path:
        at_lam = problem.with_lam(result.lam)
        slack = allowed + 4 * largest_share_of_rounding(at_lam, result.latent) / tol
        assert so.certify.duality_gap(at_lam, result.latent, tol=2 * tol, level="ball").proved
        np.testing.assert_allclose(result.objective, at_lam.objective(result.latent), rtol=1e-9)
        z = problem.X @ result.latent
        np.testing.assert_allclose(result.intercept, problem.datafit.intercept(z), atol=1e-9)
        scale = max(result.objective, abs(result.objective - problem.objective(0 * result.latent)))
        assert -1e-3 * tol <= result.gap - at_lam.gap(result.latent) / scale <= slack * tol
        # an error e_g of the gradient costs the gap about penalty * max_g e_g / strength_g
        share, beyond = slack * tol * scale, result.violation - at_lam.violation(result.latent)
        assert -1e-9 * result.lam <= beyond
        assert beyond * at_lam.penalty.value(result.latent) <= 2 * share * at_lam.penalty.strength.max()


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_solution_is_certified(weighted, intercept):
    weight = np.random.default_rng(1).uniform(0, 2, 300) if weighted else None
    problem = instance(sample_weight=weight, intercept=intercept, offset=np.linspace(0, 1, 300))
    path = so.solve_path(problem, n_lambdas=20, tol=1e-8)
    assert "gram" in problem.kept
    assert all(result.passes == 0 for result in path)
    assert_path_proved(problem, path, 1e-8)


def test_hardly_more_rows_than_columns(monkeypatch):
    monkeypatch.setattr(first_reading, "SMALLEST_SIZE", 2**18)  # small designs: in double precision
    full = instance()
    problem = so.Problem(full.X[:64], so.LeastSquares(full.datafit.y[:64], intercept=True), full.penalty)
    path = so.solve_path(problem, n_lambdas=20, tol=1e-8)
    assert not problem.kept["gram"].packed
    assert_path_proved(problem, path, 1e-8)


def test_float32_and_scattered_columns():
    problem = instance()
    order = np.random.default_rng(0).permutation(problem.n_features)
    groups = so.Groups.from_labels(problem.penalty.groups.labels[order])
    X = np.asfortranarray(problem.X[:, order].astype(np.float32))
    problem = so.Problem(X, problem.datafit, so.GroupLasso(1.0, groups))
    path = so.solve_path(problem, n_lambdas=20, tol=1e-7)
    assert "gram" in problem.kept
    assert_path_proved(problem, path, 1e-7)


def ugly():
    X = instance().X
    rng = np.random.default_rng(3)
    yield "columns over 12 orders of magnitude", X * 10.0 ** rng.uniform(-6, 6, 60), False
    yield "constant columns, with an intercept", np.where(np.arange(60) % 5 == 2, 3.0, X), True
    yield "duplicate columns and groups", np.hstack([X[:, :20], X[:, :20], X[:, [0] * 20]]), False
    yield "large means", X + 1e3, True
    yield "large means, not centred", X + 1e3, False
    yield "a column whose squares underflow", np.where(np.arange(60) == 7, 1e-200 * X, X), False
    yield "zero columns", np.where(np.arange(60) % 3 == 0, 0.0, X), False


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("case", range(7))
def test_ugly_data(case):
    name, X, intercept = list(ugly())[case]
    problem = instance(X=X, intercept=intercept)
    path = so.solve_path(problem, n_lambdas=20, ratio=0.05, tol=1e-7)
    assert not path.short, name
    for result in path:
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.w, tol=2e-7, level="ball").proved, name


def test_columns_whose_squares_underflow_are_left_to_double_precision():
    """Their diagonal would be 0, and the bounds that are made from it."""
    for size, packed in ((1e-100, True), (1e-200, False)):
        X = np.where(np.arange(60) == 7, size, 1.0) * instance().X
        problem = instance(X=X)
        so.solve_path(problem, n_lambdas=20)
        assert problem.kept["gram"].packed == packed


@pytest.mark.parametrize("tol", [1e-5, 1e-6])
def test_packed_columns_suffice_for_small_gaps(tol):
    """Many directions and small strengths: no solution is left to the data, and none to double precision."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((900, 150))
    y = X @ np.where(np.arange(150) % 6 < 3, rng.standard_normal(150), 0.0) + 5 * rng.standard_normal(900)
    problem = so.Problem(np.asfortranarray(X), so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(50, 3)))
    path = so.solve_path(problem, n_lambdas=60, tol=tol)
    assert problem.kept["gram"].packed
    assert sum(result.passes > 0 for result in path) <= 3
    for result in path:
        assert problem.with_lam(result.lam).gap(result.latent) <= tol * max(
            result.objective, problem.objective(0 * result.latent) - result.objective
        )


def test_what_rounding_makes_unsure_is_solved_from_the_data(monkeypatch):
    monkeypatch.setattr(gram_certificate, "rounding_of_sums", lambda n, p: 1.0)
    problem = instance()
    path = so.solve_path(problem, n_lambdas=20)
    assert all(result.passes > 0 for result in path if result.w.any())
    assert not path.short


@pytest.mark.parametrize(
    "change",
    [
        {"n_lambdas": 1},
        {"tol": 1e-12},
        {"solver": so.solvers.GroupBCD()},
        {"max_iter": 1000},
    ],
)
def test_gram_matrix_is_made_only_where_it_pays(change):
    problem = instance()
    so.solve_path(problem, **({"n_lambdas": 20} | change))
    assert "gram" not in problem.kept


def test_gram_matrix_is_kept_with_the_data():
    problem = instance()
    so.solve_path(problem, n_lambdas=20)
    matrix = problem.kept["gram"]
    so.solve_path(problem.with_lam(2.0), lams=[0.1])
    assert problem.kept["gram"] is matrix


def test_time_limit():
    problem = instance()
    path = so.solve_path(problem, n_lambdas=20, tol=1e-8, time_limit=1e-9, throw=False)
    assert path.short
