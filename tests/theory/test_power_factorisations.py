"""Errors planted in the theorems on masks and their penalties, or in what they call: the verdict flips."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import sparseopt as so
from theory import check
from theory.sequential_attention import (
    exp_mask_is_lambert,
    exp_mask_is_not_subadditive,
    exp_mask_never_prunes,
    hoff_product_is_group_lasso,
    l1_mask_is_two_thirds,
    powerpropagation_is_group_lasso,
    softmax_mask_is_two_thirds_norm,
)

masks = so.solvers.masks
ExpMask = so.penalties.ExpMask


def verdict(module, n=16, fixed=()):
    """Of the random instances and counterexamples, and of the fixed checks that are named."""
    kept = tuple(case for case in module.THEOREM.fixed if case.name in fixed)
    return check(replace(module.THEOREM, fixed=kept), n).verdict


MODULES = (
    exp_mask_is_lambert,
    exp_mask_is_not_subadditive,
    exp_mask_never_prunes,
    hoff_product_is_group_lasso,
    l1_mask_is_two_thirds,
    powerpropagation_is_group_lasso,
    softmax_mask_is_two_thirds_norm,
)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.THEOREM.name)
def test_nothing_planted(module):
    assert verdict(module) == "holds"


def test_the_lambert_function_of_half_its_argument(monkeypatch):
    right = ExpMask.value
    monkeypatch.setattr(ExpMask, "value", lambda self, t: right(self, t / np.sqrt(2)))
    assert verdict(exp_mask_is_lambert) == "fails"


def test_sign_of_the_second_derivative(monkeypatch):
    monkeypatch.setattr(ExpMask, "weak_convexity", -ExpMask.weak_convexity)
    assert verdict(exp_mask_is_lambert, n=30) == "fails"


def test_a_larger_bound_for_convexity(monkeypatch):
    monkeypatch.setattr(exp_mask_is_lambert, "CONVEX_BELOW", 12.0)
    assert verdict(exp_mask_is_lambert, fixed=("10.547",)) == "fails"


def test_half_the_decay_on_the_masks(monkeypatch):
    right = masks.ExponentialMask.own_decay
    monkeypatch.setattr(masks.ExponentialMask, "own_decay", lambda self, m: (right(self, m)[0] / 2, m))
    assert verdict(exp_mask_is_lambert) == "fails"


def test_a_subadditive_penalty_in_the_place_of_the_exponential_mask(monkeypatch):
    monkeypatch.setattr(ExpMask, "value", lambda self, t: np.log1p(t))
    assert verdict(exp_mask_is_not_subadditive) == "fails"


def test_wrong_digits_of_b_star(monkeypatch):
    monkeypatch.setattr(exp_mask_is_not_subadditive, "STARS", {0.5: 8.9})
    assert verdict(exp_mask_is_not_subadditive, n=4, fixed=("b*",)) == "fails"


def test_a_kink_that_is_none_has_no_power():
    smooth = exp_mask_never_prunes.ExactMasked(Fraction(1), Fraction(1))
    theorem = exp_mask_never_prunes.THEOREM
    cases = tuple(replace(c, instance=lambda: smooth) for c in theorem.counterexamples)
    assert check(replace(theorem, fixed=(), counterexamples=cases), 4).verdict == "powerless"


def test_a_slope_at_zero(monkeypatch):
    right = ExpMask.value
    monkeypatch.setattr(ExpMask, "value", lambda self, t: right(self, t) + t)
    assert verdict(exp_mask_never_prunes) == "fails"


def test_the_prox_threshold_off_by_a_third_power_of_two(monkeypatch):
    """3/2 for (3/2) 2^(1/3) in the equivalent penalty."""

    def wrong(self, lam, groups):
        return so.penalties.GroupPenalty(so.penalties.Power(2 / 3), lam * 1.5, groups, weights="none")

    monkeypatch.setattr(masks.L1Mask, "equivalent", wrong)
    assert verdict(l1_mask_is_two_thirds) == "fails"


def test_the_optimal_mask_of_another_decay(monkeypatch):
    monkeypatch.setattr(l1_mask_is_two_thirds, "best", np.sqrt)
    assert verdict(l1_mask_is_two_thirds) == "fails"


def test_a_decay_without_its_half(monkeypatch):
    right = masks.HoffProduct.decay
    monkeypatch.setattr(masks.HoffProduct, "decay", lambda *a: tuple(2 * part for part in right(*a)))
    assert verdict(hoff_product_is_group_lasso) == "fails"


def test_a_factor_of_the_square_root(monkeypatch):
    def wrong(self, groups, v, m):
        return groups.scale(v, np.sqrt(groups.norms(v)))

    monkeypatch.setattr(masks.Powerpropagation, "weights", wrong)
    assert verdict(powerpropagation_is_group_lasso) == "fails"


def test_a_softmax_that_adds_to_one(monkeypatch):
    right = masks.SoftmaxMask.values
    monkeypatch.setattr(masks.SoftmaxMask, "values", lambda self, m: right(self, m) / len(m))
    assert verdict(softmax_mask_is_two_thirds_norm) == "fails"


def test_masks_proportional_to_the_norms(monkeypatch):
    monkeypatch.setattr(softmax_mask_is_two_thirds_norm, "best", np.log)
    assert verdict(softmax_mask_is_two_thirds_norm) == "fails"


def test_a_clip_that_changes_nothing_has_no_power():
    wide = replace(softmax_mask_is_two_thirds_norm.exact_instance(2, 1), clip=(Fraction(1, 100), Fraction(100)))
    theorem = softmax_mask_is_two_thirds_norm.THEOREM
    cases = tuple(replace(c, instance=lambda: wide) if c.drops == "unclipped" else c for c in theorem.counterexamples)
    assert check(replace(theorem, fixed=(), counterexamples=cases), 4).verdict == "powerless"
