"""Passes over X that leave out groups: what is left out never matters, to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info


def store_of(X, groups):
    from sparseopt._native.bcd import ColumnStore

    return ColumnStore(X, groups)


def reading_of(store, v):
    from sparseopt._native.reading import Reading

    return Reading.of(store, v)


def never():
    return False


@pytest.fixture(autouse=True)
def bounds_for_small_designs_too(monkeypatch):
    from sparseopt._native import reading

    monkeypatch.setattr(reading, "SMALL", 0)


@pytest.mark.parametrize("outputs", [None, 3, 12])
@pytest.mark.parametrize("kind", ["dense", "sparse", "float32", "scattered"])
def test_first_reading_is_the_product(kind, outputs):
    rng = np.random.default_rng(0)
    groups = so.Groups.from_sizes([1, 2, 30, 7, 70, 5, 5])
    if kind == "scattered":
        groups = so.Groups.from_labels(rng.permutation(groups.labels))
    X = np.asfortranarray(rng.standard_normal((53, 120)))
    X = X.astype(np.float32) if kind == "float32" else sparse.csc_matrix(X * (abs(X) > 1)) if kind == "sparse" else X
    v = rng.standard_normal((53,) if outputs is None else (53, outputs))
    reading = reading_of(store_of(X, groups), v)
    dense = np.asarray(X.todense() if kind == "sparse" else X, dtype=np.float64)
    shape = (120,) if outputs is None else (120, outputs)
    np.testing.assert_allclose(reading.by_column(reading.pull, shape), dense.T @ v, atol=1e-12)
    np.testing.assert_allclose(reading.norms, groups.norms(dense.T @ v), rtol=1e-12)
    np.testing.assert_allclose(reading.frobenius, groups.norms(dense.T), rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_out_does_not_matter(seed):
    """Ratios above the level are those of the true gradient, and nothing left out exceeds it."""
    rng = np.random.default_rng(seed)
    groups = so.Groups.uniform(80, 3)
    X = np.asfortranarray(rng.standard_normal((40, 240)) * np.exp(rng.uniform(-3, 3, 240)))
    store, v = store_of(X, groups), rng.standard_normal(40)
    reading, slope = reading_of(store, v), np.exp(rng.uniform(-1, 1, 80))
    for step in 10.0 ** -np.arange(1, 7):
        active = rng.random(80) < 0.1
        v = v + step * rng.standard_normal(40)
        slope = slope * groups.norms(X.T @ v)[active].max() / slope[active].min() if active.any() else slope
        reading = reading.at(v, slope, active, 1, never)
        true = groups.norms(X.T @ v) / slope
        read = reading.norms / slope
        exact = np.isclose(read, true, rtol=1e-10)
        assert exact[active].all()
        level = min(1.0, read[active].max(initial=0.0))
        assert (true[~exact] <= level * (1 + 1e-12)).all()
        assert (read[~exact] <= level * (1 + 1e-12)).all()
    assert reading.columns < 240


def test_the_bound_allows_for_rounding():
    """Terms that cancel: the computed norm is rounding error, and a bound that trusted it would be wrong."""
    wrong_without, n = 0, 1024
    rng = np.random.default_rng(1)
    for _ in range(40):
        x = np.zeros((n, n + 1), order="F")
        x[:, :1] = rng.standard_normal((n, 1))
        v = rng.standard_normal(n)
        v -= x[:, 0] * (x[:, 0] @ v) / (x[:, 0] @ x[:, 0])  # orthogonal to rounding
        reading = reading_of(store_of(x, so.Groups.uniform(n + 1, 1)), v)
        exact = abs(sum_exactly(x[:, 0], v))
        assert exact <= reading._bounds(reading.anchors[0])[0]
        wrong_without += exact > reading.norms[0]
    assert wrong_without > 5  # without the allowance the same bound would be below the truth


def sum_exactly(x, v):
    """x'v of doubles, exactly, then rounded once."""
    from fractions import Fraction

    return float(sum(Fraction(a) * Fraction(b) for a, b in zip(x.tolist(), v.tolist(), strict=True)))


def test_an_interrupted_pass_answers_nothing():
    rng = np.random.default_rng(0)
    groups = so.Groups.uniform(5000, 1)
    X = np.asfortranarray(rng.standard_normal((200, 5000)))
    v, again = rng.standard_normal((2, 200, 120))  # enough work for the loop to ask once
    reading = reading_of(store_of(X, groups), v)
    assert reading.at(again, np.full(5000, 1e-9), np.zeros(5000, bool), 1, lambda: True) is None


def test_many_anchors_are_forgotten_without_harm():
    rng = np.random.default_rng(3)
    groups = so.Groups.uniform(60, 2)
    X = np.asfortranarray(rng.standard_normal((30, 120)))
    v = rng.standard_normal(30)
    reading, slope = reading_of(store_of(X, groups), v), np.full(60, 1.0)
    for _ in range(40):
        v = v + 1e-3 * rng.standard_normal(30)
        slope[:] = groups.norms(X.T @ v).max()
        reading = reading.at(v, slope, rng.random(60) < 0.02, 1, never)
        true = groups.norms(X.T @ v) / slope
        assert (true[~np.isclose(reading.norms / slope, true, rtol=1e-10)] <= 1).all()
    assert len(reading.anchors) <= 12


def test_duplicate_entries_of_a_sparse_design_are_summed():
    rows, columns, values = [0, 0, 1, 2], [0, 0, 0, 1], [1.0, 1.0, 3.0, 1.0]
    X = sparse.csc_matrix((values, (rows, columns)), shape=(3, 4))
    starts = np.array([0, 3, 4, 4, 4])
    raw = sparse.csc_matrix((np.array(values), np.array(rows, dtype=np.int32), starts), shape=(3, 4))
    y, groups = np.array([1.0, 2.0, 3.0]), so.Groups.uniform(4, 1)
    reading = reading_of(store_of(raw, groups), y)
    np.testing.assert_allclose(reading.frobenius, np.sqrt([13.0, 1.0, 0.0, 0.0]))
    solutions = [so.solve(so.Problem(A, so.LeastSquares(y), so.GroupLasso(0.1, groups)), tol=1e-10).w for A in (X, raw)]
    np.testing.assert_allclose(*solutions, atol=1e-8)
    assert raw.nnz == 4


def wide_problem(p, ratio=0.1, n=200, size=10, seed=0):
    rng = np.random.default_rng(seed)
    groups = so.Groups.uniform(p // size, size)
    X = np.empty((n, p), order="F")
    for j in range(0, p, 10_000):
        X[:, j : j + 10_000] = rng.standard_normal((n, min(10_000, p - j)))
    w = np.where(np.isin(groups.labels, rng.choice(groups.n_groups, 5, replace=False)), rng.standard_normal(p), 0.0)
    y = X @ w
    y += y.std() / 3 * rng.standard_normal(n)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))
    return problem.with_lam(ratio * so.lambda_max(problem))


@pytest.mark.parametrize("p", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_passes_over_a_wide_design(p):
    """At lambda_max / 10 columns are read at most 6 p times, the first look at X and the last certificate included."""
    problem = wide_problem(p)
    result = so.solve(problem, tol=1e-6)
    assert result.gap <= 1e-6
    assert result.passes <= 6
    assert problem.gap(result.w) <= 1.01e-6 * max(result.objective, problem.objective(0 * result.w) - result.objective)


def test_a_path_reads_less_than_one_pass_per_lambda(monkeypatch):
    """Outside the working set: the strong rule foresees what enters, and bounds settle most other groups."""
    from sparseopt._native import reading

    read, multiply = [], reading._multiply
    problem = wide_problem(4000, n=60)

    def counted(store, v, need, *others):
        read.append(store.p if need is None else int(store.groups.sizes[need > 0].sum()))
        return multiply(store, v, need, *others)

    monkeypatch.setattr(reading, "_multiply", counted)
    path = so.solve_path(problem, 60, 0.1, tol=1e-6)
    assert 0 < sum(read) < 60 * 4000
    assert sum(result.n_iter for result in path) < 90
    for result in path[::10]:
        at = problem.with_lam(result.lam)
        scale = max(result.objective, problem.objective(0 * result.w) - result.objective)
        assert at.gap(result.w) <= 1.01e-6 * scale


@pytest.mark.parametrize("loss", [so.LeastSquares, so.Logistic, so.Huber])
@pytest.mark.parametrize("shape", [(60, 30), (30, 90)])
def test_small_designs_are_read_as_a_whole(loss, shape, monkeypatch):
    """Fewer rounds and other sums, the same solution; the gap is that of the data."""
    from sparseopt._native import reading

    rng = np.random.default_rng(4)
    X, groups = np.asfortranarray(rng.standard_normal(shape)), so.Groups.uniform(shape[1] // 3, 3)
    problem = so.Problem(X, loss(np.sign(X[:, 0] + 0.5 * rng.standard_normal(shape[0]))), so.GroupLasso(1.0, groups))
    problem = problem.with_lam(0.2 * so.lambda_max(problem))
    by_bounds = so.solve(problem, tol=1e-10)
    monkeypatch.setattr(reading, "SMALL", X.size + 1)
    whole = so.solve(problem, tol=1e-10)
    assert whole.n_iter <= by_bounds.n_iter
    assert problem.gap(whole.w) <= 1.01e-10 * max(whole.objective, problem.objective(0 * whole.w) - whole.objective)
    assert whole.objective == pytest.approx(by_bounds.objective, rel=2e-10)


PENALTIES = {
    "positive": lambda groups: so.GroupLasso(1.0, groups, positive=True),
    "sparse group": lambda groups: so.SparseGroupLasso(1.0, groups, l1_ratio=0.5),
    "elastic net": lambda groups: so.GroupElasticNet(1.0, groups, l2=0.1),
    "mcp": lambda groups: so.GroupMCP(1.0, groups),
}


@pytest.mark.parametrize("penalty", PENALTIES)
def test_nor_under_other_penalties(penalty, monkeypatch):
    """The gaps and violations are those of the whole gradient all the same."""
    from sparseopt._native.reading import Reading

    read, renewed = [], Reading._renewed
    problem = wide_problem(1000, n=60, size=5)
    problem = problem.with_penalty(PENALTIES[penalty](problem.penalty.groups))

    def counted(self, now, need, threads, ask):
        read.append(5 * np.count_nonzero(need))
        return renewed(self, now, need, threads, ask)

    monkeypatch.setattr(Reading, "_renewed", counted)
    path = so.solve_path(problem, 50, 0.1, tol=1e-6)
    assert sum(read) < 1000 * len(path)
    for result in path[::10]:
        at_lam = problem.with_lam(result.lam)
        assert at_lam.violation(result.w) == pytest.approx(result.violation, rel=1e-6, abs=1e-12)
        if at_lam.convex:
            scale = max(result.objective, problem.objective(np.zeros(1000)) - result.objective)
            assert at_lam.gap(result.w) == pytest.approx(result.gap * scale, rel=1e-6, abs=1e-13)


@pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix])
def test_short_passes_take_one_thread(form, monkeypatch):
    from sparseopt._native import reading

    seen, multiply = [], reading.core.bcd_gradient
    store = store_of(form(np.asfortranarray(np.ones((20, 120)))), so.Groups.uniform(40, 3))
    monkeypatch.setattr(reading.core, "bcd_gradient", lambda *args: seen.append(args[6]) or multiply(*args))
    start = reading.Reading.of(store, np.ones(20), 8)
    monkeypatch.setattr(reading, "ENTRIES_PER_THREAD", 20 * 30)
    reading.Reading.of(store, np.ones(20), 8)
    start.at(np.zeros(20), np.full(40, np.inf), np.arange(40) < 25, 8, never)
    assert seen == [1, 4, 2, 1]
