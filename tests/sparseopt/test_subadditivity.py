"""Subadditivity is shown by formula or by branch and bound, never taken from a declared trait."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from sparseopt.certify import subadditivity
from sparseopt.penalties import ExpMask, Linear, Log, Power, Ratio


class Rational:
    """numerator(t) / denominator(t) with integer coefficients; enclosures in Fractions, rounded outwards.

    Its denominator must increase on t >= 0, with non-negative coefficients; numerators are split by sign, so that each
    part is monotone in t.
    """

    slope0, weak_convexity, convex = 1.0, 0.0, False

    def __init__(self, numerator, denominator) -> None:
        self.parts = [(list(map(Fraction, numerator)), list(map(Fraction, denominator)))]
        for _ in range(2):
            self.parts.append(_derivative(*self.parts[-1]))

    def value(self, t):
        return np.array([float(_polynomial(self.parts[0][0], x) / _polynomial(self.parts[0][1], x)) for x in t])

    def enclose(self, low, high):
        return tuple(self._range(n, d, Fraction(low), Fraction(high)) for n, d in self.parts)

    @staticmethod
    def _range(n, d, low, high):
        positive, negative = [max(c, 0) for c in n], [max(-c, 0) for c in n]
        bottom = _polynomial(positive, low) - _polynomial(negative, high)
        top = _polynomial(positive, high) - _polynomial(negative, low)
        bottom /= _polynomial(d, low if bottom < 0 else high)
        top /= _polynomial(d, high if top < 0 else low)
        if bottom == 0 and top == 0:
            return 0.0, 0.0
        return math.nextafter(float(bottom), -math.inf), math.nextafter(float(top), math.inf)


def _polynomial(c, t):
    return sum((a * t**k for k, a in enumerate(c)), Fraction(0))


def _product(a, b):
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return out


def _derivative(n, d):
    """(n' d - n d') / d^2."""
    dn, dd = ([k * c for k, c in enumerate(p)][1:] or [Fraction(0)] for p in (n, d))
    left, right = _product(dn, d), _product(n, dd)
    size = max(len(left), len(right))
    left, right = left + [Fraction(0)] * (size - len(left)), right + [Fraction(0)] * (size - len(right))
    return [x - y for x, y in zip(left, right, strict=True)], _product(d, d)


class RisingSlope:
    """t / (1 + t) + 5/2 t^2 / (9 + t^2): subadditive, not concave: its slope rises around t = 0.8.

    Every factor is monotone, so its ends enclose it; 1e-14 relative (1e-12 for the curvature) covers the rounding.
    """

    slope0, weak_convexity, convex = 1.0, math.inf, False

    def value(self, t):
        return t / (1 + t) + 2.5 * t**2 / (9 + t**2)

    def slope(self, t):
        return 1 / (1 + t) ** 2 + 45 * t / (9 + t**2) ** 2

    def inverse(self, y):
        low, high = np.zeros_like(y), np.full_like(y, 1e6)
        for _ in range(120):
            middle = (low + high) / 2
            low, high = np.where(self.value(middle) < y, middle, low), np.where(self.value(middle) < y, high, middle)
        return high

    def enclose(self, a, b):
        value = self.value(a), self.value(b)
        slope = 1 / (1 + b) ** 2 + 45 * a / (9 + b**2) ** 2, 1 / (1 + a) ** 2 + 45 * b / (9 + a**2) ** 2
        ends = [(c, (9 + d**2) ** -3) for c in (405 - 135 * a**2, 405 - 135 * b**2) for d in (a, b)]
        bends = [c * d for c, d in ends]
        curvature = min(bends) - 2 / (1 + a) ** 3 - 1e-12, max(bends) - 2 / (1 + b) ** 3 + 1e-12
        return tuple((low - 1e-14 * abs(low), high + 1e-14 * abs(high)) for low, high in (value, slope, curvature))


@pytest.mark.parametrize(
    "rho", [Linear(), Power(0.01), Power(0.5), Power(0.99), Log(1e-3), Log(1.0), Ratio()], ids=repr
)
@pytest.mark.parametrize("radius", [1e-9, 1.0, 1e9, math.inf])
def test_concave_formulas_are_proved(rho, radius):
    certificate = subadditivity(rho, radius)
    assert certificate.proved
    assert (certificate.lower, certificate.upper) == (0, 0)


def test_a_rigorous_enclosure_is_used_by_branch_and_bound():
    rho, t = RisingSlope(), np.linspace(0, 3, 301)
    assert np.any(np.diff(rho.slope(t)) > 0), "it would be concave"
    a, b = np.meshgrid(t[1:151], t[1:151])
    assert (rho.value(a) + rho.value(b) - rho.value(a + b)).min() > 0
    certificate = subadditivity(rho, 3.0)
    assert certificate.proved, certificate.reason
    assert "boxes" in certificate.reason


def test_concave_rationals_are_proved_with_one_box():
    assert subadditivity(Rational([0, 1], [1, 1]), 100.0).proved


@pytest.mark.parametrize(
    "rho",
    [Rational([0, 1, 1], [1]), Rational([0, 1, 0, 5], [1]), Rational([0, 1, 8], [1, 1])],
    ids=["t+t2", "t+5t3", "s"],
)
def test_superadditive_functions_are_refuted_with_a_witness(rho):
    certificate = subadditivity(rho, 2.0)
    assert certificate.verdict == "refuted"
    assert certificate.lower > 0
    a, b = (float(part.split(")")[0]) for part in certificate.reason.split("q(")[1:3])
    sums = rho.value([a, b, a + b])
    assert sums[0] + sums[1] < sums[2]


def test_a_function_that_is_not_increasing_is_undecided():
    certificate = subadditivity(Rational([0, 4, -1], [1]), 3.0)  # 4 t - t^2 falls after 2
    assert certificate.verdict == "undecided"
    assert "increasing" in certificate.reason
    assert subadditivity(Rational([0, 4, -1], [1]), 1.9).proved


def test_a_function_that_is_not_zero_at_zero_is_undecided():
    assert "0 at 0" in subadditivity(Rational([1, 1], [1]), 1.0).reason
    assert not subadditivity(Rational([1, 1], [1]), 1.0).proved


class DeclaredConcave:
    """Claims everything and shows nothing."""

    slope0, weak_convexity, convex, concave, subadditive = 1.0, 1.0, False, True, True

    def value(self, t):
        return t**2


class SquaredPower(Power):
    """A subclass of a trusted formula, with another formula."""

    def value(self, t):
        return t**2


@pytest.mark.parametrize("rho", [DeclaredConcave(), SquaredPower(0.5), ExpMask()], ids=lambda r: type(r).__name__)
def test_declared_traits_and_overridden_formulas_are_not_trusted(rho):
    certificate = subadditivity(rho, 1.0)
    assert certificate.verdict == "undecided"
    assert certificate.upper == math.inf


def test_an_unbounded_range_is_undecided_for_branch_and_bound():
    certificate = subadditivity(RisingSlope(), math.inf)
    assert "not bounded" in certificate.reason
    assert not certificate.proved
