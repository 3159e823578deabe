"""Time limits hold within a second on a clock that only evaluations of the loss move, so that no test is timed."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers import descent_path, frames
from sparseopt.unpenalised import refit

LIMIT = 1.0
TICK = 0.02
"""Seconds that an evaluation of the loss takes."""

LATEST = LIMIT + 1.0
"""A second is enough to end what was begun: steps and measurements are a few evaluations each."""


@pytest.fixture
def clock(monkeypatch):
    """Seconds so far, as a list of one number; evaluations in Python of pointwise and multinomial losses move it."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: now[0])

    def slowed(method):
        def slow(*arguments):
            now[0] += TICK
            return method(*arguments)

        return slow

    for loss in (so.Multinomial, so.datafits.pointwise.Pointwise):
        for name in ("value", "gradient"):
            monkeypatch.setattr(loss, name, slowed(getattr(loss, name)))
    for module in (frames, descent_path):  # compiled steps would ask the real clock alone
        monkeypatch.setattr(module, "compiled_loss", lambda problem: None)
    return now


def multinomial() -> so.Problem:
    """Unpenalised columns, tiny ones, that separate the classes nearly: their fit takes many steps."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    y = np.argmax(X[:, :3] + 0.01 * rng.standard_normal((40, 3)), axis=1)
    X[:, :3] *= 1e-12
    groups = so.Groups.from_sizes([3, 3])
    return so.Problem(X, so.Multinomial(y, intercept=True), so.GroupLasso(1e-3, groups, weights=[0, 1]))


def robust(penalty) -> so.Problem:
    """Of a pointwise loss."""
    rng = np.random.default_rng(1)
    return so.Problem(rng.standard_normal((30, 8)), so.Huber(rng.standard_normal(30), 0.5), penalty)


def test_the_fit_of_unpenalised_columns_ends_when_asked(clock):
    made = multinomial()
    start = clock[0]
    z, fitted = refit(made.datafit, made.X[:, :3], np.zeros((40, 3)), lambda: clock[0] > start + LIMIT)
    assert not fitted
    assert np.isfinite(z).all()
    assert clock[0] - start <= LATEST
    unlimited = refit(made.datafit, made.X[:, :3], np.zeros((40, 3)))
    assert unlimited[1] or clock[0] > start + 2 * LATEST  # or the limit would have decided nothing


@pytest.mark.parametrize("solver", [None, so.solvers.FISTA()])
def test_a_fit_within_the_gap_is_no_reason_to_be_late(clock, solver):
    made = multinomial()
    start = clock[0]
    found = so.solve(made, solver, tol=1e-12, time_limit=LIMIT, throw=False)
    assert found.status is so.Status.TIME_LIMIT
    assert clock[0] - start <= LATEST


def test_the_fit_before_a_path_counts(clock):
    with pytest.raises(ValueError, match=r"time limit was over before .* raise time_limit, or give lams"):
        so.solve_path(multinomial(), time_limit=5 * TICK)
    assert clock[0] <= 5 * TICK + 1.0


def test_the_limit_is_that_of_the_whole_path(clock):
    made = multinomial()
    lams = np.geomspace(1.0, 1e-3, 20)
    start = clock[0]
    path = so.solve_path(made, lams=lams, tol=1e-12, time_limit=LIMIT, throw=False)
    assert clock[0] - start <= LATEST
    assert len(path) + len(path.unreached) == 20
    assert path[-1].status is so.Status.TIME_LIMIT
    with pytest.raises(so.path.PathNotConverged, match=r"not reached"):
        so.solve_path(made, lams=lams, tol=1e-12, time_limit=LIMIT)


def test_cross_validation_keeps_what_all_folds_reached(clock):
    made = robust(so.GroupLasso(1.0, so.Groups.uniform(4, 2)))
    start = clock[0]
    whole = so.solve_path(made, 12, tol=1e-8)
    spent = clock[0] - start
    folds = so.selection.cross_validate(made, 3, n_lambdas=12, tol=1e-8, time_limit=1.5 * spent, throw=False)
    assert clock[0] - start <= 2.5 * spent + 3 * LATEST
    assert 1 <= len(folds.lams) < 12
    assert folds.losses.shape == (len(folds.lams), 3)
    assert np.array_equal([*folds.lams, *folds.path.unreached], whole.lams)
    with pytest.raises(so.path.PathNotConverged):
        so.selection.cross_validate(made, 3, n_lambdas=12, tol=1e-8, time_limit=1.5 * spent)
    for wrong in (0.0, -1.0, "long"):
        with pytest.raises(ValueError, match=r"time_limit is .* give positive seconds"):
            so.selection.cross_validate(made, 3, time_limit=wrong)


def test_stability_selection_counts_what_all_halves_reached(clock):
    made = robust(so.GroupLasso(1.0, so.Groups.uniform(4, 2)))
    found = so.selection.stability_selection(made, n_pairs=2, n_lambdas=12, tol=1e-8, time_limit=LIMIT, throw=False)
    assert clock[0] <= LIMIT + 8 * LATEST
    assert 1 <= len(found.lams) < 12
    assert found.frequencies.shape == (len(found.lams), 4)


def test_reweighted_problems_end_with_the_run(clock):
    made = robust(so.GroupMCP(1e-3, so.Groups.uniform(4, 2)))
    start = clock[0]
    found = so.solve(made, so.solvers.ReweightedGroupLasso(), w0=np.ones(8), tol=1e-14, time_limit=LIMIT, throw=False)
    assert found.status is so.Status.TIME_LIMIT
    assert clock[0] - start <= LATEST


SEPARATED = np.random.default_rng(2).standard_normal((40, 6))


@pytest.mark.parametrize(
    "solver",
    [so.solvers.IHT(debias=True), so.solvers.GroupOMP(), so.solvers.OMPR(), so.solvers.ADMM(rho=1e-6)],
    ids=lambda solver: type(solver).__name__,
)
def test_fits_within_a_step_end_with_the_run(clock, solver):
    """The first three columns separate the classes: each fit of them takes tens of Newton steps."""
    y = np.argmax(SEPARATED[:, :3], axis=1)
    groups = so.Groups.uniform(2, 3)
    kept = so.GroupLasso(1e-6, groups) if isinstance(solver, so.solvers.ADMM) else so.sets.TopGroups(1, groups)
    made = so.Problem(SEPARATED, so.Multinomial(y, intercept=True), kept)
    start = clock[0]
    found = so.solve(made, solver, w0=np.ones((6, 3)), tol=1e-14, time_limit=LIMIT / 4, throw=False)
    assert found.status is so.Status.TIME_LIMIT
    assert clock[0] - start <= LIMIT / 4 + 1.0


@pytest.mark.parametrize("penalty", [so.GroupL0, so.GroupLq])
def test_the_search_for_a_start_ends_with_the_run(clock, penalty):
    y = np.argmax(SEPARATED[:, :3], axis=1)
    made = so.Problem(SEPARATED, so.Multinomial(y), penalty(1e-6, so.Groups.uniform(2, 3)))
    start = clock[0]
    found = so.solve(made, tol=1e-14, time_limit=LIMIT / 4, throw=False)
    assert found.status is so.Status.TIME_LIMIT
    assert clock[0] - start <= LIMIT / 4 + 1.0


def test_a_refit_ends_with_its_limit(clock):
    made = multinomial()
    start = clock[0]
    found = so.selection.refit_on_support(made, np.ones((6, 3)), tol=1e-12, time_limit=LIMIT, throw=False)
    assert found.status is so.Status.TIME_LIMIT
    assert clock[0] - start <= LATEST
    with pytest.raises(so.NotConverged, match="TIME_LIMIT"):
        so.selection.refit_on_support(made, np.ones((6, 3)), tol=1e-12, time_limit=LIMIT)
    with pytest.raises(ValueError, match=r"time_limit is .* give positive seconds"):
        so.selection.refit_on_support(made, np.ones((6, 3)), time_limit=-1.0)


class SlowToEnclose:
    """The linear penalty, with enclosures that take time and show nothing."""

    slope0 = 1.0

    def __init__(self, clock):
        self.clock = clock

    def value(self, t):
        return np.asarray(t) * 1.0

    slope = staticmethod(np.ones_like)
    inverse = value

    def enclose(self, low, high):
        self.clock[0] += TICK / 100
        return (low, high), (0.5, 1.5), (-1.0, 1.0)


def quadratic(penalty=None) -> so.Problem:
    rng = np.random.default_rng(3)
    A = rng.standard_normal((60, 40)) + 3 * rng.standard_normal((60, 1))
    groups = so.Groups.uniform(20, 2)
    return so.Problem.quadratic(A.T @ A, A.T @ rng.standard_normal(60), penalty or so.GroupLasso(1.0, groups, "none"))


def test_certificates_of_global_minima_end_with_their_limit(clock):
    penalty = so.InverseSum(1e-3, so.Groups.uniform(20, 2), SlowToEnclose(clock))
    start = clock[0]
    found = so.certify.global_gap(quadratic(penalty), np.zeros(40), time_limit=LIMIT)
    assert clock[0] - start <= LATEST
    assert found.verdict == "undecided"
    assert "time limit" in found.reason
    with pytest.raises(ValueError, match=r"time_limit is .* give positive seconds"):
        so.certify.global_gap(quadratic(penalty), np.zeros(40), time_limit=0)


@pytest.fixture
def slow_norms(clock, monkeypatch):
    """Every spectral norm of a block takes time."""
    from sparseopt.certify import evaluation, lambda_window

    def slow(block):
        clock[0] += 10 * TICK
        return evaluation.spectral_norm(block)

    monkeypatch.setattr(sys.modules[lambda_window.__module__], "spectral_norm", slow)
    return clock


def test_windows_end_with_their_limit(slow_norms):
    start = slow_norms[0]
    assert not so.certify.lambda_window(quadratic()).empty
    assert slow_norms[0] - start > 3 * LIMIT
    start = slow_norms[0]
    window = so.certify.lambda_window(quadratic(), time_limit=LIMIT)
    assert slow_norms[0] - start <= LATEST
    assert window.empty
    assert "time limit" in window.reason
    with pytest.raises(ValueError, match=r"time_limit is .* give positive seconds"):
        so.certify.lambda_window(quadratic(), time_limit="long")


def test_swaps_through_a_regulariser_end_with_the_run(slow_norms):
    groups = so.Groups.uniform(20, 2)
    made = quadratic().with_penalty(so.Problem.quadratic(np.eye(40), np.ones(40), so.sets.TopGroups(3, groups)).penalty)
    start = slow_norms[0]
    solver = so.solvers.OMPR(rho=so.penalties.Power(0.5))
    found = so.solve(made, solver, tol=1e-12, time_limit=LIMIT, throw=False)
    assert slow_norms[0] - start <= LATEST
    assert found.status is so.Status.TIME_LIMIT
