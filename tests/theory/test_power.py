"""Planted bugs: each must turn a verdict.  A check that cannot fail checks nothing."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
import theory
from theory import Counterexample, Evidence, check
from theory.instances import Instance, quadratic
from theory.sequential_attention.inverse_sum_dominates import THEOREM as DOMINATES
from theory.sequential_attention.lambda_window import THEOREM as WINDOW
from theory.sequential_attention.one_group_global_optimum import THEOREM as OPTIMUM
from theory.sequential_attention.one_group_global_optimum import two_groups_instance
from theory.sequential_attention.scalar_functions import ExactRatio
from theory.sequential_attention.strength import AtStrength
from theory.smart import soft_topk_limit as limit
from theory.smart.smart_decay_penalty import THEOREM as DECAY
from theory.smart.soft_topk_is_well_posed import THEOREM as WELL_POSED
from theory.smart.soft_topk_limit import THEOREM as LIMIT

subadditivity = importlib.import_module("sparseopt.certify.subadditivity")
duality_gap = importlib.import_module("sparseopt.certify.duality_gap")
global_gap = importlib.import_module("sparseopt.certify.global_gap")
k_support = importlib.import_module("sparseopt.penalties.k_support")


def verdict(theorem, n=8):
    without_data = tuple(f for f in theorem.fixed if f.name not in ("diabetes", "breast_cancer", "digits"))
    return check(replace(theorem, fixed=without_data), n).verdict


@pytest.mark.sample(every=13)
@pytest.mark.parametrize("theorem", theory.THEOREMS, ids=lambda t: t.name)
def test_nothing_planted(theorem):
    assert verdict(theorem) == "holds"


@pytest.mark.parametrize("theorem", [DOMINATES, OPTIMUM], ids=lambda t: t.name)
def test_sum_of_q_instead_of_its_inverse(monkeypatch, theorem):
    def value(self, w):
        return self.lam * float(np.sum(self.rho.value(self.groups.norms(w))))

    monkeypatch.setattr(so.InverseSum, "value", value)
    assert verdict(theorem) == "fails"


@pytest.mark.parametrize("theorem", [DOMINATES, OPTIMUM], ids=lambda t: t.name)
def test_exp_mask_accepted_as_subadditive(monkeypatch, theorem):
    monkeypatch.setattr(subadditivity, "CONCAVE_BY_FORMULA", (*subadditivity.CONCAVE_BY_FORMULA, so.penalties.ExpMask))
    assert verdict(theorem) == "fails"
    assert verdict(replace(theorem, fixed=())) == "powerless"


def test_a_distance_bound_of_more_than_the_strong_convexity(monkeypatch):
    monkeypatch.setattr(Instance, "mu", property(lambda self: 1.1 * float(self.eigenvalues[0])))
    sharp = tuple(case for case in OPTIMUM.fixed if case.name == "sharp")
    assert verdict(replace(OPTIMUM, fixed=sharp), n=1) == "fails"


def test_declared_trait_accepted_as_subadditive(monkeypatch):
    shown = global_gap.subadditivity

    def trusting(rho, radius):
        return shown(so.penalties.Linear() if getattr(rho, "subadditive", False) else rho, radius)

    monkeypatch.setattr(global_gap, "subadditivity", trusting)
    assert verdict(OPTIMUM) == "fails"


def test_lam_outside_the_window(monkeypatch):
    shown = so.certify.lambda_window

    def too_wide(problem):
        window = shown(problem)
        return replace(window, lower=0.5 * window.lower)

    monkeypatch.setattr(so.certify, "lambda_window", too_wide)
    assert verdict(WINDOW) == "fails"


def test_a_window_twice_as_wide(monkeypatch):
    shown = so.certify.lambda_window

    def too_wide(problem):
        window = shown(problem)
        return replace(window, lower=max(2 * window.lower - window.upper, 0.01 * window.upper))

    monkeypatch.setattr(so.certify, "lambda_window", too_wide)
    assert verdict(WINDOW, n=30) == "fails"


def test_window_from_the_gradient_of_another_group(monkeypatch):
    shown = so.certify.lambda_window
    monkeypatch.setattr(so.certify, "lambda_window", lambda problem: replace(shown(problem), group=0))
    assert verdict(WINDOW) == "fails"


@pytest.mark.parametrize("theorem", [OPTIMUM, WINDOW], ids=lambda t: t.name)
def test_dual_point_not_rescaled(monkeypatch, theorem):
    monkeypatch.setattr(duality_gap, "feasible_multiple", lambda norms, strength: np.inf)
    assert verdict(theorem) == "fails"


def test_weights_left_out_of_the_prox(monkeypatch):
    prox = so.GroupLasso.prox

    def unweighted(self, v, step=1.0, out=None):
        return prox(so.GroupLasso(self.lam, self.groups, weights="none"), v, step, out)

    monkeypatch.setattr(so.GroupLasso, "prox", unweighted)
    assert verdict(WINDOW, n=30) == "fails"


def test_strict_dual_feasibility_not_asked_for(monkeypatch):
    monkeypatch.setattr(global_gap, "_not_strictly_feasible", lambda *_: None)
    monkeypatch.setattr(global_gap.GapBounds, "at", _without_gap(global_gap.GapBounds.at))
    assert verdict(OPTIMUM) == "fails"


def _without_gap(at):
    return lambda problem, w: replace(at(problem, w), upper=0.0)


def test_weighted_companion(monkeypatch):
    def companion(self):
        return so.GroupLasso(self.lam, self.groups, weights=np.arange(1.0, self.groups.n_groups + 1))

    monkeypatch.setattr(so.InverseSum, "companion", property(companion))
    assert verdict(OPTIMUM) in ("vacuous", "fails")


def test_formula_of_the_inverse_beyond_the_range(monkeypatch):
    monkeypatch.setattr(so.penalties.Ratio, "inverse", lambda self, y: y / (1 - y))
    assert verdict(DOMINATES, n=60) == "fails"


def test_inverse_of_another_power(monkeypatch):
    monkeypatch.setattr(so.penalties.Power, "inverse", lambda self, y: y ** (1 / self.q - 0.01))
    assert verdict(DOMINATES, n=300) == "fails"


def test_draws_outside_the_hypotheses_are_vacuous():
    def outside(rng):
        loss = quadratic("identity", np.eye(2), [1.0, 0.9], so.Groups.uniform(2, 1))
        return AtStrength(loss, float(rng.uniform(0.1, 0.5)))

    assert verdict(replace(WINDOW, draw=outside)) == "vacuous"
    assert verdict(WINDOW, n=0) == "vacuous"


def test_a_counterexample_that_does_not_separate():
    harmless = replace(two_groups_instance(ExactRatio()), competitors=())
    case = Counterexample("one active group", "harmless", "nothing is compared", lambda: harmless)
    others = tuple(c for c in OPTIMUM.counterexamples if c.drops != "one active group")
    assert verdict(replace(OPTIMUM, counterexamples=(*others, case))) == "powerless"
    assert verdict(replace(OPTIMUM, counterexamples=others)) == "powerless"


def test_a_counterexample_that_violates_another_hypothesis():
    first, *others = WINDOW.counterexamples
    wrong = replace(first, drops="in the window")
    assert verdict(replace(WINDOW, counterexamples=(first, *others, wrong))) == "powerless"


def test_a_conclusion_off_by_a_thousand_tolerances():
    def shifted(instance):
        return tuple(
            replace(e, lhs=e.lhs + 1000 * e.tolerance)
            if isinstance(e.lhs, float) and e.claim.startswith("q^-(q)")
            else e
            for e in DOMINATES.conclusion(instance)
        )

    assert verdict(replace(DOMINATES, conclusion=shifted), n=60) == "fails"


def test_undefined_evidence_fails():
    assert not Evidence("NaN", float("nan"), 0.0).passed
    assert not Evidence("NaN", 0.0, float("nan"), 1.0).passed


def test_jacobian_without_its_rank_one_part(monkeypatch):
    def diagonal(self, g, out=None):
        f = so.soft_topk(self._x, self.k, self.tau)
        return f * (1 - f) * g / self.tau

    monkeypatch.setattr(so.SoftTopK, "vjp", diagonal)
    assert verdict(WELL_POSED) == "fails"


def test_masks_of_twice_the_temperature(monkeypatch):
    right = so.soft_topk
    monkeypatch.setattr(so, "soft_topk", lambda x, k, tau: right(x, k, 2 * tau))
    assert verdict(WELL_POSED) == "fails"
    assert verdict(LIMIT) == "fails"


def test_bound_with_the_full_gap_in_the_exponent(monkeypatch):
    right = limit.bounds
    monkeypatch.setattr(limit, "bounds", lambda i: right(replace_tau(i)))
    assert verdict(LIMIT) == "fails"


def replace_tau(instance):
    return replace(instance, tau=instance.tau / 2)


def test_masks_that_are_not_capped(monkeypatch):
    monkeypatch.setattr(k_support, "shares", lambda c, k: (k * c / c.sum(), float(c.sum() / k)))
    assert verdict(DECAY, n=30) == "fails"


def test_k_support_norm_where_omega_is_meant(monkeypatch):
    monkeypatch.setattr(so.SmartDecay, "value", lambda self, w: self.companion.value(w))
    assert verdict(DECAY, n=30) == "fails"
