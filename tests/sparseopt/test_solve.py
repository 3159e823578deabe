"""Solvers against cvxpy, statuses, history, iterates, rates, invariances and awkward data."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_problem
from scipy import sparse

import sparseopt as so
from sparseopt.range import trusted
from sparseopt.solvers import FISTA, ProximalGradient

SOLVERS = [FISTA(), FISTA(restart=False), ProximalGradient()]
EVERY_SOLVER = pytest.mark.parametrize("solver", SOLVERS, ids=["fista", "fista-plain", "ista"])


def cvxpy_optimum(problem) -> tuple[float, np.ndarray]:
    """Minimum and minimiser by a conic interior-point method, from the raw data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cvxpy = pytest.importorskip("cvxpy", reason="cvxpy is not installed")
        datafit, penalty = problem.datafit, problem.penalty
        X = problem.X.toarray() if sparse.issparse(problem.X) else problem.X
        w, b = cvxpy.Variable(X.shape[1]), cvxpy.Variable()
        share = datafit.sample_weight / datafit.sample_weight.sum()
        residual = datafit.y - datafit.offset - X @ w - (b if datafit.fit_intercept else 0)
        loss = cvxpy.sum_squares(cvxpy.multiply(np.sqrt(share / 2), residual))
        norms = [cvxpy.norm2(w[penalty.groups.members(g)]) for g in range(penalty.groups.n_groups)]
        regulariser = penalty.lam * sum(a * n for a, n in zip(penalty.weights, norms, strict=True))
        reference = cvxpy.Problem(cvxpy.Minimize(loss + regulariser))
        reference.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        return float(reference.value), np.asarray(w.value)


def varied_problem(seed: int) -> so.Problem:
    """Problem number `seed`: shapes, sparsity, weights, offsets and intercepts change with it."""
    rng = np.random.default_rng(seed)
    n, sizes = int(rng.integers(5, 25)), rng.integers(1, 5, int(rng.integers(1, 7)))
    groups = so.Groups.from_labels(rng.permutation(np.repeat(np.arange(len(sizes)), sizes)))
    X = rng.standard_normal((n, sizes.sum())) * 10.0 ** rng.uniform(-1, 1, sizes.sum())
    X = sparse.csr_array(X * (rng.uniform(size=X.shape) < 0.6)) if seed % 4 == 1 else X
    datafit = so.LeastSquares(
        rng.standard_normal(n) + 1,
        sample_weight=rng.uniform(0, 2, n) if seed % 3 == 0 else None,
        offset=rng.standard_normal(n) if seed % 5 == 0 else None,
        intercept=seed % 2 == 0,
    )
    weights = ("sqrt", "none", rng.uniform(0.2, 3, len(sizes)))[seed % 3]
    problem = so.Problem(X, datafit, so.GroupLasso(1.0, groups, weights=weights))
    return problem.with_lam(float(rng.uniform(0.02, 0.9)) * so.lambda_max(problem))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("seed", range(40))
def test_solution_is_that_of_an_interior_point_method(seed):
    """The gap bounds the distance in value; cvxpy's own accuracy, about 1e-9 relative, is the rest."""
    problem = varied_problem(seed)
    optimum, w = cvxpy_optimum(problem)
    for solver in (None, FISTA(), ProximalGradient()) if seed < 4 else (None, FISTA()):
        result = so.solve(problem, solver, tol=1e-9)
        assert result.status is so.Status.CONVERGED
        assert abs(result.objective - optimum) <= 3e-9 * (1 + optimum)
        assert result.objective == pytest.approx(problem.objective(result.w), rel=1e-12)
        fit = problem.X @ (result.w - w)
        assert problem.datafit.curvature(fit) @ fit <= 2e-8 * (1 + optimum)
        assert so.certify.duality_gap(problem, result.w, tol=2e-9).proved


@EVERY_SOLVER
def test_every_solver_reaches_a_tiny_gap(solver):
    for seed in range(4):
        problem = random_problem(seed, intercept=seed % 2 == 1)
        result = so.solve(problem, solver, tol=1e-12)
        assert result.gap <= 1e-12
        assert result.violation <= 1e-5 * problem.penalty.lam
        assert result.lam == problem.penalty.lam


def test_the_intercept_is_returned():
    problem = random_problem(0, intercept=True)
    result = so.solve(problem, tol=1e-10)
    assert result.intercept == pytest.approx(np.mean(problem.datafit.y - problem.X @ result.w), rel=1e-12)
    assert so.solve(random_problem(0)).intercept == 0


# --- how runs end


def test_max_iter_raises_with_the_result_and_pickles():
    problem = random_problem(0, ratio=0.01)
    with pytest.raises(so.NotConverged, match=r"MAX_ITER.*throw=False") as caught:
        so.solve(problem, ProximalGradient(), tol=1e-12, max_iter=3)
    result = caught.value.result
    assert (result.status, result.n_iter) == (so.Status.MAX_ITER, 3)
    assert np.isfinite(result.w).all()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, so.NotConverged)
    assert str(copy) == str(caught.value)
    assert copy.result.w.tolist() == result.w.tolist()


def test_throw_false_returns_the_best_point_seen():
    problem = random_problem(0, ratio=0.01)
    result = so.solve(problem, FISTA(), tol=1e-12, max_iter=25, throw=False)
    assert result.status is so.Status.MAX_ITER
    assert result.status.advice
    assert result.gap == result.history.gap.min() > 1e-12


def test_time_limit():
    result = so.solve(random_problem(0, ratio=0.01), FISTA(), tol=1e-15, time_limit=1e-9, throw=False)
    assert result.status is so.Status.TIME_LIMIT


@pytest.mark.parametrize("solver", [ProximalGradient(step_size=1e4), FISTA(step_size=1e4), FISTA(1e300)])
def test_a_huge_step_is_reported_as_nonfinite(solver):
    problem = random_problem(0)
    with pytest.raises(so.NotConverged, match="NONFINITE"):
        so.solve(problem, solver, tol=1e-12)
    result = so.solve(problem, solver, tol=1e-12, throw=False)
    assert result.status is so.Status.NONFINITE
    assert np.isfinite(result.w).all()
    assert np.isfinite(result.objective)


def test_an_unreachable_tolerance_is_reported_as_stalled():
    result = so.solve(random_problem(0, ratio=0.05), FISTA(), tol=0, throw=False, max_iter=20_000)
    assert result.status is so.Status.STALLED
    assert 0 < result.gap < 1e-14


def test_every_status_has_advice():
    assert {status.name for status in so.Status} == {
        "CONVERGED", "MAX_ITER", "TIME_LIMIT", "STALLED", "NONFINITE", "UNSTABLE"
    }  # fmt: skip
    assert all(len(status.advice) > 10 for status in so.Status)


def test_a_start_of_infinite_objective_is_an_error():
    with pytest.raises(ValueError, match="starting point gives a NaN or infinite objective"):
        so.solve(random_problem(0), FISTA(), w0=np.full(8, 1e300))


# --- what is seen on the way


def test_the_callback_sees_every_state_and_may_raise():
    states = []
    result = so.solve(random_problem(0), FISTA(), callback=states.append)
    assert len(states) == result.n_iter + 1
    assert states[0].w.tolist() == [0] * 8

    def stop(state):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        so.solve(random_problem(0), callback=stop)


@EVERY_SOLVER
def test_history_is_consistent(solver):
    problem = random_problem(0, ratio=0.05)
    result = so.solve(problem, solver, tol=1e-10)
    history = result.history
    columns = vars(history)
    assert {len(column) for column in columns.values()} == {len(history.iteration)}
    assert all(np.isfinite(column).all() for column in columns.values())
    for name in ("iteration", "passes"):
        assert np.all(np.diff(columns[name]) > 0)
    assert np.all(np.diff(history.seconds) >= 0)
    assert history.objective[0] == pytest.approx(problem.objective(np.zeros(8)))
    assert history.gap[-1] == result.gap <= 1e-10
    assert history.iteration[-1] == result.n_iter
    assert history.n_active[-1] == len(problem.penalty.groups.active(result.w))
    assert result.passes == history.passes[-1] >= result.n_iter


def test_verbose_prints_progress_and_changes_nothing(capfd):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    problem = random_problem(0)
    assert so.solve(problem, FISTA(), verbose=True).w.tolist() == so.solve(problem, FISTA()).w.tolist()
    assert "iterations" in capfd.readouterr().err


@EVERY_SOLVER
def test_iterate_yields_every_state(solver):
    problem, w0 = random_problem(0), np.ones(8)
    states = [state for _, state in zip(range(5), so.iterate(problem, solver, w0=w0), strict=False)]
    assert states[0].w.tolist() == [1] * 8
    for state in states:
        assert state.z == pytest.approx(problem.X @ state.w)
    assert states[-1].passes > states[0].passes
    direct = w0 - problem.gradient(w0) / problem.smoothness
    assert states[1].w == pytest.approx(problem.penalty.prox(direct, 1 / problem.smoothness))


@EVERY_SOLVER
def test_inputs_are_untouched_and_results_are_fresh(solver):
    problem, w0 = random_problem(0), np.ones(8)
    X, y = problem.X.copy(), problem.datafit.y.copy()
    result = so.solve(problem, solver, w0=w0)
    assert w0.tolist() == [1] * 8
    assert np.array_equal(problem.X, X)
    assert np.array_equal(problem.datafit.y, y)
    again = so.solve(problem, solver, w0=result.w)
    assert not np.shares_memory(again.w, result.w)
    assert again.n_iter <= result.n_iter
    assert so.solve(problem, solver, w0=w0).w.tolist() == result.w.tolist()


def test_a_start_of_integers_is_fine():
    problem = random_problem(0)
    assert so.solve(problem, w0=[1] * 8).status is so.Status.CONVERGED


# --- rates of ledger D4 on the iterates


def tight_solution(problem):
    w = so.solve(problem, FISTA(), tol=1e-15, throw=False).w
    return w, problem.objective(w)


@pytest.mark.parametrize("seed", range(5))
def test_rate_of_proximal_gradient(seed):
    """F - F* <= L |w0 - w*|^2 / (2k), F decreases, and |w_k - w*|^2 <= (1 - mu/L)^k |w0 - w*|^2."""
    problem = random_problem(seed, n=20)
    best, minimum = tight_solution(problem)
    L, mu = problem.smoothness, np.linalg.eigvalsh(problem.X.T @ problem.X / 20)[0]
    start = best @ best
    previous = np.inf
    for k, state in zip(range(60), so.iterate(problem, ProximalGradient()), strict=False):
        objective = problem.objective(state.w)
        assert objective <= previous + 1e-14
        previous = objective
        assert (state.w - best) @ (state.w - best) <= (1 - mu / L) ** k * start * (1 + 1e-9) + 1e-12
        if k:
            assert objective - minimum <= L * start / (2 * k) + 1e-13


@pytest.mark.parametrize("seed", range(5))
def test_rate_of_fista(seed):
    """F - F* <= 2 L |w0 - w*|^2 / (k + 1)^2 without restart."""
    problem = random_problem(seed, n=6, ratio=0.05)
    best, minimum = tight_solution(problem)
    for k, state in zip(range(60), so.iterate(problem, FISTA(restart=False)), strict=False):
        bound = 2 * problem.smoothness * (best @ best) / (k + 1) ** 2
        assert k == 0 or problem.objective(state.w) - minimum <= bound + 1e-13


# --- rewriting a problem does not change the answer


@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_columns_and_groups(seed):
    problem = random_problem(seed % 100)
    order = np.random.default_rng(seed).permutation(8)
    groups = so.Groups.from_labels(problem.penalty.groups.labels[order])
    other = so.Problem(problem.X[:, order], problem.datafit, so.GroupLasso(problem.penalty.lam, groups))
    assert so.solve(other, tol=1e-11).w == pytest.approx(so.solve(problem, tol=1e-11).w[order], abs=1e-4)


@pytest.mark.parametrize("factor", [2.0**-100, 2.0**-20, 2.0**30, 2.0**100])
def test_scaling_the_design_and_lam(factor):
    """X -> c X, lam -> c lam gives w / c; powers of two change no digit of FISTA."""
    problem = random_problem(0)
    other = so.Problem(factor * problem.X, problem.datafit, problem.penalty.with_lam(factor * problem.penalty.lam))
    solutions = [so.solve(q, FISTA(), tol=1e-8).w for q in (problem, other)]
    assert factor * solutions[1] == pytest.approx(solutions[0], rel=1e-12)


@pytest.mark.parametrize("factor", [2.0**-100, 2.0**-20, 2.0**30, 2.0**100])
def test_scaling_y_and_lam(factor):
    problem = random_problem(0, intercept=True)
    datafit = so.LeastSquares(factor * problem.datafit.y, intercept=True)
    other = so.Problem(problem.X, datafit, problem.penalty.with_lam(factor * problem.penalty.lam))
    solutions = [so.solve(q, FISTA(), tol=1e-8) for q in (problem, other)]
    assert solutions[1].w == pytest.approx(factor * solutions[0].w, rel=1e-12)
    assert solutions[1].intercept == pytest.approx(factor * solutions[0].intercept, rel=1e-12)


def test_groups_of_one_are_the_lasso():
    """Orthonormal columns: soft thresholding of X'y, in closed form."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((10, 4)))[0] * np.sqrt(10)
    y = rng.standard_normal(10)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(0.1, so.Groups.uniform(4, 1)))
    c = X.T @ y / 10
    expected = np.sign(c) * np.maximum(np.abs(c) - 0.1, 0)
    assert so.solve(problem, tol=1e-13).w == pytest.approx(expected, abs=1e-7)


# --- awkward data


def awkward(X, y, sizes, intercept=False, ratio=0.1):
    problem = so.Problem(X, so.LeastSquares(y, intercept=intercept), so.GroupLasso(1.0, so.Groups.from_sizes(sizes)))
    return problem.with_lam(ratio * so.lambda_max(problem))


def awkward_problems():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 8)), rng.standard_normal(20)
    zeros = X.copy()
    zeros[:, [0, 3, 4]] = 0
    return {
        "more columns than rows": awkward(X[:4], y[:4], [2, 2, 4]),
        "one sample": awkward(X[:1], y[:1], [2, 2, 4]),
        "two samples and an intercept": awkward(X[:2], y[:2], [2, 2, 4], intercept=True),
        "one column": awkward(X[:, :1], y, [1]),
        "one group": awkward(X, y, [8]),
        "zero columns and a zero group": awkward(zeros, y, [1, 2, 2, 3]),
        "duplicate columns": awkward(np.repeat(X, 2, axis=1), y, [2] * 8),
        "duplicate groups": awkward(np.hstack([X, X]), y, [4] * 4),
        "constant columns and an intercept": awkward(np.column_stack([X, np.ones(20)]), y, [4, 5], intercept=True),
        "scales over twelve orders": awkward(X * np.geomspace(1e-6, 1e6, 8), y, [2, 2, 4]),
        "y far from zero": awkward(X, y + 1e8, [2, 2, 4], intercept=True),
        "columns far from zero": awkward(X + 1e3, y, [2, 2, 4], intercept=True, ratio=0.3),
        "tiny y": awkward(X, 1e-100 * y, [2, 2, 4]),
        "huge y": awkward(X, 1e100 * y, [2, 2, 4]),
        "tiny X": awkward(1e-140 * X, y, [2, 2, 4]),
        "huge X": awkward(1e140 * X, y, [2, 2, 4]),
        "single precision": awkward(X.astype(np.float32), y.astype(np.float32), [2, 2, 4]),
        "an all-zero X": so.Problem(
            np.zeros((5, 2)), so.LeastSquares(y[:5]), so.GroupLasso(1.0, so.Groups.uniform(2, 1))
        ),
        "constant y and an intercept": so.Problem(
            X, so.LeastSquares(np.full(20, 3.3), intercept=True), so.GroupLasso(1.0, so.Groups.uniform(4, 2))
        ),
        "zero y": so.Problem(X, so.LeastSquares(np.zeros(20)), so.GroupLasso(1.0, so.Groups.uniform(4, 2))),
    }


AWKWARD = awkward_problems()


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_problems_are_solved_and_certified(name):
    problem = AWKWARD[name]
    result = so.solve(problem, tol=1e-7)
    assert result.gap <= 1e-7
    certificate = so.certify.duality_gap(problem, result.w, tol=2e-7)
    assert certificate.proved, certificate.reason


def test_zero_columns_get_zero_coefficients():
    problem = AWKWARD["zero columns and a zero group"]
    w = so.solve(problem).w
    assert w[[0, 3, 4]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("penalty", [so.GroupLogSum, so.GroupLq, so.GroupExpMask])
def test_nonconvex_problems_end_at_stationary_points(penalty):
    """Stationary only: the violation is small, and the objective is not above that of the start."""
    for seed in range(4):
        base = random_problem(seed)
        problem = base.with_penalty(penalty(0.3 * base.penalty.lam, base.penalty.groups))
        start = np.linalg.lstsq(problem.X, problem.datafit.y, rcond=None)[0]
        result = so.solve(problem, ProximalGradient(), tol=1e-8, w0=start)
        scale = base.penalty.groups.norms(problem.gradient(np.zeros(8))).max()
        assert result.violation <= 1e-8 * scale
        assert result.objective <= problem.objective(start)
        assert np.isnan(result.gap)


def test_fista_refuses_nonconvex_penalties_and_names_a_solver():
    problem = random_problem(0)
    problem = problem.with_penalty(so.GroupLogSum(0.1, problem.penalty.groups))
    with pytest.raises(ValueError, match=r"FISTA needs a convex penalty.*ProximalGradient"):
        so.solve(problem, FISTA())


@pytest.mark.parametrize("solver", [None, FISTA(), ProximalGradient()])
def test_the_inverse_sum_has_no_prox_and_says_what_to_do(solver):
    problem = random_problem(0)
    R = so.InverseSum(0.1, problem.penalty.groups, so.penalties.Power(0.5))
    with pytest.raises(ValueError, match=r"InverseSum has no .*companion.*global_gap"):
        so.solve(problem.with_penalty(R), solver)


def test_gaps_below_zero_count_by_their_size():
    """At a tolerance of 0 the rounding errors of a gap prove nothing."""
    assert trusted(-1e-15, 1e-6) == 0
    assert trusted(-1e-15, 0.0) == 1e-15
