"""Every theorem holds at the quick level, has all of its parts, and gives the same rows for the same seed."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import sparseopt as so
import theory
from theory import THEOREMS, check
from theory.check import run_trial
from theory.record import row
from theory.sequential_attention import one_group_global_optimum
from theory.sequential_attention.inverse_sum_dominates import exp_mask_defect
from theory.sequential_attention.sandwich import ExactSandwich
from theory.sequential_attention.scalar_functions import (
    SUBADDITIVE_BY_FORMULA,
    Jump,
    Tanh,
    float_value,
    subadditivity_margin,
)

by_name = pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.name)


@pytest.mark.sample(every=11)
@by_name
def test_a_theorem_holds_at_the_quick_level(theorem):
    """One test for all that is asked of a report, since tests of one theorem may run in several processes."""
    report = check(theorem, theorem.sizes["quick"], seed=1)
    assert report.ok, report.failure
    assert all(outcome.evidence is not None for outcome in report.fixed)
    assert all(s.separated for s in report.separations)
    assert theorem.kind == "sampled" or all(s.evidence.exact for s in report.separations)
    assert run_trial(theorem, report.worst.seed) == report.worst
    found = row(report, "quick")
    assert not found["attacks"] or found["attacks"]["below"] == 0 < found["attacks"]["tried"]
    assert not found["certificates"] or found["certificates"]["asked"] == found["certificates"]["proved"] > 0
    assert math.isfinite(found["worst_margin"])
    assert found["worst_margin"] >= -found["tolerance"]


@by_name
def test_every_necessary_hypothesis_has_a_counterexample(theorem):
    names = [h.name for h in theorem.hypotheses]
    assert len(set(names)) == len(names)
    dropped = {c.drops for c in theorem.counterexamples}
    assert dropped == {h.name for h in theorem.hypotheses if h.necessary}
    assert all(h.why for h in theorem.hypotheses if not h.necessary)


@by_name
def test_names_match_files_and_parts_are_there(theorem):
    files = [p.stem for p in Path(theory.__file__).parent.rglob("*.py")]
    assert theorem.name in files
    assert theorem.kind in ("closed form", "certified", "sampled")
    assert theorem.title
    assert theorem.statement
    assert theorem.source
    assert set(theorem.sizes) == {"quick", "standard", "full"}
    assert theorem.printed in ("holds", "holds with a repair", "false as printed", "not printed", "open")


@pytest.mark.slow
@by_name
def test_rows_depend_on_the_seed_alone(theorem):
    random = replace(theorem, fixed=(), counterexamples=())
    rows = [row(check(random, 6, seed, workers=workers), "quick") for seed, workers in ((3, 1), (3, 2), (4, 1))]
    for r in rows:
        del r["seconds"]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


@pytest.mark.sample(every=11)
@by_name
def test_curves_are_columns_of_one_length_and_repeat(theorem):
    first, second = theorem.curves(0), theorem.curves(0)
    assert first
    for name, columns in first.items():
        assert len({len(values) for values in columns.values()}) == 1
        assert all(list(values) == list(second[name][column]) for column, values in columns.items())


def test_the_contour_shows_the_sandwich():
    contour = one_group_global_optimum.THEOREM.curves(0)["contour"]
    assert np.all(np.array(contour["inverse_sum"]) >= np.array(contour["group_lasso"]) - 1e-12)


def test_exact_instances_state_true_facts():
    for case in one_group_global_optimum.COUNTEREXAMPLES:
        instance = case.instance()
        assert isinstance(instance, ExactSandwich)
        assert instance.kkt_error == 0
        assert min(instance.shifted_minors) >= 0


def test_the_numbers_of_the_ledger():
    defect = exp_mask_defect()
    # ledger A2 prints 74 for the digits 45 in the middle; the enclosure and 40-digit arithmetic agree on 45
    assert Fraction("-0.19444477345911980219") <= defect.low <= defect.high <= Fraction("-0.19444477345911980218")
    instance = one_group_global_optimum.exp_mask_instance()
    value = instance.value(instance.competitors[0])
    assert value.low + 2 > Fraction("1.30790624113076")  # F leaves out the constant 2 of L
    assert value.high + 2 < Fraction("1.30790624113078")


def test_subadditivity_counts_only_where_it_is_shown():
    """A q with the values of sqrt, which no grid could tell from it, but without a formula or an enclosure."""

    class Unknown:
        def value(self, t):
            return np.sqrt(t)

    assert subadditivity_margin(Unknown(), 4.0) < 0
    assert subadditivity_margin(so.penalties.ExpMask(), 4.0) < 0
    shown = (so.penalties.Power(0.5), Tanh(), *(make() for make in SUBADDITIVE_BY_FORMULA))
    assert all(subadditivity_margin(q, radius) > 0 for q in (*shown, Jump()) for radius in (0.0, 4.0))


@pytest.mark.parametrize("make", SUBADDITIVE_BY_FORMULA)
def test_what_is_subadditive_by_formula_is_so_on_a_grid(make):
    a, b = np.meshgrid(np.arange(1, 65) / 16, np.arange(1, 65) / 16)
    q = make()
    assert np.all(float_value(q, a + b) <= float_value(q, a) + float_value(q, b) + 1e-12)
