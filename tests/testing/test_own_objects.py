"""Objects of a user's own: batteries take what they have, and raise no alarm where they are right."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sparseopt as so
from sparseopt.testing import each_property
from sparseopt.testing.quadrature import integral


class UnitBall:
    """A set with a projection and nothing else, for NumPy."""

    numpy_only = True

    def project(self, v, out=None):
        if not np.isfinite(v).all():
            raise ValueError("v is not finite")
        found = v / max(1.0, math.hypot(*(float(x) for x in v)))
        if out is None:
            return found
        out[...] = found
        return out

    def example_shape(self, rng):
        return (int(rng.integers(1, 6)),)


class CappedL1:
    """min(t, 1), whose slope jumps."""

    def value(self, t):
        return np.minimum(t, 1.0)

    def slope(self, t):
        return (t < 1).astype(t.dtype)


@each_property(so.testing.check_set, [UnitBall()], examples=10, minimum=6)
def test_a_set_needs_a_projection_alone(run):
    run()


def test_what_is_for_numpy_alone_is_not_tried_with_other_libraries():
    (record,) = so.testing.check_set(UnitBall(), only=["array libraries agree"])
    assert (record.status, record.reason) == ("skipped", "it declares numpy_only")


def test_a_slope_that_jumps_is_integrated():
    so.testing.check_penalty(CappedL1(), only=["the value is the integral of the slope"], examples=100)


@pytest.mark.parametrize("share", [0.5, 0.501, 0.499, 1e-3, 0.999, 0.7509, 0.1257])
def test_integrals_of_steps(share):
    found, error = integral(lambda t: (t < share).astype(float), 0.0, 1.0, 1e-10)
    assert abs(found - share) <= error + 1e-9
    assert error <= 1e-9


class Remembered(UnitBall):
    """The same set, which remembers what it was given."""

    def __init__(self):
        self.seen = []

    def project(self, v, out=None):
        self.seen.append(v.tobytes())
        return super().project(v, out)


IDEMPOTENT = "projecting twice changes nothing"


def test_several_seeds_share_the_simplest_example_and_each_draws_its_own():
    ball = Remembered()
    (record,) = so.testing.check_set(ball, only=[IDEMPOTENT], examples=1, seed=range(5))
    assert (record.status, record.examples) == ("passed", 6)
    assert len(set(ball.seen)) > 5


def test_a_bug_that_the_simplest_example_does_not_show_is_found_by_one_example_of_a_later_seed():
    class Shrunk(UnitBall):
        def project(self, v, out=None):
            return super().project(0.9 * v, out)

    only = [IDEMPOTENT]
    assert so.testing.check_set(Shrunk(), only=only, examples=1)[0].status == "passed"
    with pytest.raises(so.testing.BatteryFailed):
        so.testing.check_set(Shrunk(), only=only, examples=1, seed=range(20))


@pytest.mark.parametrize("seed", [[], [0, -1], 1.5, "7", [None]])
def test_seeds_that_are_none(seed):
    with pytest.raises(ValueError, match="seed is"):
        so.testing.check_set(UnitBall(), examples=1, seed=seed)
