"""Planted bugs in what the theorems on solvers rely on: each must turn a verdict."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
from theory import check
from theory.solvers import iht_contracts, performance, tight_rates
from theory.solvers.block_updates_descend import THEOREM as BLOCKS
from theory.solvers.douglas_rachford_rate import THEOREM as SPLITTING
from theory.solvers.duality_gap_bounds import THEOREM as GAP
from theory.solvers.fista_rate import THEOREM as FISTA
from theory.solvers.gap_safe_screening import THEOREM as SCREENING
from theory.solvers.group_omp_recovers import THEOREM as PURSUIT
from theory.solvers.lambda_max_is_sharp import THEOREM as LAMBDA_MAX
from theory.solvers.prox_formulas import THEOREM as PROX
from theory.solvers.proximal_gradient_rate import THEOREM as PROXIMAL_GRADIENT
from theory.solvers.strongly_convex_rate import THEOREM as STRONGLY_CONVEX
from theory.solvers.unique_solution import THEOREM as UNIQUE

duality_gap = importlib.import_module("sparseopt.certify.duality_gap")
support = importlib.import_module("sparseopt.certify.support")
uniqueness = importlib.import_module("sparseopt.certify.uniqueness")
admm = importlib.import_module("sparseopt.solvers.admm")
proximal_gradient = importlib.import_module("sparseopt.solvers.proximal_gradient")

REAL = ("diabetes", "breast_cancer", "digits")


def verdict(theorem, n=8):
    return check(replace(theorem, fixed=tuple(f for f in theorem.fixed if f.name not in REAL)), n).verdict


def test_dual_point_not_rescaled(monkeypatch):
    monkeypatch.setattr(duality_gap, "feasible_multiple", lambda norms, strength: np.inf)
    assert verdict(GAP) == "fails"


def test_gap_of_half_the_size(monkeypatch):
    gap_from = so.Problem.gap_from
    monkeypatch.setattr(so.Problem, "gap_from", lambda self, *point: gap_from(self, *point) / 2)
    assert verdict(GAP) == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.9, 1.2])
def test_lambda_max_off(monkeypatch, factor):
    lambda_max = so.lambda_max
    monkeypatch.setattr(so, "lambda_max", lambda problem: factor * lambda_max(problem))
    assert verdict(LAMBDA_MAX) == "fails"


def test_lambda_max_of_the_raw_data(monkeypatch):
    raw = lambda problem: problem.penalty.critical_lam(-problem.gradient(np.zeros(problem.w_shape)))  # noqa: E731
    monkeypatch.setattr(so, "lambda_max", raw)
    assert verdict(LAMBDA_MAX, n=16) == "fails"


@pytest.mark.slow
def test_screening_with_the_gap_left_out(monkeypatch):
    at = support.GapBounds.at
    monkeypatch.setattr(support.GapBounds, "at", lambda problem, w: replace(at(problem, w), lower=0.0, upper=0.0))
    assert verdict(SCREENING, n=40) == "fails"


@pytest.mark.slow
def test_screening_against_twice_the_strength(monkeypatch):
    ball = support.Ball

    class Doubled(ball):
        def times(self, factor):
            return super().times(2 * factor)

    monkeypatch.setattr(support, "Ball", Doubled)
    assert verdict(SCREENING) == "fails"


def test_uniqueness_from_any_directions(monkeypatch):
    monkeypatch.setattr(uniqueness, "_smallest", lambda *_: 1.0)
    assert verdict(UNIQUE) == "fails"


RATES = {
    "proximal_gradient": PROXIMAL_GRADIENT,
    "fista": FISTA,
    "strongly_convex": STRONGLY_CONVEX,
    "fixed_point": SPLITTING,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RATES)
def test_multipliers_that_prove_less(monkeypatch, name):
    """One recorded multiplier doubled: the function values, or the quadratic form, no longer agree."""
    rows = [dict(row) for row in tight_rates.recorded(name)]
    index, numerator = max(rows[3]["multipliers"], key=lambda pair: pair[1])
    rows[3]["multipliers"] = [[i, 2 * v if i == index else v] for i, v in rows[3]["multipliers"]]
    monkeypatch.setattr(tight_rates, "recorded", lambda _: rows)
    assert numerator
    assert verdict(RATES[name], n=1) == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("name", RATES)
def test_a_bound_below_the_tight_rate(monkeypatch, name):
    shown = tight_rates.recorded(name)
    rows = [row | {"bound": str(tight_rates.recorded_bound(name, row["n"]) * 999 / 1000)} for row in shown]
    monkeypatch.setattr(tight_rates, "recorded", lambda _: rows)
    assert verdict(RATES[name], n=1) == "fails"


@pytest.mark.slow
def test_interpolation_without_smoothness(monkeypatch):
    monkeypatch.setattr(performance, "smooth_convex", lambda points, mu: performance.convex(points))
    tight_rates.estimate.cache_clear()
    assert verdict(PROXIMAL_GRADIENT, n=1) == "fails"
    tight_rates.estimate.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("theorem", [FISTA, STRONGLY_CONVEX], ids=lambda t: t.name)
def test_momentum_left_out(monkeypatch, theorem):
    step = so.solvers.FISTA.step

    def without(self, problem, state):
        new = step(self, problem, state)
        return replace(new, point=new.w, z_point=new.z)

    monkeypatch.setattr(so.solvers.FISTA, "step", without)
    assert verdict(theorem) == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.7, 2.5])
def test_a_step_of_another_length(monkeypatch, factor):
    proximal_step = proximal_gradient.proximal_step
    wrong = lambda problem, point, z, step: proximal_step(problem, point, z, factor * step)  # noqa: E731
    monkeypatch.setattr(proximal_gradient, "proximal_step", wrong)
    assert verdict(PROXIMAL_GRADIENT) == "fails"


@pytest.mark.slow
def test_a_prox_of_the_loss_with_another_rho(monkeypatch):
    call = admm.LossProx.__call__
    monkeypatch.setattr(admm.LossProx, "__call__", lambda self, v, rho, start: call(self, v, 2 * rho, start))
    assert verdict(SPLITTING) == "fails"


@pytest.mark.slow
def test_blocks_thresholded_too_little(monkeypatch):
    prox = so.GroupLasso.prox
    monkeypatch.setattr(so.GroupLasso, "prox", lambda self, v, step=1.0, out=None: prox(self, v, 0.3 * step, out))
    assert verdict(BLOCKS) == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("rho", [so.penalties.Power, so.penalties.MCP, so.penalties.SCAD, so.penalties.ExpMask])
def test_threshold_off_by_the_cube_root_of_two(monkeypatch, rho):
    prox = rho.prox
    monkeypatch.setattr(rho, "prox", lambda self, v, step=1.0, out=None: prox(self, v, 2 ** (1 / 3) * step, out))
    assert verdict(PROX, n=40) == "fails"


def test_three_pieces_of_scad_for_every_a(monkeypatch):
    def pieces(self, v, step=1.0, out=None):
        v = np.asarray(v, dtype=float)
        middle = ((self.a - 1) * v - self.a * step) / (self.a - 1 - step)
        return np.where(v <= 1 + step, np.maximum(v - step, 0.0), np.where(v <= self.a, middle, v))

    monkeypatch.setattr(so.penalties.SCAD, "prox", pieces)
    assert verdict(PROX, n=1) == "fails"


def test_root_three_for_the_golden_ratio(monkeypatch):
    monkeypatch.setattr(iht_contracts, "GOLDEN", 3**0.5)
    assert verdict(iht_contracts.THEOREM) == "fails"


@pytest.mark.slow
def test_hard_thresholding_that_keeps_the_smallest(monkeypatch):
    project = so.sets.TopGroups.project
    monkeypatch.setattr(so.sets.TopGroups, "project", lambda self, v, out=None: v - project(self, v))
    assert verdict(iht_contracts.THEOREM) == "fails"


@pytest.mark.slow
def test_pursuit_of_the_smallest_correlation(monkeypatch):
    monkeypatch.setattr(np, "argmax", np.argmin)
    assert verdict(PURSUIT) == "fails"
