"""Descent on columns packed to 16 bits against the descent on the columns themselves, on tall data of every kind."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import sparseopt as so
from sparseopt import first_reading
from sparseopt._native import HAS_NATIVE, build_info, reading
from sparseopt.solvers.packed import PackedFrame

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")


@pytest.fixture(autouse=True)
def small_designs_too(monkeypatch):
    """Also where products of so few columns would cost less than many sweeps."""
    monkeypatch.setattr(first_reading, "SMALLEST_SIZE", 0)
    monkeypatch.setattr(reading, "SMALL", 0)
    monkeypatch.setattr(PackedFrame, "_products_pay", lambda self, run, sweeps: False)


@pytest.fixture
def refreshes(monkeypatch):
    """How often a surrogate was lowered."""
    calls = []
    lower = PackedFrame._lower

    def counted(self, *args, **kwargs):
        calls.append(self)
        return lower(self, *args, **kwargs)

    monkeypatch.setattr(PackedFrame, "_lower", counted)
    return calls


def instance(seed=0, n=400, sizes=(10,) * 6 + (3, 7, 1, 2, 25, 4), ratio=0.05, X=None, weights="sqrt", **datafit):
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes(sizes)
    p = groups.n_features
    if X is None:
        X = rng.standard_normal((n, p)) + 0.7 * rng.standard_normal((n, 1)) + 0.3
    X = np.asfortranarray(X)
    w = np.where(np.isin(groups.labels, [0, 3, groups.n_groups - 2]), rng.standard_normal(p), 0.0)
    y = X @ (w / np.maximum(np.abs(X).max(axis=0), 1e-300)) + 0.3 * rng.standard_normal(n) + 2.0
    problem = so.Problem(X, so.LeastSquares(y, **datafit), so.GroupLasso(1.0, groups, weights))
    return problem.with_lam(ratio * so.lambda_max(problem))


def solve_unpacked(problem, monkeypatch, **options):
    other = so.Problem(problem.X, problem.datafit, problem.penalty)
    with monkeypatch.context() as patch:
        patch.setattr(first_reading, "SMALLEST_SIZE", np.inf)
        return so.solve(other, **options)


def assert_same(problem, monkeypatch, tol=1e-9):
    mine, theirs = so.solve(problem, tol=tol), solve_unpacked(problem, monkeypatch, tol=tol)
    assert so.certify.duality_gap(problem, mine.w, tol=2 * tol, level="ball").proved
    assert abs(mine.objective - theirs.objective) <= 2 * tol * max(abs(theirs.objective), 1e-300)
    return mine


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ratio", [0.3, 0.03, 0.001])
def test_agrees_with_unpacked(ratio, weighted, intercept, monkeypatch, refreshes):
    weight = np.random.default_rng(1).uniform(0, 2, 400) * (np.arange(400) % 7 > 0) if weighted else None
    problem = instance(ratio=ratio, sample_weight=weight, intercept=intercept)
    assert_same(problem, monkeypatch)
    assert refreshes
    assert problem.kept.get("packing pays", True)


@pytest.mark.parametrize("n", [390, 391, 415, 416, 417])
def test_any_number_of_rows(n, monkeypatch, refreshes):
    assert_same(instance(n=n), monkeypatch)
    assert refreshes


@pytest.mark.parametrize("sizes", [(1,) * 80, (100, 3, 1, 20), (64, 65), (7,)])
def test_any_sizes(sizes, monkeypatch, refreshes):
    assert_same(instance(n=3 * sum(sizes) + 5, sizes=sizes, intercept=True), monkeypatch)
    assert refreshes


def test_float32_and_scattered_columns(monkeypatch, refreshes):
    problem = instance()
    order = np.random.default_rng(0).permutation(problem.n_features)
    groups = so.Groups.from_labels(problem.penalty.groups.labels[order])
    X = np.asfortranarray(problem.X[:, order].astype(np.float32))
    assert_same(so.Problem(X, problem.datafit, so.GroupLasso(problem.penalty.lam, groups)), monkeypatch, tol=1e-8)
    assert refreshes


def ugly():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((400, 60))
    yield "columns over 12 orders of magnitude", X * 10.0 ** rng.uniform(-6, 6, 60), False
    yield "constant columns, with an intercept", np.where(np.arange(60) % 5 == 2, 3.0, X), True
    yield "constant columns, without", np.where(np.arange(60) % 5 == 2, 3.0, X), False
    yield "duplicate columns and groups", np.hstack([X[:, :20], X[:, :20], X[:, [0] * 20]]), False
    yield "zero columns", np.where(np.arange(60) % 3 == 0, 0.0, X), False
    yield "large means", X + 1e3, True
    yield "heavy tails", rng.standard_t(1.2, (400, 60)), False
    yield "one-hot", (rng.integers(0, 60, 400)[:, None] == np.arange(60)).astype(float), False
    yield "tiny", X * 1e-100, False
    yield "collinear to 1e-9", np.hstack([X[:, :30], X[:, :30] + 1e-9 * X[:, 30:]]), False


@pytest.mark.parametrize("ratio", [0.2, 0.01])
@pytest.mark.parametrize("case", range(10))
def test_ugly_data(case, ratio, monkeypatch, refreshes):
    name, X, intercept = list(ugly())[case]
    problem = instance(X=X, sizes=(6,) * 10, ratio=ratio, intercept=intercept)
    assert so.solve(problem, tol=1e-7).status is so.Status.CONVERGED, name
    assert_same(problem, monkeypatch, tol=1e-7)
    assert refreshes


@pytest.mark.parametrize("scale", [1e-120, 1e-30, 1e30, 1e120])
def test_size_of_the_data_does_not_matter(scale, monkeypatch):
    problem = instance()
    datafit = so.LeastSquares(problem.datafit.y * scale)
    scaled = so.Problem(problem.X, datafit, problem.penalty.with_lam(problem.penalty.lam * scale))
    result = so.solve(scaled, tol=1e-8)
    np.testing.assert_allclose(result.w / scale, so.solve(problem, tol=1e-8).w, atol=1e-4)


@pytest.mark.parametrize("weights", [[0.0, 1.0, 2.0] * 4])
def test_unpenalised_groups(weights, monkeypatch, refreshes):
    assert_same(instance(weights=np.array(weights), intercept=True), monkeypatch, tol=1e-8)
    assert refreshes


def test_columns_that_do_not_pack_are_left_as_they_are(monkeypatch, refreshes):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((400, 60)) * 1e-4
    X[rng.integers(0, 400, 60), np.arange(60)] = 30.0  # one entry of each column is all that 16 bits can tell
    problem = instance(X=X, sizes=(6,) * 10, ratio=0.01)
    assert_same(problem, monkeypatch, tol=1e-8)
    assert refreshes


def test_bits_do_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr(reading, "ENTRIES_PER_THREAD", 1)
    problem = instance(intercept=True)
    one, two = (so.solve(problem, so.solvers.GroupBCD(threads=t), tol=1e-8).w for t in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_second_fit_is_the_same():
    problem = instance()
    first, second = so.solve(problem, tol=1e-8), so.solve(problem, tol=1e-8)
    np.testing.assert_allclose(first.w, second.w, atol=1e-6)


@pytest.mark.parametrize("n", [1, 70, 2**16 + 5])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_fit_and_products_in_one_read_are_those_of_two(n, kind):
    rng, groups = (
        np.random.default_rng(n),
        so.Groups.from_labels([2, 0, 1, 2, 3, 2, 0, 4, 4, 3, 2, 2, 2, 2, 2, 2, 2, 2]),
    )
    X = np.asfortranarray(rng.standard_normal((n, 18)).astype(kind))
    problem = so.Problem(X, so.LeastSquares(rng.standard_normal(n)), so.GroupLasso(0.1, groups))
    surrogate = PackedFrame(problem).surrogate
    w, v = (
        np.where(np.isin(groups.labels[groups.index], [0, 2, 3]), rng.standard_normal(18), 0.0),
        rng.standard_normal(n),
    )
    z, products = surrogate.fit_and_products(w[:, None], v)
    np.testing.assert_array_equal(z, surrogate.descent.fit(w[:, None]))
    known = reading.Reading.of(surrogate.descent.store, v)
    np.testing.assert_array_equal(products, np.where(w != 0, known.pull[:, 0], 0.0))


@pytest.mark.parametrize("intercept", [False, True])
def test_first_pass_packs_and_multiplies(intercept):
    problem = instance(n=417, intercept=intercept)
    packed, known = problem.kept["packed"], problem.kept["reading"]
    X, groups = problem.X, problem.penalty.groups
    plain = reading.Reading.of(known.store, known.anchors[0][0, :417])
    np.testing.assert_array_equal(known.pull, plain.pull)
    np.testing.assert_array_equal(known.norms, plain.norms)
    centred = X - X.mean(axis=0) if intercept else X
    lines = packed.values.reshape(-1, 16, 2).astype(float)  # of one column each: rows 0, 16, 1, 17, ...
    for g in range(groups.n_groups):
        a, k = groups.offsets[g], groups.sizes[g]
        rows = lines[a * packed.blocks : (a + k) * packed.blocks].reshape(packed.blocks, k, 16, 2)
        columns = rows.transpose(0, 3, 2, 1).reshape(-1, k)[:417] * packed.scale[a : a + k] * 65536
        here = centred[:, a : a + k]
        assert 0.4 * packed.error[g] < np.linalg.norm(columns - here) <= packed.error[g]
        np.testing.assert_allclose(packed.frobenius[g], np.linalg.norm(here), rtol=1e-3)
        assert np.linalg.norm(X[:, a : a + k]) <= packed.lengths[g] <= 1.001 * np.linalg.norm(X[:, a : a + k])


@pytest.mark.parametrize("kind", ["plain", "intercept", "weights", "heavy tails", "row-major"])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_from_packed_columns_are_within_their_bounds(kind, seed, monkeypatch):
    """Of all groups, also those outside the working set; and the bounds settle the zeros, which are not read again."""
    rng, seen, active = np.random.default_rng(seed), [], []
    X = rng.standard_t(2.2, (400, 102)) if kind == "heavy tails" else None
    weight = rng.uniform(0.5, 2, 400) if kind == "weights" else None
    problem = instance(seed, X=X, ratio=0.3, intercept=kind == "intercept", sample_weight=weight)
    if kind == "row-major":
        problem = so.Problem(np.ascontiguousarray(problem.X), problem.datafit, problem.penalty)
    move = PackedFrame._move

    def checked(self, run):
        out = move(self, run)
        true = problem.X.T @ run.force
        off = problem.penalty.groups.norms(self.surrogate.renewed - true)
        assert (off <= self.uncertain + 1e-13 * np.abs(true).max()).all()
        seen.append(np.isfinite(self.uncertain).any())
        active.append(self.store.groups.sizes[run.norms > 0].sum())
        return out

    monkeypatch.setattr(PackedFrame, "_move", checked)
    result = so.solve(problem, tol=1e-8)
    assert seen
    if kind in ("plain", "intercept"):
        assert all(seen)
        assert result.passes <= 1 + len(seen) * max(active) / problem.n_features
    if kind == "weights":
        assert not any(seen)


@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8])
def test_gap_and_violation_allow_for_what_was_not_read(tol, monkeypatch):
    """Gradients that are off by as much as their bounds say: what is reported is at least what X itself tells."""
    nearly, tilted = PackedFrame.nearly, []

    def off(self, run):
        known = nearly(self, run)
        if known is None:
            return None
        close = (run.norms > 0) & (known.slack <= known.enough)
        slack, pull = np.where(close, known.enough, known.slack), known.pull.copy()
        for g in np.flatnonzero(close):
            rows = slice(self.store.offsets[g], self.store.offsets[g + 1])
            pull[rows] *= 1 - 0.7 * slack[g] / np.linalg.norm(pull[rows])
            tilted.append(slack[g])
        return reading.Nearly(pull, slack, known.enough)

    monkeypatch.setattr(PackedFrame, "nearly", off)
    for seed in range(3):
        problem = instance(seed, intercept=seed == 1)
        result = so.solve(problem, tol=tol)
        scale = max(result.objective, problem.objective(np.zeros(problem.n_features)) - result.objective)
        assert problem.gap(result.w) <= result.gap * scale * (1 + 1e-7) + 1e-15 * scale
        assert problem.violation(result.w) <= result.violation * (1 + 1e-7) + 1e-13
    assert max(tilted) > 0


def test_predictions_hold_for_correlated_columns(refreshes):
    """Neighbours at 0.95, where the last sweep before an extrapolation says little of the gap after it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 60))
    for j in range(1, 60):
        X[:, j] = 0.95 * X[:, j - 1] + np.sqrt(1 - 0.95**2) * X[:, j]
    result = so.solve(instance(X=X, n=3000, sizes=(6,) * 10, ratio=0.1), tol=1e-6)
    assert result.n_iter == 1
    assert len(refreshes) <= 3


def test_time_limit_is_kept():
    problem = instance()
    result = so.solve(problem, tol=1e-9, time_limit=1e-9, throw=False)
    assert result.status in (so.Status.TIME_LIMIT, so.Status.CONVERGED)


SCRIPT = """
import numpy as np, sparseopt as so
from sparseopt import first_reading
from sparseopt._native import reading
first_reading.SMALLEST_SIZE = reading.SMALL = 0
rng = np.random.default_rng(0)
X = np.asfortranarray(rng.standard_normal((301, 57)))
y = X[:, :5].sum(axis=1) + rng.standard_normal(301)
penalty = so.GroupLasso(0.05, so.Groups.from_sizes([7, 10, 20, 1, 19]))
problem = so.Problem(X, so.LeastSquares(y, intercept=True), penalty)
print(" ".join(float(v).hex() for v in so.solve(problem, tol=1e-8).w))
"""


def coefficients_at(isa):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"SPARSEOPT_ISA": str(isa)},
    )
    return np.array([float.fromhex(v) for v in run.stdout.split()])


def test_instruction_sets_agree():
    available = build_info()["isa_available"]
    levels = [isa for isa in (0, 3, 4) if isa <= available]
    found = [coefficients_at(isa) for isa in levels]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-6)
    if available == 4:
        np.testing.assert_array_equal(found[1], found[2])
