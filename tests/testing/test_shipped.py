"""Every shipped object passes its battery: a few examples here, all seeds in the slow tests."""

from __future__ import annotations

import pytest
from bisected_topk import BisectedTopK
from shipped import DATAFITS, PENALTIES, SCALAR_PENALTIES, SETS, SOLVERS, VALUES_ALONE, WITH_PROBLEMS

import sparseopt as so

CASES = {
    **{name: (so.testing.check_penalty, penalty, {}) for name, penalty in PENALTIES.items()},
    **{name: (so.testing.check_penalty, penalty, {"minimum": 5}) for name, penalty in VALUES_ALONE.items()},
    **{repr(rho): (so.testing.check_penalty, rho, {}) for rho in SCALAR_PENALTIES},
    **{name: (so.testing.check_set, projector, {}) for name, projector in SETS.items()},
    **{name: (so.testing.check_datafit, datafit, {}) for name, datafit in DATAFITS.items()},
    **{name: (so.testing.check_solver, solver, {}) for name, solver in SOLVERS.items()},
    **{
        name: (so.testing.check_solver, solver, {"problems": [problem], "minimum": minimum})
        for name, (solver, problem, minimum) in WITH_PROBLEMS.items()
    },
    "SoftTopK": (so.testing.check_topk, so.SoftTopK, {"minimum": 21}),
    "plain soft top-k": (so.testing.check_topk, BisectedTopK, {}),
}
EVERY = pytest.mark.parametrize(("check", "subject", "options"), CASES.values(), ids=CASES)
FAST = {name: case for name, case in CASES.items() if "," not in name}  # names with a comma are of variants


@pytest.mark.sample(every=5)
@pytest.mark.parametrize(("check", "subject", "options"), FAST.values(), ids=FAST)
def test_it_passes(check, subject, options):
    check(subject, examples=2, **options)


@pytest.mark.slow
@EVERY
def test_it_raises_no_alarm_over_twenty_seeds(check, subject, options):
    check(subject, examples=1, seed=range(20), **options)
