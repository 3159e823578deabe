"""Paths of small problems in one run, against certificates and solutions one at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from instances import LOSSES
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt.solvers.descent_path import DescentPath

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")


def instance(loss="squares", sizes=(5, 1, 3, 4) * 8, n=60, as_sparse=False, **options):
    rng = np.random.default_rng(1)
    groups = so.Groups.from_sizes(sizes)
    X = rng.standard_normal((n, groups.n_features))
    w = np.where(groups.labels % 5 == 1, rng.standard_normal(groups.n_features), 0.0)
    datafit = LOSSES[loss](X @ w / 2, rng, **options)
    X = sparse.csc_matrix(np.where(rng.random(X.shape) < 0.5, X, 0.0)) if as_sparse else np.asfortranarray(X)
    return so.Problem(X, datafit, so.GroupLasso(1.0, groups))


def count(monkeypatch):
    """How many strengths are left to `solve`."""
    from sparseopt import path

    calls = []
    original = path.solve
    monkeypatch.setattr(path, "solve", lambda *args, **named: calls.append(args) or original(*args, **named))
    return calls


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("options", [{}, {"intercept": True}, {"sample_weight": np.linspace(0.5, 2, 60)}], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_solution_is_certified(monkeypatch, loss, options, as_sparse):
    problem = instance(loss, as_sparse=as_sparse, **options)
    assert DescentPath.treats(problem, several=True)
    calls = count(monkeypatch)
    path = so.solve_path(problem, 15)
    assert len(path) == 15
    assert not calls
    for result in path:
        at_lam = problem.with_lam(result.lam)
        assert so.certify.duality_gap(at_lam, result.latent, tol=1e-6, level="ball").proved
        np.testing.assert_allclose(result.objective, at_lam.objective(result.latent), rtol=1e-12)
        np.testing.assert_allclose(result.violation, at_lam.violation(result.latent), rtol=1e-6, atol=1e-12)
        z = problem.X @ result.latent
        np.testing.assert_allclose(result.intercept, problem.datafit.intercept(z), rtol=1e-9, atol=1e-12)


def test_strengths_at_will_and_in_any_distance():
    """Equal ones, long leaps and tiny steps: the line through two solutions may lead anywhere."""
    problem = instance()
    top = so.lambda_max(problem)
    lams = top * np.array([2.0, 1.0, 1.0, 0.999999, 0.5, 0.5, 0.1, 0.0999, 0.01, 0.001])
    for result in so.solve_path(problem, lams=lams, tol=1e-9):
        at_lam = problem.with_lam(result.lam)
        assert so.certify.duality_gap(at_lam, result.latent, tol=1e-9, level="ball").proved


def test_the_penalty_given_keeps_its_strengths():
    problem = instance()
    before = problem.penalty.strength.copy()
    so.solve_path(problem, 10)
    np.testing.assert_array_equal(problem.penalty.strength, before)


def test_solutions_do_not_share_memory():
    path = list(so.solve_path(instance(), 6))
    path[2].w[:] = np.nan
    assert all(np.isfinite(result.w).all() for i, result in enumerate(path) if i != 2)


def test_what_one_run_cannot_prove_is_left_to_solve(monkeypatch):
    from sparseopt.solvers import descent_path

    problem = instance()

    def doubted(problem, w, z):
        used = np.count_nonzero(w, axis=1)
        return (used > 10) & (used < 60)

    monkeypatch.setattr(descent_path, "each_cancels", doubted)
    calls = count(monkeypatch)
    path = so.solve_path(problem, 20)
    assert 0 < len(calls) < 20
    for result in path:
        at_lam = problem.with_lam(result.lam)
        assert so.certify.duality_gap(at_lam, result.latent, tol=1e-6, level="ball").proved


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("after", [1, 2, 5, 12])
def test_time_limit(monkeypatch, loss, after):
    """Late at the k-th question: before a call, or between two strengths and two models within one."""
    from sparseopt.solvers import descent_path

    asked = []
    monkeypatch.setattr(descent_path, "past", lambda end: lambda: asked.append(end) or len(asked) > after)
    problem = instance(loss)
    path = so.solve_path(problem, 20, time_limit=1e-3, throw=False)
    assert path.results[-1].status in (so.Status.TIME_LIMIT, so.Status.CONVERGED)
    assert len(path) + len(path.unreached) == 20
    for result in path.results[:-1]:
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.latent, tol=1e-6, level="ball").proved


@pytest.mark.parametrize("loss", LOSSES)
def test_a_strength_that_falls_short_in_the_call_is_left_to_rounds(monkeypatch, loss):
    from sparseopt.solvers import descent_path
    from sparseopt.solvers.frames import steps_on

    monkeypatch.setattr(descent_path, "steps_on", lambda loss, **changes: steps_on(loss, **changes | {"models": 1}))
    monkeypatch.setattr(descent_path, "MAX_EPOCHS", 2)
    problem, calls, rounds = instance(loss), count(monkeypatch), []
    original = DescentPath._by_rounds
    monkeypatch.setattr(DescentPath, "_by_rounds", lambda *args: rounds.append(original(*args)) or rounds[-1])
    path = so.solve_path(problem, 15)
    assert len(rounds) > 5
    assert not calls
    for result in path:
        at_lam = problem.with_lam(result.lam)
        assert so.certify.duality_gap(at_lam, result.latent, tol=1e-6, level="ball").proved
        np.testing.assert_allclose(result.objective, at_lam.objective(result.latent), rtol=1e-12)


def test_no_strength_is_begun_after_the_time_limit():
    path = so.solve_path(instance(), 20, time_limit=1e-9, throw=False)
    assert path.results[-1].status is so.Status.TIME_LIMIT
    assert len(path) + len(path.unreached) == 20
    assert len(path) < 20


def test_strengths_whose_squares_underflow():
    problem = instance()
    problem = so.Problem(problem.X * 1e-150, problem.datafit, problem.penalty)
    for result in so.solve_path(problem, 10, 1e-6):
        at_lam = problem.with_lam(result.lam)
        assert so.certify.duality_gap(at_lam, result.latent, tol=1e-6, level="ball").proved


@pytest.mark.parametrize("deviance", [0.3, 0.6])
def test_ends_where_the_deviance_is_explained(deviance):
    problem = instance()
    path = so.solve_path(problem, 40, max_deviance=deviance)
    assert len(path) < 40


@pytest.mark.parametrize("loss", ["logistic"])
def test_one_strength_takes_the_steps_of_a_round(loss):
    problem = instance(loss)
    problem = problem.with_lam(so.lambda_max(problem) / 7)
    assert DescentPath.treats(problem, several=False)
    at_once, by_rounds = so.solve(problem), so.solve(problem, callback=lambda state: None)
    np.testing.assert_array_equal(at_once.w, by_rounds.w)
    assert at_once.n_iter == by_rounds.n_iter == 1
    assert at_once.passes == by_rounds.passes - 1  # which read all of X at 0 once more
    assert at_once.gap == by_rounds.gap
    assert at_once.history.objective[-1] == by_rounds.history.objective[-1]


@pytest.mark.parametrize("loss", ["squares", "outputs"])
def test_squares_are_looked_at_where_sweeps_should_have_reached_the_gap(loss):
    """Once at the start, whose gradient is known, and once at the end, not after the sweeps as well."""
    problem = instance(loss)
    problem = problem.with_lam(so.lambda_max(problem) / 7)
    at_once, by_rounds = so.solve(problem), so.solve(problem, callback=lambda state: None)
    assert at_once.passes < by_rounds.passes - 1
    assert so.certify.duality_gap(problem, at_once.latent, tol=1e-6, level="ball").proved


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_kept_eigenbases_change_no_bit(loss, as_sparse):
    """The second path finds those that the first one made."""
    problem = instance(loss, as_sparse=as_sparse)
    first, second = (so.solve_path(problem, 15, tol=1e-9) for _ in range(2))
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before.latent, after.latent)
        assert before.objective == after.objective


def test_norms_whose_squares_underflow():
    """Coefficients of 1e-200, for columns of 1e150: at one strength, and from the Gram matrix."""
    rng = np.random.default_rng(0)
    X, y = 1e150 * rng.standard_normal((60, 6)), 1e-50 * rng.standard_normal(60)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.from_sizes((2, 1, 3))))
    single = so.solve(problem.with_lam(0.3 * so.lambda_max(problem)))
    for result in (single, *so.solve_path(problem, 5)):
        at_lam = problem.with_lam(result.lam)
        assert so.certify.duality_gap(at_lam, result.w, tol=2e-6, level="ball").proved
        assert result.objective == pytest.approx(at_lam.objective(result.w), rel=1e-12, abs=0)
        assert result.history.n_active[-1] == len(problem.penalty.groups.active(result.w))


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_groups_that_are_likely_to_be_0_are_read_once(loss, as_sparse):
    """Along a dense grid, where nearly all groups stay 0; each solution is proved by all of them."""
    problem = instance(loss, sizes=(2,) * 1500, n=40, as_sparse=as_sparse)
    path = so.solve_path(problem, 40, ratio=0.3, tol=1e-5)
    assert np.mean([result.passes for result in path]) < 1.5
    for result in path.results[::13]:
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.latent, tol=1e-5).proved


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("loss", LOSSES)
def test_groups_that_bounds_settle_are_not_read_again(loss):
    """One group is active: the gradient moves less between strengths than most others are from their limits."""
    rng = np.random.default_rng(5)
    X = np.asfortranarray(rng.standard_normal((400, 1000)))
    datafit = LOSSES[loss](X[:, :4] @ [1.0, -1.0, 1.0, 0.5], rng)
    problem = so.Problem(X, datafit, so.GroupLasso(1.0, so.Groups.uniform(250, 4)))
    path = so.solve_path(problem, 20, ratio=0.4, tol=1e-5)
    assert np.mean([result.passes for result in path]) < 0.5
    for result in path:
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.latent, tol=1e-5).proved


def test_sweeps_on_a_model_end_where_the_gap_is_expected():
    problem = instance("logistic", sizes=(5,) * 60, n=150)
    problem = problem.with_lam(0.3 * so.solve_path(problem, 1).results[0].lam)
    rough, fine = (so.solve(problem, tol=tol) for tol in (0.1, 0.01))
    assert rough.passes < fine.passes
    for result, tol in ((rough, 0.1), (fine, 0.01)):
        assert so.certify.duality_gap(problem, result.w, tol=tol).proved


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("loss", LOSSES)
def test_groups_that_enter_against_the_strong_rule_are_found(loss):
    """Pairs of columns, nearly opposite: as one of them moves, the gradient of the other one moves as far."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 300))
    X[:, 150:] = 0.3 * X[:, :150] + 0.95 * rng.standard_normal((40, 1)) + 0.1 * X[:, 150:]
    datafit = LOSSES[loss](X[:, :10] @ rng.standard_normal(10), rng)
    problem = so.Problem(np.asfortranarray(X), datafit, so.GroupLasso(1.0, so.Groups.uniform(300, 1)))
    for result in so.solve_path(problem, 60, ratio=1e-3, tol=1e-8):
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.latent, tol=1e-8).proved


@pytest.mark.parametrize("seed", [16, 41, 211])
def test_a_group_that_the_strong_rule_leaves_out_enters(seed):
    """Columns of very different lengths on a coarse grid: its gradient is below what the rule asks for before."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 300)) * np.exp(rng.standard_normal(300))
    y = X[:, :10] @ rng.standard_normal(10)
    problem = so.Problem(np.asfortranarray(X), so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(300, 1)))
    path = so.solve_path(problem, 20, ratio=1e-3, tol=1e-9).results
    against = 0
    for before, now in pairwise(path):
        pull = np.abs(problem.gradient(before.w))
        against += np.count_nonzero((before.w == 0) & (np.abs(now.w) > 1e-6) & (pull < 2 * now.lam - before.lam))
        assert so.certify.duality_gap(problem.with_lam(now.lam), now.w, tol=2e-9).proved
    assert against > 0
