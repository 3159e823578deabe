"""Errors planted in the theorems on ADMM and SR-STE, or in what they call: the verdict flips."""

from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
from theory import check
from theory.admm_patterns import admm_descends as descends
from theory.admm_patterns import admm_identities as identities
from theory.admm_patterns import admm_on_convex_sets as convex
from theory.admm_patterns import srste_fixed_points as fixed_points


def verdict(theorem, n=12, fixed=True):
    return check(theorem if fixed else replace(theorem, fixed=()), n).verdict


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("module", [descends, identities, convex, fixed_points], ids=lambda m: m.THEOREM.name)
def test_nothing_planted(module):
    assert verdict(module.THEOREM) == "holds"


def test_twice_the_descent(monkeypatch):
    right = descends.modulus
    monkeypatch.setattr(descends, "modulus", lambda *arguments: 2 * right(*arguments))
    assert verdict(descends.THEOREM, fixed=False) == "fails"


@pytest.mark.parametrize(
    ("factor", "found"), [(0.5, "powerless"), (2**-0.5, "powerless"), (1.0, "holds"), (2**0.5, "fails")]
)
def test_another_threshold_of_rho(factor, found, monkeypatch):
    """A smaller one no longer sees rho = 18 for L = 19, and a larger one, as sqrt 2 L, leaves out what is shown."""
    first = replace(descends.HYPOTHESES[0], margin=lambda i: float(i.rho / i.curvature) - factor * (2 - is_convex(i)))
    hypotheses = (first, *descends.HYPOTHESES[1:])
    monkeypatch.setattr(descends, "HYPOTHESES", hypotheses)
    diabetes = tuple(case for case in descends.THEOREM.fixed if case.name == "diabetes")
    assert verdict(replace(descends.THEOREM, hypotheses=hypotheses, fixed=diabetes), n=4) == found


def is_convex(instance):
    return bool(getattr(instance, "convex", True))


def test_a_curvature_that_is_believed():
    """A bound of f'' that is too small, or a concave f called convex, meets the other hypotheses."""
    blind = [replace(h, margin=lambda i: 1.0) if h.name == "curvature" else h for h in descends.HYPOTHESES]
    assert verdict(replace(descends.THEOREM, hypotheses=tuple(blind)), fixed=False) == "powerless"
    for case in (c.instance() for c in descends.COUNTEREXAMPLES if c.drops == "curvature"):
        assert not any(e.passed for e in descends.conclusion(case)[:1])
        assert descends.curvature_margin(case) < 0 < descends.strength_margin(case)


def test_a_dual_step_of_the_wrong_sign(monkeypatch):
    right = so.solvers.ADMM.step

    def wrong(self, problem, state):
        moved = right(self, problem, state)
        return replace(moved, multiplier=2 * state.multiplier - moved.multiplier)

    monkeypatch.setattr(so.solvers.ADMM, "step", wrong)
    assert verdict(descends.THEOREM, fixed=False) == "fails"
    assert verdict(identities.THEOREM, fixed=False) == "fails"
    assert verdict(convex.THEOREM, fixed=False) == "fails"


def test_a_lagrangian_without_its_multiplier(monkeypatch):
    right = so.solvers.ADMM._state

    def wrong(self, *arguments, **named):
        state = right(self, *arguments, **named)
        apart = float(np.sum((state.x - state.w) ** 2))
        without = float(arguments[0].datafit.value(arguments[0].X @ state.x)) + state.rho / 2 * apart
        return replace(state, augmented_lagrangian=without)

    monkeypatch.setattr(so.solvers.ADMM, "_state", wrong)
    assert verdict(descends.THEOREM, fixed=False) == "fails"


def test_the_orders_exchanged(monkeypatch):
    right = so.solvers.ADMM.step

    def wrong(self, problem, state):
        return right(replace(self, z_first=not self.z_first), problem, state)

    monkeypatch.setattr(so.solvers.ADMM, "step", wrong)
    assert verdict(identities.THEOREM, fixed=False) == "fails"


def test_a_rate_without_its_half(monkeypatch):
    right = convex.contraction
    monkeypatch.setattr(convex, "contraction", lambda *arguments: 2 * right(*arguments) - 1)
    assert verdict(convex.THEOREM, fixed=False) == "fails"


def test_a_rate_of_the_strong_convexity_alone(monkeypatch):
    """The part of L is left out of delta."""
    monkeypatch.setattr(convex, "contraction", lambda rho, mu, curvature: (1 + (rho - mu) / (rho + mu)) / 2)
    assert verdict(convex.THEOREM) == "fails"


def test_a_gradient_that_is_masked(monkeypatch):
    """No straight-through: the dense vector moves on the mask alone, and every mask stays."""
    right = so.solvers.SRSTE.step

    def wrong(self, problem, state):
        moved = right(self, problem, state)
        dense = np.where(state.mask, moved.dense, state.dense)
        mask = np.asarray(problem.penalty.set.support(dense))
        return replace(moved, dense=dense, mask=mask, w=np.where(mask, dense, 0.0))

    monkeypatch.setattr(so.solvers.SRSTE, "step", wrong)
    assert verdict(fixed_points.THEOREM) == "fails"


def test_half_the_pull(monkeypatch):
    right = so.solvers.SRSTE.init
    monkeypatch.setattr(so.solvers.SRSTE, "init", lambda self, p, w: replace(right(self, p, w), pull=self.pull / 2))
    assert verdict(fixed_points.THEOREM, fixed=False) == "fails"


def test_a_criterion_with_the_largest_entry(monkeypatch):
    """max_on |w| for min_on |w|."""

    def wrong(self):
        halves = [(on, off) for on, off in self._halves if len(on) and len(off)]
        return min(self.lam * np.abs(self.z[on]).max() - np.abs(self.slope[off]).max() for on, off in halves)

    monkeypatch.setattr(fixed_points.Candidate, "room", property(wrong))
    assert verdict(fixed_points.THEOREM, n=60, fixed=False) == "fails"
