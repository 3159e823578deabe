"""Functions q beyond those of the package: penalties of a user's own, and rational ones for exact counterexamples.

Array functions have value, slope and inverse of a scalar penalty, and `enclose`, by which `so.certify.subadditivity`
shows what it cannot read off a formula.  Exact functions take a Fraction and return an `Interval`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..enclosure import Interval, exp, root_of_increasing, sqrt

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Tanh:
    """q(t) = tanh t: concave and bounded by 1."""

    slope0 = 1.0

    def value(self, t: np.ndarray) -> np.ndarray:
        """tanh t for t [...] >= 0."""
        return np.tanh(t)

    def slope(self, t: np.ndarray) -> np.ndarray:
        """1 - tanh^2 t."""
        return 1 - np.tanh(t) ** 2

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """artanh y, +inf from y = 1 on."""
        below = y < 1
        return np.where(below, np.arctanh(np.where(below, np.maximum(y, 0), 0)), math.inf)

    def enclose(self, low: float, high: float) -> tuple[Bounds, Bounds, Bounds]:
        """Value, slope 1 - q^2 and curvature -2 q (1 - q^2) <= 0 over [low, high], widened far beyond rounding."""
        bottom, top = math.tanh(low) * (1 - 1e-14), min(math.tanh(high) * (1 + 1e-14), 1.0)
        flattest = max(4 * math.exp(-2 * high) / (1 + math.exp(-2 * high)) ** 2 * (1 - 1e-12), 0.0)
        return (bottom, top), (flattest, 1.0), (-1.0, 0.0)


@dataclass(frozen=True)
class Jump:
    """q(t) = t + 1[t > 0]: concave with a jump at 0, so its range {0} u (1, inf) has a hole."""

    slope0 = math.inf

    def value(self, t: np.ndarray) -> np.ndarray:
        """t + 1 for t > 0, else 0."""
        return t + (t > 0)

    def slope(self, t: np.ndarray) -> np.ndarray:
        """1 for t > 0."""
        return np.where(t > 0, 1.0, math.inf)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """y - 1, 0 up to y = 1."""
        return np.maximum(y - 1, 0.0)

    def enclose(self, low: float, high: float) -> tuple[Bounds, Bounds, Bounds]:
        """Enclosures over [low, high]; the jump counts as an infinite slope at 0, decreasing to 1."""
        ends = [0.0 if t == 0 else math.nextafter(t + 1, side) for t, side in ((low, 0.0), (high, math.inf))]
        return (ends[0], ends[1]), (1.0, math.inf if low == 0 else 1.0), (-math.inf if low == 0 else 0.0, 0.0)


@dataclass(frozen=True)
class Staircase:
    """q(t) = t + ceil(t): strictly increasing and subadditive, with a jump at every integer."""

    slope0 = math.inf

    def value(self, t: np.ndarray) -> np.ndarray:
        """t + ceil(t)."""
        return t + np.ceil(t)

    def slope(self, t: np.ndarray) -> np.ndarray:
        """1 between the integers."""
        return np.ones_like(t)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """y - k on (2k - 1, 2k], and k on the hole (2k, 2k + 1]."""
        y = np.maximum(y, 0)
        k = np.floor(y / 2)
        return np.where(y > 2 * k + 1, y - k - 1, k)


@dataclass(frozen=True)
class ExactRatio:
    """q(t) = t / (1 + t) with its generalised inverse."""

    twin = so.penalties.Ratio()

    def value(self, t: Fraction) -> Interval:
        """t / (1 + t)."""
        return Interval.point(t / (1 + t))

    def inverse(self, y: Fraction) -> Interval:
        """y / (1 - y), inf from 1 on."""
        return Interval.point(y / (1 - y)) if y < 1 else Interval(math.inf, math.inf)


@dataclass(frozen=True)
class FormalRatio(ExactRatio):
    """The same q with the formula y / (1 - y) used beyond the range of q, where it is negative."""

    def inverse(self, y: Fraction) -> Interval:
        """y / (1 - y) for every y != 1."""
        return Interval.point(y / (1 - y))


@dataclass(frozen=True)
class ExactRoot:
    """q(t) = sqrt t."""

    twin = so.penalties.Power(0.5)

    def value(self, t: Fraction) -> Interval:
        """sqrt t."""
        return sqrt(t)

    def inverse(self, y: Fraction) -> Interval:
        """y^2."""
        return Interval.point(y * y)


@dataclass(frozen=True)
class ShiftedRoot:
    """q(t) = 1 + sqrt t: strictly increasing and subadditive, but q(0) = 1."""

    twin = None

    def value(self, t: Fraction) -> Interval:
        """1 + sqrt t."""
        return Interval.point(1) + sqrt(t)

    def inverse(self, y: Fraction) -> Interval:
        """(y - 1)^2, 0 up to 1."""
        return Interval.point(max(y - 1, Fraction(0)) ** 2)


@dataclass(frozen=True)
class Capped:
    """q(t) = min(t, 1), the capped l1 penalty: subadditive, but constant beyond 1 (as MCP and SCAD are)."""

    twin = None

    def value(self, t: Fraction) -> Interval:
        """min(t, 1)."""
        return Interval.point(min(t, Fraction(1)))

    def inverse(self, y: Fraction) -> Interval:
        """inf{t: min(t, 1) >= y} = y up to 1, inf beyond."""
        return Interval.point(y) if y <= 1 else Interval(math.inf, math.inf)


@dataclass(frozen=True)
class StaircaseWithoutHoles:
    """q(t) = t + ceil(t) with the inverse in the strict sense: undefined (NaN) outside the range of q."""

    twin = None

    def value(self, t: Fraction) -> Interval:
        """t + ceil(t)."""
        return Interval.point(t + math.ceil(t))

    def inverse(self, y: Fraction) -> Interval:
        """The t with q(t) = y; NaN in a hole."""
        k = math.ceil(y / 2)
        return Interval.point(y - k) if y == 0 or y > 2 * k - 1 else Interval(math.nan, math.nan)


@dataclass(frozen=True)
class ExactExpMask:
    """The Lambert penalty s^2 + s^4 with t = s e^(s^2) (ledger A1), enclosed by rational numbers."""

    twin = so.penalties.ExpMask()

    def value(self, t: Fraction) -> Interval:
        """q(t), to about 30 digits."""
        if t == 0:
            return Interval.point(0)
        rough = float(self.twin.value(np.array([float(t)]))[0])
        guess = math.sqrt(2 * rough / (1 + math.sqrt(1 + 4 * rough)))
        s = root_of_increasing(_mask_curve, t, guess)
        return Interval(s.low**2 + s.low**4, s.high**2 + s.high**4)

    def inverse(self, y: Fraction) -> Interval:
        """sqrt(w) e^w with w = (sqrt(1 + 4 y) - 1) / 2."""
        root = sqrt(1 + 4 * y)
        square = Interval((Fraction(root.low) - 1) / 2, (Fraction(root.high) - 1) / 2)
        return square.map(lambda w: _product(sqrt(w), exp(w)))


def _mask_curve(s: Fraction) -> Interval:
    return exp(s * s).times(s) if s > 0 else Interval.point(0)


def _product(first: Interval, second: Interval) -> Interval:
    return Interval(first.low * second.low, first.high * second.high)


def is_exact(q: Any) -> bool:
    """Whether q works on Fractions."""
    return hasattr(q, "twin")


def float_value(q: Any, t: Any) -> np.ndarray:
    """q at t [...] as floats, for either kind of function; an exact one is replaced by its twin if it has one."""
    function = getattr(q, "twin", None) or q
    if not is_exact(function):
        return np.asarray(function.value(np.asarray(t, dtype=float)))
    flat = [float(q.value(Fraction(float(v))).high) for v in np.ravel(t)]
    return np.reshape(flat, np.shape(t))


SLACK = 2.0**-40
"""Room left in margins of conditions that hold with equality, e.g. q(0) = 0."""

GRID = np.concatenate([np.geomspace(1 / 64, 1, 7), np.linspace(1.25, 4, 12)])


def increase_margin(q: Any) -> float:
    """Smallest difference quotient of q over a grid on [0, 4]: strictly increasing means > 0."""
    points = np.concatenate([[0.0], GRID])
    values = float_value(q, points)
    return float((np.diff(values) / np.diff(points)).min())


def zero_margin(q: Any) -> float:
    """2^-40 - |q(0)|."""
    return SLACK - abs(float(float_value(q, np.zeros(1))[0]))


SUBADDITIVE_BY_FORMULA = {
    Staircase: "t + ceil(t), and ceil(a + b) <= ceil(a) + ceil(b)",
    StaircaseWithoutHoles: "t + ceil(t), and ceil(a + b) <= ceil(a) + ceil(b)",
    ShiftedRoot: "1 + sqrt(a + b) <= 1 + sqrt(a) + sqrt(b) + 1",
    Capped: "min(a + b, 1) <= min(a, 1) + min(b, 1)",
}
"""Functions of this file that are subadditive by a formula that `so.certify.subadditivity` does not cover."""


def subadditivity_margin(q: Any, radius: float) -> float:
    """1 where q is shown to be subadditive up to `radius`, by formula or by branch and bound; else -1."""
    if type(q) in SUBADDITIVE_BY_FORMULA:
        return 1.0
    shown = so.certify.subadditivity(getattr(q, "twin", None) or q, max(radius, 1.0))  # all norms may be zero
    return 1.0 if shown.proved else -1.0
