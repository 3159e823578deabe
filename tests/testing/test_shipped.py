"""Every shipped object passes its battery: a few examples here, all seeds in the slow tests."""

from __future__ import annotations

import pytest
from shipped import PENALTIES, SCALAR_PENALTIES, SETS, VALUES_ALONE

import sparseopt as so

CASES = {
    **{name: (so.testing.check_penalty, penalty, {}) for name, penalty in PENALTIES.items()},
    **{name: (so.testing.check_penalty, penalty, {"minimum": 5}) for name, penalty in VALUES_ALONE.items()},
    **{repr(rho): (so.testing.check_penalty, rho, {}) for rho in SCALAR_PENALTIES},
    **{name: (so.testing.check_set, projector, {}) for name, projector in SETS.items()},
}
EVERY = pytest.mark.parametrize(("check", "subject", "options"), CASES.values(), ids=CASES)


@EVERY
def test_it_passes(check, subject, options):
    check(subject, examples=3, **options)


@pytest.mark.slow
@EVERY
def test_it_raises_no_alarm_over_twenty_seeds(check, subject, options):
    for seed in range(20):
        check(subject, examples=15, seed=seed, **options)
