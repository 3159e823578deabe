"""Branch and bound against enumeration, exact instances and planted groups."""

from __future__ import annotations

import importlib
import itertools
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparseopt as so
from sparseopt.solvers import BranchAndBound, branch_and_bound
from sparseopt.solvers.relaxation import relax

E1_DESIGN = np.array([[1, 0, 2 / 3], [0, 1, 2 / 3], [0, 0, 1 / 3]])


def planted(seed, penalty, *, groups=8, size=2, n=20, active=2, ratio=5.0, **datafit):
    """Gaussian design, `active` Gaussian groups, signal-to-noise `ratio`; penalty(noise level) makes the penalty."""
    rng = np.random.default_rng(seed)
    partition = so.Groups.uniform(groups, size)
    X = rng.standard_normal((n, partition.n_features))
    w = np.zeros(partition.n_features)
    for g in rng.choice(groups, active, replace=False):
        w[partition.members(g)] = rng.standard_normal(size)
    signal = X @ w
    noise = float(np.sqrt(signal.var() / ratio))
    y = signal + noise * rng.standard_normal(n)
    return so.Problem(X, so.LeastSquares(y, **datafit), penalty(noise**2 / (2 * n), partition))


def l0(level, groups, weights="none"):
    return so.GroupL0(12 * level, groups, weights=weights)


def mcp(level, groups):
    return so.GroupMCP(np.sqrt(12 * level * 2 / 3), groups, weights="none")


def scad(level, groups):
    return so.GroupSCAD(np.sqrt(12 * level * 2 / 4.7), groups, weights="none")


def enumerated(problem):
    """The minimum of a group-l0 problem over all supports, by least squares on each."""
    penalty, best = problem.penalty, np.inf
    for k in range(penalty.groups.n_groups + 1):
        for support in itertools.combinations(range(penalty.groups.n_groups), k):
            columns = np.flatnonzero(np.isin(penalty.groups.labels, support))
            w = np.zeros(problem.n_features)
            w[columns] = np.linalg.lstsq(problem.X[:, columns], problem.datafit.target, rcond=None)[0] if k else 0.0
            value = problem.datafit.value(problem.X @ w) + penalty.lam * penalty.weights[list(support)].sum()
            best = min(best, value)
    return best


@given(seed=st.integers(0, 10**6))
def test_l0_agrees_with_enumeration_of_supports(seed):
    rng = np.random.default_rng(seed)
    sizes = {"groups": int(rng.integers(2, 8)), "size": int(rng.integers(1, 4)), "n": int(rng.integers(8, 25))}
    weights = rng.uniform(0.5, 2, sizes["groups"])
    problem = planted(seed, lambda level, groups: l0(level, groups, weights), **sizes)
    optimum = BranchAndBound().prove(problem)
    best = enumerated(problem)
    assert optimum.lower <= best + 1e-12
    assert optimum.objective >= best - 1e-12
    if sizes["groups"] * sizes["size"] <= sizes["n"]:
        assert optimum.proved
        assert optimum.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize(
    ("lam", "value"),
    [
        (Fraction(1, 10), Fraction(-97, 100)),
        (Fraction(1, 5), Fraction(-22, 25)),
        (Fraction(3, 10), Fraction(-1357, 1800)),
    ],
)
def test_certified_mcp_instance_of_the_ledger(lam, value):
    """E1: global minima by enumeration of all 125 pieces in fractions; values without the constant |y|^2 / 2."""
    groups = so.Groups.uniform(3, 1)
    H = E1_DESIGN.T @ E1_DESIGN
    penalty = so.GroupMCP(float(lam), groups, gamma=3.0, weights="none")
    problem = so.Problem.quadratic((H + H.T) / 2, E1_DESIGN.T @ np.array([1.0, 1.0, 0.0]), penalty)
    optimum = BranchAndBound(tol=1e-9).prove(problem)
    assert optimum.proved, optimum.reason
    assert optimum.objective == pytest.approx(float(value), rel=1e-9)
    assert optimum.lower <= float(value) <= optimum.objective + 1e-12


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("penalty", [mcp, scad])
@pytest.mark.parametrize("seed", range(4))
def test_no_descent_from_many_starts_goes_below_the_bound(penalty, seed):
    problem = planted(seed, penalty, groups=6, size=2, n=16)
    optimum = BranchAndBound().prove(problem)
    assert optimum.proved, optimum.reason
    assert optimum.lower <= optimum.objective
    assert problem.objective(optimum.w) == pytest.approx(optimum.objective, rel=1e-10)
    rng = np.random.default_rng(seed)
    lowest = np.inf
    for _ in range(60):
        w0 = rng.standard_normal(problem.n_features) * 10.0 ** rng.uniform(-1, 1)
        lowest = min(lowest, so.solve(problem, w0=w0, tol=1e-8, max_iter=500, throw=False).objective)
    assert lowest >= optimum.lower
    assert lowest == pytest.approx(optimum.objective, rel=1e-5)


def test_scad_and_mcp_of_one_coefficient_on_a_fine_grid():
    groups = so.Groups.uniform(1, 1)
    grid = np.linspace(-6, 6, 240_001)
    for b in (0.2, 0.9, 1.7, 2.5, 5.0):
        for penalty in (so.GroupMCP(1.0, groups, gamma=0.7), so.GroupSCAD(0.8, groups, a=2.2), so.GroupL0(0.6, groups)):
            problem = so.Problem.quadratic([[1.0]], [b], penalty)
            values = 0.5 * grid**2 - b * grid + penalty.strength[0] * 0
            values = values + so.penalties.strength.value(penalty.rho, np.abs(grid), penalty.strength)
            optimum = BranchAndBound().prove(problem)
            assert optimum.proved
            assert optimum.lower <= values.min()
            assert optimum.objective == pytest.approx(values.min(), abs=1e-7)


def test_intercept_weights_and_groups_without_penalty_or_forced_out():
    weights = np.array([1.0, 0.0, np.inf, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(3)
    problem = planted(
        5,
        lambda level, groups: l0(level, groups, weights),
        groups=6,
        n=24,
        intercept=True,
        sample_weight=rng.uniform(0.5, 2, 24),
    )
    optimum = BranchAndBound().prove(problem)
    assert optimum.proved
    active = problem.penalty.groups.active(optimum.w)
    assert 1 in active
    assert 2 not in active
    best = np.inf
    for kept in itertools.product([False, True], repeat=4):
        chosen = [1, *(g for g, k in zip([0, 3, 4, 5], kept, strict=True) if k)]
        columns = np.flatnonzero(np.isin(problem.penalty.groups.labels, chosen))
        share = problem.datafit.share
        A, t = problem.X[:, columns], problem.datafit.y
        A, t = (A - share @ A) * np.sqrt(share)[:, None], (t - share @ t) * np.sqrt(share)
        fit = A @ np.linalg.lstsq(A, t, rcond=None)[0]
        best = min(best, 0.5 * ((t - fit) ** 2).sum() + problem.penalty.lam * sum(kept))
    assert optimum.objective == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", [1, 7, 17])
def test_penalties_far_above_the_objective_leave_no_doubt(seed):
    """What the search calls closed is relative to them too; a certificate is relative to the objective alone."""
    rng = np.random.default_rng(seed)
    X, y, groups = rng.standard_normal((2, 6)), rng.standard_normal(2), so.Groups.uniform(6, 1)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupMCP(1.0, groups, gamma=10.0, weights="none"))
    problem = problem.with_lam(0.9 * np.abs(problem.gradient_at_zero).max())
    certificate = so.certify.global_gap(problem, so.solve(problem, tol=1e-9).w, tol=1e-5)
    assert certificate.verdict == "proved", certificate.reason


def test_the_node_limit_leaves_a_gap_and_a_reason():
    problem = planted(0, l0, groups=20, size=3, n=40, ratio=1.0)
    optimum = BranchAndBound(node_limit=2).prove(problem)
    assert not optimum.proved
    assert optimum.lower < optimum.objective
    assert "2 nodes" in optimum.reason


def test_a_time_limit_that_is_none_is_refused():
    with pytest.raises(ValueError, match="time_limit is -1"):
        so.solvers.BranchAndBound(time_limit=-1)


def test_solve_runs_the_search():
    problem = planted(1, mcp)
    result = so.solve(problem, BranchAndBound(), tol=1e-6)
    assert result.objective == pytest.approx(BranchAndBound().prove(problem).objective)


def test_other_losses_and_penalties_are_refused():
    problem = planted(1, mcp)
    with pytest.raises(ValueError, match="GroupLogSum is none of"):
        BranchAndBound().prove(problem.with_penalty(so.GroupLogSum(1.0, problem.penalty.groups)))
    logistic = so.Problem(problem.X, so.Logistic(np.arange(20) % 2), problem.penalty)
    with pytest.raises(ValueError, match="Logistic is neither"):
        BranchAndBound().prove(logistic)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [l0, mcp, scad])
def test_forty_groups_of_three_with_a_hundred_samples(penalty):
    """p = 120 > n; the noise level is multiplied so that the penalty of a group is 17 sigma^2 / (2 n)."""
    problem = planted(0, lambda level, groups: penalty(17 / 12 * level, groups), groups=40, size=3, n=100, active=5)
    start = time.process_time()
    optimum = BranchAndBound().prove(problem)
    assert optimum.proved, optimum.reason
    print(f"{time.process_time() - start:.1f} CPU seconds, {optimum.nodes} nodes")  # a report, never a timed test


def test_without_threadpoolctl_the_search_is_the_same(monkeypatch):
    """BLAS keeps its threads then, and nothing else changes."""
    problem = planted(3, mcp)
    limited = BranchAndBound().prove(problem)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)  # importing it raises ImportError
    with pytest.raises(ImportError):
        importlib.import_module("threadpoolctl")
    free = BranchAndBound().prove(problem)
    assert limited.proved
    assert free.proved
    assert free.objective == pytest.approx(limited.objective, rel=1e-9)


def test_blas_has_one_thread_during_the_search_and_its_own_number_afterwards(monkeypatch):
    """As threadpoolctl sees it, which is a dependency of scikit-learn."""
    control = pytest.importorskip("threadpoolctl")
    seen = []
    monkeypatch.setattr(branch_and_bound, "relax", lambda *a, **k: seen.append(threads(control)) or relax(*a, **k))
    with control.threadpool_limits(2):
        before = threads(control)
        BranchAndBound().prove(planted(3, mcp))
        assert threads(control) == before
    assert seen
    assert all(count == {1} for count in seen)


def threads(control):
    """Numbers of threads of the BLAS libraries that are loaded."""
    return {pool["num_threads"] for pool in control.threadpool_info() if pool["user_api"] == "blas"}
