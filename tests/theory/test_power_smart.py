"""Errors planted in the theorems on SMART, or in what they call: the verdict flips."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
from theory import check
from theory.smart import annealing_prunes as annealing
from theory.smart import smart_global_optimum as optimum
from theory.smart import temperature_is_immaterial as temperature

mask_decay = importlib.import_module("sparseopt.certify.mask_decay")


def verdict(theorem, n=12, fixed=True):
    without_data = tuple(
        case for case in theorem.fixed if fixed and case.name not in ("diabetes", "breast_cancer", "digits")
    )
    return check(replace(theorem, fixed=without_data), n).verdict


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("module", [optimum, annealing, temperature], ids=lambda m: m.THEOREM.name)
def test_nothing_planted(module):
    assert verdict(module.THEOREM) == "holds"


def test_a_gap_without_the_groups_that_are_exchanged(monkeypatch):
    """Every restricted minimiser would be a global one."""
    monkeypatch.setattr(mask_decay, "_gap", lambda *arguments: 0.0)
    assert verdict(optimum.THEOREM) == "fails"


def test_a_certificate_that_is_never_given(monkeypatch):
    monkeypatch.setattr(mask_decay, "_gap", lambda *arguments: np.inf)
    assert verdict(optimum.THEOREM, fixed=False) != "holds"


def test_a_gap_that_is_far_too_small(monkeypatch):
    """Wrong points are proved."""
    right = mask_decay._gap
    monkeypatch.setattr(mask_decay, "_gap", lambda *arguments: 1e-7 * right(*arguments))
    assert verdict(optimum.THEOREM) == "fails"


def test_an_omega_below_the_envelope(monkeypatch):
    monkeypatch.setattr(so.SmartDecay, "value", lambda self, w: self.companion.value(w) / 2)
    assert verdict(optimum.THEOREM, fixed=False) == "fails"


def test_an_explicit_strength_without_the_curvature(monkeypatch):
    """|b| / gap of b, for a loss of large curvature."""
    right = optimum.explicit_strength
    monkeypatch.setattr(optimum, "explicit_strength", lambda loss, k: right(loss, k) / 300)
    assert verdict(optimum.THEOREM, n=30, fixed=False) != "holds"


def test_leaks_of_the_full_gap(monkeypatch):
    """e^(-D / tau) for e^(-D / (2 tau)): masks are said to close faster than they do."""
    right = annealing.Annealing.leak
    monkeypatch.setattr(annealing.Annealing, "leak", lambda self, t: right(self, (t + 1) ** 2 - 1))
    assert verdict(annealing.THEOREM, fixed=False) == "fails"


def test_a_schedule_that_is_twice_as_slow(monkeypatch):
    """p = 1 behaves like 1/2."""
    right = annealing.scalar_descent
    monkeypatch.setattr(annealing, "scalar_descent", lambda p, *rest: right(p / 2, *rest))
    assert verdict(annealing.THEOREM, n=3) == "fails"


@pytest.mark.slow
def test_masks_of_the_other_groups(monkeypatch):
    right = annealing.Annealing.masks.func
    monkeypatch.setattr(annealing.Annealing, "masks", property(lambda self: 1 - right(self)))
    assert verdict(annealing.THEOREM, n=3, fixed=False) == "fails"


def test_scores_that_are_not_scaled(monkeypatch):
    """logit f for tau logit f."""
    right = temperature.Temperatures.scores
    monkeypatch.setattr(temperature.Temperatures, "scores", lambda self, tau: right(self, 1.0))
    assert verdict(temperature.THEOREM, fixed=False) == "fails"


def test_masks_that_do_not_reach_the_derivative(monkeypatch):
    """dv = gradient / f for f gradient."""
    right = so.solvers.masks.SmartMask.pull_back

    def wrong(self, groups, v, m, dw):
        return groups.divide(dw, 2 / self.values(m)), right(self, groups, v, m, dw)[1]

    monkeypatch.setattr(so.solvers.masks.SmartMask, "pull_back", wrong)
    assert verdict(temperature.THEOREM, fixed=False) == "fails"


def test_slow_schedules_are_among_the_draws():
    draws = [annealing.draw(np.random.default_rng(seed)) for seed in range(40)]
    exponents = [case.exponent for case in draws if isinstance(case, annealing.Annealing)]
    assert 0.5 < min(exponents) < 0.8
    slow = next(case for case in draws if isinstance(case, annealing.Annealing) and case.exponent < annealing.FAST)
    assert all(e.passed for e in annealing.conclusion(slow))
