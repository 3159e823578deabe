"""Schedules of the temperature of the soft top-k."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sparseopt as so


@pytest.mark.parametrize("kind", [so.ExponentialTemperature, so.LinearTemperature, so.InverseTemperature])
def test_schedules(kind):
    schedule = kind(2.0, 0.5, 100)
    assert schedule(0) == 2.0
    assert schedule(100) == pytest.approx(0.5)
    assert schedule(1000) == pytest.approx(0.5)
    middle = {"ExponentialTemperature": 1.0, "LinearTemperature": 1.25, "InverseTemperature": 0.8}
    assert schedule(50) == pytest.approx(middle[kind.__name__])
    values = [schedule(step) for step in range(101)]
    assert (np.diff(values) < 0).all()
    assert kind(1e-300, 1e300, 100)(50) == pytest.approx({1.0: 1.0, 1.25: 5e299, 0.8: 2e-300}[middle[kind.__name__]])
    with pytest.raises(ValueError, match="step"):
        schedule(-1)
    for bad in ((0.0, 1.0, 10), (1.0, -1.0, 10), (1.0, 0.5, 0)):
        with pytest.raises(ValueError, match="positive"):
            kind(*bad)


def test_annealing_law_prunes_above_one_half():
    """Ledger B6: gradient descent on |u - y|^2 / 2, u = w f, one entry pruned by the frozen scores (D, 0)."""
    ends = {}
    for p in (0.25, 0.5, 1.0):
        schedule = so.AnnealingTemperature(gap=1.0, p=p)
        assert schedule.prunes == (p > 0.5)
        w = 0.0
        for step in range(100_000):
            leak = min(1.0, (step + 2.0) ** -p)  # e^{-D / (2 tau)}: what the soft top-1 of two scores tends to
            assert step % 9973 or leak == pytest.approx(math.exp(-1.0 / (2 * schedule(step))), rel=1e-9)
            w -= 0.5 * leak * (leak * w - 1.0)
        ends[p] = w * leak
    assert ends[0.25] > 0.95
    assert ends[0.5] == pytest.approx(0.5, abs=0.01)  # eta / (eta + 1/2), eta = 1/2
    assert ends[1.0] < 1e-3
    with pytest.raises(ValueError, match="step"):
        so.AnnealingTemperature(1.0)(-1)
