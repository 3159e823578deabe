"""Quadratic models of tall problems, minimised from the Gram matrix of the few columns that may move."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info, reading
from sparseopt._native.newton import End, newton_steps
from sparseopt._native.reading import padded
from sparseopt.solvers import GroupBCD, frames
from sparseopt.solvers.descent import GroupDescent
from sparseopt.solvers.descent_path import DescentPath

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")


def tall(loss=so.Logistic, n=260, sizes=(5, 1, 3, 4, 5), X=None, lam=0.1, **options):
    rng = np.random.default_rng(2)
    groups = so.Groups.from_sizes(sizes)
    p = groups.n_features
    X = np.asfortranarray(rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))) if X is None else X
    eta = X[:, : p // 2].astype(float) @ np.linspace(-1, 1, p // 2) / max(1.0, np.abs(X).max())
    y = rng.poisson(np.exp(eta)) if loss is so.Poisson else np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), 1, -1)
    problem = so.Problem(X, loss(y, **options), so.GroupLasso(1.0, groups))
    return problem.with_lam(lam * so.lambda_max(problem))


def run_of(problem):
    run = GroupDescent(problem, np.zeros(problem.n_features), GroupBCD())
    run.working = run.may_move
    return run


OPTIONS = {
    "plain": {},
    "intercept": {"intercept": True},
    "weights": {"sample_weight": np.where(np.arange(260) % 9 == 0, 0.0, np.linspace(0.2, 2, 260)), "intercept": True},
    "offset": {"offset": np.linspace(-1, 1, 260)},
}


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("loss", [so.Logistic, so.Poisson])
def test_the_model_is_minimised(loss, options, dtype):
    """Over the groups that may move at the point, the others held at 0."""
    problem = tall(loss, **OPTIONS[options])
    problem = so.Problem(np.asfortranarray(problem.X, dtype=dtype), problem.datafit, problem.penalty)
    frame, run = frames.frame_of(problem), run_of(problem)
    run.frame._steps(run, 0.0, np.inf, 1)
    w, z = run.by_position.copy(), run.z
    frame.inner.set_coefficients(w)
    limits = frames.STEPS._replace(models=1, anderson=5, scored=False)
    groups, scores = np.arange(problem.penalty.groups.n_groups), np.zeros(problem.penalty.groups.n_groups)
    done, point = newton_steps(frame.inner, frame.loss, groups, scores, padded(z), limits, lambda: False)
    assert done.models == 1

    weights, X = frames.loss_curvature(problem.datafit, z), problem.X.astype(float)
    gradient = X.T @ problem.datafit.gradient(z)
    centred = X - (weights @ X / weights.sum() if problem.datafit.fit_intercept else 0.0)
    H = centred.T @ (weights[:, None] * centred)
    open_ = (run.norms > 0) | (problem.penalty.critical_lams(-gradient) > problem.penalty.lam)
    columns = np.flatnonzero(open_[problem.penalty.groups.labels])
    assert len(columns) > 0
    H, b = H[np.ix_(columns, columns)], (H @ w[:, 0] - gradient)[columns]
    model = so.Problem.quadratic((H + H.T) / 2, b, problem.penalty.restrict(np.flatnonzero(open_)))
    lowest = so.solve(model, so.solvers.FISTA(), tol=1e-13, throw=False).w
    np.testing.assert_allclose(point.w[columns, 0], lowest, atol=1e-5 * np.abs(lowest).max())


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("loss", [so.Logistic, so.Poisson])
def test_solutions_are_certified(loss, options):
    problem = tall(loss, **OPTIONS[options])
    for tol in (1e-6, 1e-11):
        for result in so.solve_path(problem, 5, tol=tol):
            at_lam = problem.with_lam(result.lam)
            assert so.certify.duality_gap(at_lam, result.w, tol=2 * tol, level="ball").proved


def ugly():
    X = tall().X
    rng = np.random.default_rng(0)
    yield "twins", np.hstack([X[:, :9], X[:, :9]])
    yield "nearly twins", np.hstack([X[:, :9], X[:, :9] * (1 + 1e-12) + 1e-12 * rng.standard_normal((260, 9))])
    yield "zero columns", np.where(np.arange(18) % 4 == 0, 0.0, X)
    yield "twelve orders of magnitude", X * np.logspace(-6, 6, 18)
    yield "huge", X * 1e120
    yield "tiny", X * 1e-120


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("loss", [so.Logistic, so.Poisson])
def test_ugly_columns(loss, case):
    name, X = list(ugly())[case]
    problem = tall(loss, X=np.asfortranarray(X), lam=0.05)
    result = so.solve(problem)
    assert so.certify.duality_gap(problem, result.w, tol=2e-6).proved, name


def test_interrupted_within_the_gram_matrix():
    """A question comes every 2e8 multiply-adds; the point is then as it was."""
    problem = tall(n=40_000, sizes=(6,) * 16, lam=0.01)
    run = run_of(problem)
    run.frame._steps(run, 0.0, np.inf, 2)
    before, asked = run.value, []
    run.ask = lambda: bool(asked.append(None)) or len(asked) > 1
    made, why, _ = run.frame._steps(run, 0.0, np.inf, 3)
    assert why is End.INTERRUPTED
    assert made <= 1
    assert run.value <= before * (1 + 1e-12)


@pytest.mark.parametrize("loss", [so.Logistic, so.Poisson])
def test_few_columns_and_many_samples_take_one_call(monkeypatch, loss):
    """However many entries there are; with as many columns as samples, or squares, only where they are few."""
    monkeypatch.setattr(reading, "SMALL", 0)
    problem = tall(loss)
    assert DescentPath.treats(problem, several=True)
    for result in so.solve_path(problem, 12):
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.w, tol=1e-6).proved
    assert not DescentPath.treats(tall(loss, n=20), several=True)
    squares = so.Problem(problem.X, so.LeastSquares(problem.datafit.y), problem.penalty)
    assert not DescentPath.treats(squares, several=True)


def test_sparse_columns_are_swept():
    problem = tall()
    X = sparse.csc_matrix(np.where(np.abs(problem.X) > 0.8, problem.X, 0.0))
    dense, thin = (so.Problem(x, problem.datafit, problem.penalty) for x in (X.toarray(order="F"), X))
    assert so.solve(dense, tol=1e-10).objective == pytest.approx(so.solve(thin, tol=1e-10).objective, rel=1e-9)


@pytest.mark.parametrize("loss", [so.Logistic, so.Poisson])
def test_eigenbases_made_after_a_model_change_no_bit(loss):
    """Supports that grow beyond their Gram matrix are swept from a point that was found without eigenbases."""
    problem = tall(loss, sizes=(5, 1, 3, 4) * 9)
    first, second = (so.solve_path(problem, 15) for _ in range(2))
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before.latent, after.latent)


def test_groups_larger_than_the_compiled_loop_turns():
    """Their eigenbases do not fit into its memory: they are swept."""
    problem = tall(n=4000, sizes=(70, 20), lam=0.3, intercept=True)
    result = so.solve(problem, tol=1e-9)
    assert (result.w[:70] != 0).all()
    assert so.certify.duality_gap(problem, result.w, tol=2e-9).proved


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", OPTIONS)
def test_squares_are_their_own_model(options, dtype):
    """Solved from the Gram matrix in a few looks at X, where sweeps take dozens of passes."""
    given = {name: value if value is True else np.resize(value, 1300) for name, value in OPTIONS[options].items()}
    problem = tall(so.LeastSquares, n=1300, lam=0.01, **given)
    problem = so.Problem(np.asfortranarray(problem.X, dtype=dtype), problem.datafit, problem.penalty)
    assert DescentPath.treats(problem, several=False)
    at_once, by_rounds = so.solve(problem, tol=1e-10), so.solve(problem, tol=1e-10, callback=lambda state: None)
    assert at_once.passes < 8 < by_rounds.passes
    assert so.certify.duality_gap(problem, at_once.latent, tol=1e-10, level="ball").proved
    np.testing.assert_allclose(at_once.objective, by_rounds.objective, rtol=1e-9)
