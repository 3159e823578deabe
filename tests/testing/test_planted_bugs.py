"""Planted bugs: every wrong variant is caught by the property whose name says why."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from wrong_datafits import datafits
from wrong_penalties import penalties
from wrong_sets import sets
from wrong_solvers import solvers
from wrong_topk import topk

import sparseopt as so

BATTERIES = {
    "penalty": so.testing.check_penalty,
    "set": so.testing.check_set,
    "topk": so.testing.check_topk,
    "datafit": so.testing.check_datafit,
    "solver": so.testing.check_solver,
}
PLANTED = [*penalties(), *sets(), *topk(), *datafits(), *solvers()]
LEAST = {"penalty": 12, "set": 12, "topk": 6, "datafit": 4, "solver": 6}
PATIENT = 400
"""Examples at most: what Hypothesis draws depends on the imported modules too; a bug that is caught ends them."""

EVERY = pytest.mark.parametrize("planted", PLANTED, ids=str)


def test_there_are_enough():
    counts = Counter(planted.kind for planted in PLANTED)
    assert all(counts[kind] >= least for kind, least in LEAST.items())
    assert len(PLANTED) >= 40
    assert len({str(planted) for planted in PLANTED}) == len(PLANTED)


@pytest.mark.sample(every=17)
@EVERY
def test_it_is_caught(planted):
    check = BATTERIES[planted.kind]
    (record,) = check(planted.subject, only=[planted.caught_by], examples=PATIENT, raises=False)
    assert record.status == "failed"
    assert record.examples >= 1
    assert "violated" in record.reason or "raised" in record.reason


@pytest.mark.slow
@EVERY
def test_it_is_caught_with_other_seeds(planted):
    for seed in range(1, 5):
        with pytest.raises(so.testing.BatteryFailed, match=re.escape(planted.caught_by)):
            BATTERIES[planted.kind](planted.subject, only=[planted.caught_by], examples=PATIENT, seed=seed)
