"""The C++ twin of each scalar penalty (csrc/radial.h) against its one formula in Python, over wide ranges."""

from __future__ import annotations

import numpy as np
import pytest

from sparseopt import penalties
from sparseopt._native import HAS_NATIVE, build_info, radial_twin
from sparseopt._native.loader import core
from sparseopt.penalties import strength as at_strength

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

RHOS = [
    penalties.Linear(),
    *(penalties.Power(q) for q in (0.1, 0.5, 2 / 3, 0.9)),
    *(penalties.Log(eps) for eps in (1e-3, 0.5, 30.0)),
    penalties.Ratio(),
    penalties.ExpMask(),
    *(penalties.MCP(gamma) for gamma in (0.7, 3.0, 40.0)),
    *(penalties.SCAD(a) for a in (1.3, 3.7, 40.0)),
    penalties.L0(),
]
STEPS = [1e-8, 1e-3, 0.1, 0.5, 1.0, 7.3, 10.0, 10.6, 12.0, 50.0, 1e3, 1e6]
ULP = np.finfo(float).eps


def twin(rho, v, step):
    """The C++ prox of each entry of v [n]."""
    return np.array([core.radial_prox(*radial_twin(rho), float(a), float(step)) for a in v])


def objective(rho, r, v, step):
    """Prox objective less v^2 / 2, [n]."""
    return r * (r / 2 - v) + step * rho.value(r)


def range_of_norms(rho, step, n=400):
    """Norms over twelve decades, and closely around the step."""
    rng = np.random.default_rng(0)
    return np.concatenate([10.0 ** rng.uniform(-6, 6, n), step * rng.uniform(0.5, 2.0, n), rng.uniform(0, 30, n)])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_twins_agree(rho, step):
    v = range_of_norms(rho, step)
    compiled, python = twin(rho, v, step), rho.prox(v, step)
    near = np.abs(compiled - python) <= 32 * ULP * (v + 1)
    # Where they differ they chose either side of a jump: both are minimisers, up to the rounding of the objective.
    gap = np.abs(objective(rho, compiled, v, step) - objective(rho, python, v, step))
    tie = gap <= 64 * ULP * (v * v + step * (1 + rho.value(v)))
    assert (near | tie).all(), (v[~(near | tie)], compiled[~(near | tie)], python[~(near | tie)])
    assert near.mean() > 0.97


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_no_point_of_a_fine_grid_is_better(rho, step):
    v = np.concatenate([[0.0], 10.0 ** np.linspace(-4, 4, 60), step * np.linspace(0.5, 2.0, 20)])
    best = objective(rho, twin(rho, v, step), v, step)
    slack = 64 * ULP * (v * v + step * (1 + rho.value(v)))
    assert (best <= objective(rho, np.linspace(0, 1, 301)[:, None] * v, v, step) + slack).all()


@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_without_a_step_nothing_moves(rho):
    v = np.array([0.0, 1e-300, 1e-12, 1.0, 1e12])
    np.testing.assert_array_equal(twin(rho, v, 0.0), v)


def test_small_arguments_of_the_exp_mask_do_not_vanish():
    v = np.array([1e-300, 1e-100, 1e-8, 1e-3])
    np.testing.assert_allclose(twin(penalties.ExpMask(), v, 5.0), v / 11, rtol=1e-5)
    np.testing.assert_allclose(twin(penalties.ExpMask(), v[:3], 5.0), v[:3] / 11, rtol=1e-14)


def test_known_values():
    power, ratio = radial_twin(penalties.Power(0.5)), radial_twin(penalties.Ratio())
    # D7: the threshold of l_1/2 is 1.5 step^(2/3), where 0 and step^(2/3) are equally good; a tie goes to 0.
    assert core.radial_prox(*power, 1.5 - 1e-12, 1.0) == 0
    assert core.radial_prox(*power, 1.5 + 1e-12, 1.0) == pytest.approx(1.0, abs=1e-11)
    largest = max(np.roots([1.0, -2.0, 0.0, 0.5]).real)
    assert core.radial_prox(*ratio, 1.0, 0.5) == pytest.approx(largest - 1, rel=1e-14)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 7.0])
@pytest.mark.parametrize("rho", RHOS, ids=repr)
def test_value_and_slope_twins_agree_at_a_strength(rho, strength):
    t = np.concatenate([10.0 ** np.linspace(-8, 6, 300), strength * np.linspace(0.1, 50, 200)])
    value = np.array([core.radial_value(*radial_twin(rho), float(a), strength) for a in t])
    slope = np.array([core.radial_slope(*radial_twin(rho), float(a), strength) for a in t])
    s = np.full_like(t, strength)
    np.testing.assert_allclose(value, at_strength.value(rho, t, s), rtol=64 * ULP)
    np.testing.assert_allclose(slope, at_strength.slope(rho, t, s), rtol=64 * ULP, atol=8 * ULP * strength)
