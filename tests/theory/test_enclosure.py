"""Rational enclosures contain the true values and are narrow."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.enclosure import Interval, exp, root_of_increasing, sqrt

positive = st.fractions(min_value=0, max_value=20, max_denominator=1000)


@given(positive)
def test_sqrt_encloses(x):
    root = sqrt(x)
    assert root.low**2 <= x <= root.high**2
    assert root.width < Fraction(1, 10**40)


@given(st.integers(0, 99), st.integers(1, 99))
def test_sqrt_is_exact_on_squares(a, b):
    assert sqrt(Fraction(a * a, b * b)) == Interval.point(Fraction(a, b))


@given(positive)
def test_exp_encloses(x):
    value = exp(x)
    assert float(value.low) == pytest.approx(math.exp(x), rel=1e-14)
    assert value.width <= value.high / 10**30
    shifted = exp(x + 1)  # e^(x + 1) = e^x e: two computations whose enclosures must overlap
    one = exp(Fraction(1))
    assert value.low * one.low <= shifted.high
    assert shifted.low <= value.high * one.high


@given(st.fractions(min_value=Fraction(1, 10), max_value=5, max_denominator=100))
def test_root_encloses(y):
    root = root_of_increasing(lambda x: Interval.point(x**3), y, float(y) ** (1 / 3))
    assert root.low**3 <= y <= root.high**3
    assert root.width < Fraction(1, 10**30)


def test_intervals_add_and_map_outwards():
    one, two = Interval.point(1), Interval(Fraction(1), Fraction(2))
    assert one + two == Interval(Fraction(2), Fraction(3))
    assert two - one == Interval(Fraction(0), Fraction(1))
    assert two.map(sqrt).high ** 2 >= 2
    assert Interval(math.inf, math.inf).width == 0
