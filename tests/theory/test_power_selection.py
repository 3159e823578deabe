"""Errors planted in the theorems on selection, schedules and the sum of q, or in what they call: the verdict flips."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import sparseopt as so
from theory import check
from theory.sequential_attention import (
    group_omp_contracts,
    ompr_contracts,
    pruning_schedule_and_clip,
    sum_of_q_is_another_problem,
)

MODULES = (group_omp_contracts, ompr_contracts, pruning_schedule_and_clip, sum_of_q_is_another_problem)


def verdict(module, n=12, fixed=()):
    """Of the random instances and counterexamples, and of the fixed checks that are named."""
    kept = tuple(case for case in module.THEOREM.fixed if case.name in fixed)
    return check(replace(module.THEOREM, fixed=kept), n).verdict


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.THEOREM.name)
def test_nothing_planted(module):
    assert verdict(module) == "holds"


def test_the_smallest_gradient_chosen_by_group_omp(monkeypatch):
    """The gradient handed on is turned round, so that the argmax finds the smallest."""
    right = so.solvers.GroupOMP.step

    def wrong(self, problem, state):
        return right(self, problem, replace(state, gradient=1 / (1e-9 + np.abs(state.gradient))))

    monkeypatch.setattr(so.solvers.GroupOMP, "step", wrong)
    assert verdict(group_omp_contracts) == "fails"


def test_a_step_that_closes_more_than_it_does(monkeypatch):
    monkeypatch.setattr(group_omp_contracts, "share", lambda mu, k, steepest: 1 - 1.1 * mu / (k * steepest))
    assert verdict(group_omp_contracts, n=40) == "fails"


def test_the_largest_group_leaves(monkeypatch):
    """Of a copy of OMPR whose coefficients are inverted when the leaving group is sought."""
    right = so.solvers.OMPR.step

    def wrong(self, problem, state):
        w = np.where(state.w == 0, 0.0, 1 / np.where(state.w == 0, 1.0, state.w))
        return right(self, problem, replace(state, w=w))

    monkeypatch.setattr(so.solvers.OMPR, "step", wrong)
    assert verdict(ompr_contracts, n=30) == "fails"


def test_a_swap_that_closes_more_than_it_does(monkeypatch):
    monkeypatch.setattr(ompr_contracts, "share", lambda k, kappa: 1 - 1.1 / (k * kappa))
    assert verdict(ompr_contracts, n=40, fixed=()) == "fails"


def test_lam_above_tau_in_ompr():
    """lam at 3/2 of the largest gradient counts as in the window: the counterexample is no longer alone."""
    lenient = replace(ompr_contracts.HYPOTHESES[1], margin=lambda i: 1.0)
    theorem = replace(ompr_contracts.THEOREM, hypotheses=(ompr_contracts.HYPOTHESES[0], lenient), fixed=())
    assert check(theorem, 4).verdict == "powerless"


def test_fewer_groups_than_needed():
    """k' >= k + kappa is not asked for: the counterexample meets all hypotheses and shows nothing."""
    lenient = replace(ompr_contracts.HYPOTHESES[0], margin=lambda i: 1.0)
    theorem = replace(ompr_contracts.THEOREM, hypotheses=(lenient, ompr_contracts.HYPOTHESES[1]), fixed=())
    assert check(theorem, 4).verdict == "powerless"


def test_the_printed_clip(monkeypatch):
    """[n d, n / d] for masks of mean 1."""

    def printed(ratio, steps, masks, k):
        n = len(masks)
        return pruning_schedule_and_clip.Pruning(ratio, steps, masks, k, Fraction(k), Fraction(n * n, k))

    monkeypatch.setattr(pruning_schedule_and_clip, "statement_instance", printed)
    assert verdict(pruning_schedule_and_clip) == "vacuous"
    lenient = tuple(h for h in pruning_schedule_and_clip.HYPOTHESES if "clip" not in h.name and "below" not in h.name)
    theorem = replace(pruning_schedule_and_clip.THEOREM, hypotheses=lenient, counterexamples=(), fixed=())
    assert check(theorem, 12).verdict == "fails"


def test_a_convex_schedule(monkeypatch):
    right = pruning_schedule_and_clip.Pruning.schedule.fget
    turned = property(lambda self: [1 - share for share in reversed(right(self))])
    monkeypatch.setattr(pruning_schedule_and_clip.Pruning, "schedule", turned)
    assert verdict(pruning_schedule_and_clip) == "fails"


def test_sum_of_q_in_the_place_of_its_inverse(monkeypatch):
    def value(self, w):
        return self.lam * float(np.sum(self.rho.value(self.groups.norms(w))))

    monkeypatch.setattr(so.InverseSum, "value", value)
    assert verdict(sum_of_q_is_another_problem, n=30) == "fails"


def test_the_slope_of_another_power(monkeypatch):
    right = so.penalties.Power.slope
    monkeypatch.setattr(so.penalties.Power, "slope", lambda self, t: 1.2 * right(self, t))
    assert verdict(sum_of_q_is_another_problem, n=40) == "fails"


def test_a_prox_threshold_off_by_a_third_power_of_two(monkeypatch):
    right = so.penalties.Power.prox
    monkeypatch.setattr(
        so.penalties.Power,
        "prox",
        lambda self, v, step=1.0, out=None: right(self, v, 2 ** (-1 / 3) * step) * (v > 0) * 0.9,
    )
    assert verdict(sum_of_q_is_another_problem, n=4, fixed=("jump",)) == "fails"
