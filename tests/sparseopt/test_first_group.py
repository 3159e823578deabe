"""Where 0 is always stationary a run begins at the best group alone: no fit of one group is below what it returns."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, datafit
from scipy import sparse

import sparseopt as so
from sparseopt.selection import refit_on_support

GROUPS = so.Groups.uniform(4, 3)


def made_with(loss: str, penalty, form=np.asarray) -> so.Problem:
    X = np.random.default_rng(LOSSES.index(loss)).standard_normal((30, 12))
    return so.Problem(form(X), datafit(loss, 3, plain=True, n=30), penalty)


def gains(problem: so.Problem) -> np.ndarray:
    """By how much the fit of each group alone lowers the loss [G]."""
    zero = np.zeros(problem.w_shape)
    found = []
    for g in range(problem.penalty.groups.n_groups):
        active = zero.copy()
        active[problem.penalty.groups.members(g)] = 1.0
        w = refit_on_support(problem, active).w
        found.append(problem.datafit.value(problem.X @ zero) - problem.datafit.value(problem.X @ w))
    return np.array(found)


@pytest.mark.parametrize(
    "loss",
    [pytest.param(x, marks=pytest.mark.slow) if x in ("Huber", "MultiResponse", "CoxEfron") else x for x in LOSSES],
)
def test_no_single_group_is_better(loss):
    made = made_with(loss, so.GroupL0(1.0, GROUPS, weights="none"))
    gain = gains(made).max()
    problem = made.with_lam(0.9 * gain)
    found = so.solve(problem)
    rounding = 1e-12 * abs(found.objective)
    assert found.objective <= problem.objective(np.zeros(problem.w_shape)) - 0.1 * gain + rounding


@pytest.mark.parametrize("penalty", [so.GroupL0(0.01, GROUPS), so.GroupLq(0.03, GROUPS, q=0.5)])
def test_statistics_and_quadratics_start_as_the_data_do(penalty):
    raw = made_with("LeastSquares", penalty)
    X, y = raw.X, raw.datafit.y
    found, expected = so.solve(so.Problem.from_gram(X.T @ X, X.T @ y, y @ y, 30, penalty)), so.solve(raw)
    assert expected.w.any()
    np.testing.assert_allclose(found.w, expected.w, atol=1e-5)
    plain = so.solve(so.Problem.quadratic(X.T @ X / 30, X.T @ y / 30, penalty))
    np.testing.assert_allclose(plain.w, expected.w, atol=1e-5)


def test_the_fit_may_have_a_penalty_of_its_own():
    made = made_with("Logistic", so.GroupLq(0.02, GROUPS, q=0.5, weights="none"))
    found = so.solve(made)
    assert found.objective < made.objective(np.zeros(12))
    assert found.violation <= 1e-6


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, np.float32])
def test_designs_of_every_kind(form):
    made = made_with("LeastSquares", so.GroupL0(1.0, GROUPS, weights="none"), form)
    problem = made.with_lam(0.9 * gains(made).max())
    assert so.solve(problem).objective < problem.objective(np.zeros(12))


def test_groups_without_a_weight_are_fitted_in_any_case_and_forced_ones_never():
    made = made_with("Logistic", so.GroupL0(1.0, GROUPS, weights=[0.0, 1.0, np.inf, 1.0]))
    found = so.solve(made.with_lam(10.0)).w
    assert found[:3].all()
    assert not found[3:].any()


def test_a_start_that_is_given_is_taken():
    made = made_with("Cox", so.GroupL0(1.0, GROUPS, weights="none"))
    problem = made.with_lam(0.95 * gains(made).max())
    assert so.solve(problem).w.any()
    first = next(so.iterate(problem, so.solvers.GroupBCD(), np.zeros(12)))
    assert not first.w.any()


def test_a_path_from_zero_looks_at_every_strength_anew():
    made = made_with("Cox", so.GroupL0(1.0, GROUPS, weights="none"))
    gain = gains(made).max()
    path = so.solve_path(made, lams=[1.5 * gain, 0.9 * gain])
    assert [result.w.any() for result in path] == [False, True]


def test_no_start_takes_longer_than_the_limit(monkeypatch):
    from sparseopt.solvers import first_group

    fitted = []
    monkeypatch.setattr(first_group, "_alone", lambda problem, groups, end: fitted.append(groups) or np.zeros(12))
    made = made_with("Logistic", so.GroupL0(1e-3, GROUPS))
    so.solvers.GroupBCD(time_limit=0.0).start(made)
    assert not fitted
    so.solvers.GroupBCD().start(made)
    assert len(fitted) == 5
