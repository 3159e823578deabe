"""Planted bugs: every wrong variant is caught by the property whose name says why."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from wrong_penalties import penalties
from wrong_sets import sets

import sparseopt as so

BATTERIES = {"penalty": so.testing.check_penalty, "set": so.testing.check_set}
PLANTED = [*penalties(), *sets()]
EVERY = pytest.mark.parametrize("planted", PLANTED, ids=str)


def test_there_are_enough():
    counts = Counter(planted.kind for planted in PLANTED)
    assert counts["penalty"] >= 12
    assert counts["set"] >= 12
    assert len({str(planted) for planted in PLANTED}) == len(PLANTED)


@EVERY
def test_it_is_caught(planted):
    check = BATTERIES[planted.kind]
    (record,) = check(planted.subject, only=[planted.caught_by], raises=False)
    assert record.status == "failed"
    assert record.examples >= 1
    assert "violated" in record.reason or "raised" in record.reason


@pytest.mark.slow
@EVERY
def test_it_is_caught_with_twenty_seeds(planted):
    for seed in range(20):
        with pytest.raises(so.testing.BatteryFailed, match=re.escape(planted.caught_by)):
            BATTERIES[planted.kind](planted.subject, only=[planted.caught_by], seed=seed)
