"""Planted bugs in what the theorems on solvers rely on: each must turn a verdict."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
from theory import check
from theory.solvers.duality_gap_bounds import THEOREM as GAP
from theory.solvers.gap_safe_screening import THEOREM as SCREENING
from theory.solvers.lambda_max_is_sharp import THEOREM as LAMBDA_MAX
from theory.solvers.unique_solution import THEOREM as UNIQUE

duality_gap = importlib.import_module("sparseopt.certify.duality_gap")
support = importlib.import_module("sparseopt.certify.support")
uniqueness = importlib.import_module("sparseopt.certify.uniqueness")

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


@pytest.mark.parametrize("factor", [0.9, 1.2])
def test_lambda_max_off(monkeypatch, factor):
    lambda_max = so.lambda_max
    monkeypatch.setattr(so, "lambda_max", lambda problem: factor * lambda_max(problem))
    assert verdict(LAMBDA_MAX) == "fails"


def test_lambda_max_of_the_raw_data(monkeypatch):
    raw = lambda problem: problem.penalty.critical_lam(-problem.gradient(np.zeros(problem.w_shape)))  # noqa: E731
    monkeypatch.setattr(so, "lambda_max", raw)
    assert verdict(LAMBDA_MAX, n=16) == "fails"


def test_screening_with_the_gap_left_out(monkeypatch):
    at = support.GapBounds.at
    monkeypatch.setattr(support.GapBounds, "at", lambda problem, w: replace(at(problem, w), lower=0.0, upper=0.0))
    assert verdict(SCREENING, n=40) == "fails"


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
