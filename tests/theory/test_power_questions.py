"""Planted bugs in what the theorems on open questions rely on: each must turn a verdict."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

import sparseopt as so
from theory import check
from theory.open_questions import (
    concave_beats_lasso,
    gradual_pruning,
    minima_at_small_lambda,
    one_critical_point,
    piecewise,
    smart_trajectories,
)
from theory.open_questions.concave_beats_lasso import THEOREM as CONCAVE
from theory.open_questions.minima_at_small_lambda import THEOREM as MINIMA
from theory.open_questions.one_critical_point import THEOREM as ONE

pytestmark = pytest.mark.slow


def verdict(theorem, n=4):
    return check(theorem, n).verdict


def test_mcp_that_is_flat_from_half_of_its_range(monkeypatch):
    monkeypatch.setattr(concave_beats_lasso, "mcp", lambda lam, gamma: piecewise.mcp(lam, gamma / 2))
    assert verdict(CONCAVE) == "fails"


def test_value_without_the_curvature_of_a_piece(monkeypatch):
    shown = piecewise.value

    def flat(pieces, t):
        return shown(tuple(replace(piece, linear=Fraction(0)) for piece in pieces), t)

    monkeypatch.setattr(piecewise, "value", flat)
    assert verdict(CONCAVE) == "fails"


def test_zeros_that_are_critical_whatever_their_gradient(monkeypatch):
    checked = piecewise.Piecewise._checked

    def careless(self, u, active, A):
        strong = replace(self.pieces[0], constant=self.pieces[0].constant * 1000)
        yield from checked(replace(self, pieces=(strong, *self.pieces[1:])), u, active, A)

    monkeypatch.setattr(piecewise.Piecewise, "_checked", careless)
    assert verdict(ONE) == "fails"


def test_pieces_that_hold_everywhere(monkeypatch):
    monkeypatch.setattr(piecewise.Piece, "contains", lambda self, t: t > 0)
    assert verdict(MINIMA) == "fails"


def test_curvature_of_mcp_twice_as_large(monkeypatch):
    def steep(lam, gamma):
        first, second = piecewise.mcp(lam, gamma)
        return replace(first, linear=2 * first.linear), second

    monkeypatch.setattr(one_critical_point, "mcp", steep)
    assert verdict(ONE, n=12) == "fails"


def test_power_with_the_slope_of_the_lasso(monkeypatch):
    monkeypatch.setattr(minima_at_small_lambda, "_power_minimum", lambda instance, S: len(S) == instance.p)
    assert verdict(MINIMA) == "fails"


def test_maxima_of_a_concave_loss_counted_as_minima(monkeypatch):
    monkeypatch.setattr(minima_at_small_lambda, "_power_minimum", lambda instance, S: all(instance.fits[S]))
    assert verdict(MINIMA) == "holds"  # where H is positive definite they are the same
    monkeypatch.setattr(minima_at_small_lambda, "_hard_minimum", lambda instance, S: all(instance.fits[S]))
    assert verdict(MINIMA) == "powerless"


def test_branch_and_bound_that_stops_too_early(monkeypatch):
    prove = so.solvers.BranchAndBound.prove

    def early(self, problem, w0=None):
        found = prove(self, problem, w0)
        return replace(found, objective=found.objective + 1e-3, lower=found.lower + 1e-3)

    monkeypatch.setattr(so.solvers.BranchAndBound, "prove", early)
    assert verdict(CONCAVE, n=1) == "fails"
    assert verdict(ONE, n=1) == "fails"


def test_a_schedule_turned_round(monkeypatch):
    shown = gradual_pruning.Exponential
    monkeypatch.setattr(gradual_pruning, "Exponential", lambda c: shown(-c))
    assert verdict(gradual_pruning.THEOREM, n=1) == "fails"


def test_gradual_pruning_without_refits(monkeypatch):
    pruned = gradual_pruning.Quadratic.pruned
    without = lambda self, schedule, refit, steps=8: pruned(self, schedule, False, steps)  # noqa: E731
    monkeypatch.setattr(gradual_pruning.Quadratic, "pruned", without)
    assert verdict(gradual_pruning.THEOREM, n=1) == "fails"


def test_a_temperature_that_stays_hot(monkeypatch):
    monkeypatch.setattr(smart_trajectories.ExponentialTemperature, "__call__", lambda self, step: self.start)
    assert verdict(smart_trajectories.THEOREM) == "fails"
