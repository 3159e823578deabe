"""Whether a scalar penalty is strictly increasing and subadditive, shown and not declared."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ..penalties import Linear, Log, Power, Ratio
from .certificate import PROVED, REFUTED, UNDECIDED, Certificate

CONCAVE_BY_FORMULA = (Linear, Log, Power, Ratio)
"""t, log(1 + t/eps), t^q and t/(1+t): first derivative > 0, second <= 0 on t > 0, and 0 at 0, hence subadditive."""

MAX_BOXES = 20_000

LATE = "the time limit was over before branch and bound was: raise it"

SAMPLES = 257
"""Points of [0, radius] at which the enclosures of a penalty are compared with its own values."""


def subadditivity(rho: Any, radius: float, late: Callable[[], bool] = lambda: False) -> Certificate:
    """Show q(0) = 0, q strictly increasing and q(a + b) <= q(a) + q(b) for all a, b >= 0 with a + b <= radius.

    By formula for Linear, Log, Power and Ratio (concave with value 0 at 0).  Otherwise by branch and bound over the
    triangle, for a rho with a method enclose(low, high) that returns rigorous enclosures ((value_low, value_high),
    (slope_low, slope_high), (curvature_low, curvature_high)) over [low, high]: of the values, of all difference
    quotients, and of the difference quotients of the slopes, so that slope_high and curvature_high are inf over an
    interval with a jump.  The proof is as good as these bounds, which are the caller's word; they are compared with
    value() and inverse() at SAMPLES points and with each other, and a contradiction ends it undecided.  A trait that is
    merely declared, or a subclass of a known formula, counts for nothing.

    Returns a Certificate: "proved", "refuted" (a point with q(a) + q(b) < q(a + b), named in the reason) or
    "undecided"; lower and upper bound the negative part -min(q(a) + q(b) - q(a + b), 0).
    late: asked again and again, ends what is by branch and bound.
    """
    if type(rho) in CONCAVE_BY_FORMULA:
        return _certificate(PROVED, 0.0, 0.0, f"{rho!r} is concave and 0 at 0, by its formula")
    if not callable(getattr(rho, "enclose", None)):
        return _certificate(UNDECIDED, 0.0, np.inf, f"{rho!r} is not a known concave formula and has no enclose()")
    if not np.isfinite(radius):
        return _certificate(UNDECIDED, 0.0, np.inf, "the range of norms to check is not bounded")
    return _branch_and_bound(rho, float(radius), late)


def _branch_and_bound(rho: Any, radius: float, late: Callable[[], bool]) -> Certificate:
    contradiction = _contradiction(rho, radius)
    if contradiction is not None:
        return _certificate(UNDECIDED, 0.0, np.inf, contradiction)
    if tuple(rho.enclose(0.0, 0.0)[0]) != (0.0, 0.0):
        return _certificate(UNDECIDED, 0.0, np.inf, f"{rho!r} is not shown to be 0 at 0")
    if not _increasing(rho, radius, late):
        reason = LATE if late() else f"{rho!r} is not shown to be strictly increasing"
        return _certificate(UNDECIDED, 0.0, np.inf, reason)
    boxes = [(0.0, radius, 0.0, radius)]
    for count in range(MAX_BOXES):
        if not boxes:
            return _certificate(PROVED, 0.0, 0.0, _reason_of_boxes(rho, radius, count))
        if late():
            return _certificate(UNDECIDED, 0.0, np.inf, LATE)
        box = boxes.pop()
        a, _, b, _ = box
        if a > box[3] or a + b > radius or _holds(rho, box, radius):
            continue
        excess = _low(rho, min(a + b, radius)) - _high(rho, a) - _high(rho, b)
        if excess > 0:
            return _certificate(REFUTED, excess, np.inf, f"q({a:g}) + q({b:g}) < q({a + b:g}) by at least {excess:g}")
        boxes += _halves(box)
    return _certificate(UNDECIDED, 0.0, np.inf, f"branch and bound stopped after {MAX_BOXES} boxes")


def _holds(rho: Any, box: tuple[float, float, float, float], radius: float) -> bool:
    """Whether S(a, b) = q(a) + q(b) - q(a + b) >= 0 is shown on the box [a1, a2] x [b1, b2]."""
    a1, a2, b1, b2 = box
    top = min(np.nextafter(a2 + b2, np.inf), radius)
    if _low(rho, a1) + _low(rho, b1) - _high(rho, top) > 1e-12 * _high(rho, top):
        return True
    if rho.enclose(0.0, top)[2][1] <= 0:
        return True
    # S(a, b) is the integral over s in [0, a] of q'(s) - q'(b + s)
    return bool(rho.enclose(0.0, a2)[1][0] >= rho.enclose(b1, max(top, b1))[1][1])


def _increasing(rho: Any, radius: float, late: Callable[[], bool]) -> bool:
    """Whether the slope is shown to be positive on (0, radius], by bisection of the interval; False when late."""
    pieces = [(0.0, radius)]
    for _ in range(MAX_BOXES):
        if not pieces or late():
            return not pieces
        low, high = pieces.pop()
        if rho.enclose(low, high)[1][0] > 0:
            continue
        middle = (low + high) / 2
        if not low < middle < high:
            return False
        pieces += [(low, middle), (middle, high)]
    return False


def _contradiction(rho: Any, radius: float) -> str | None:
    """The sentence on where the enclosures of rho disagree with its values, its inverse or each other, or None."""
    if not radius > 0:
        return None
    points = np.linspace(0.0, radius, SAMPLES)
    wrong = np.zeros(SAMPLES, dtype=bool)
    if callable(getattr(rho, "value", None)):
        values = rho.value(points)
        bounds = np.array([rho.enclose(float(t), float(t))[0] for t in points])
        slack = 64 * np.finfo(float).eps * np.abs(values)
        wrong |= (bounds[:, 0] > values + slack) | (values - slack > bounds[:, 1])
        if callable(getattr(rho, "inverse", None)):
            wrong |= np.abs(rho.inverse(values) - points) > 1e-6 * points + 1e-12 * radius
    if wrong.any():
        return f"enclose() of {rho!r} contradicts its value or inverse at {points[np.argmax(wrong)]:g}"
    for a, b in pairwise(points):
        (_, _), (slope, steep), _ = rho.enclose(float(a), float(b))
        rise = _low(rho, float(b)) - _high(rho, float(a)), _high(rho, float(b)) - _low(rho, float(a))
        if rise[0] > steep * (b - a) * (1 + 1e-12) or rise[1] < slope * (b - a) * (1 - 1e-12):
            return (
                f"{rho!r} rises over [{a:g}, {b:g}] as its enclosed slopes do not allow: a jump needs slope_high = inf"
            )
    return None


def _reason_of_boxes(rho: Any, radius: float, count: int) -> str:
    bounds = f"the bounds that {type(rho).__name__}.enclose gives"
    return f"branch and bound over a + b <= {radius:g} in {count} boxes, from {bounds}"


def _halves(box: tuple[float, float, float, float]) -> list[tuple[float, float, float, float]]:
    a1, a2, b1, b2 = box
    if a2 - a1 > b2 - b1:
        middle = (a1 + a2) / 2
        return [(a1, middle, b1, b2), (middle, a2, b1, b2)]
    middle = (b1 + b2) / 2
    return [(a1, a2, b1, middle), (a1, a2, middle, b2)]


def _low(rho: Any, t: float) -> float:
    return float(rho.enclose(t, t)[0][0])


def _high(rho: Any, t: float) -> float:
    return float(rho.enclose(t, t)[0][1])


def _certificate(verdict: str, lower: float, upper: float, reason: str) -> Certificate:
    return Certificate(verdict, lower, upper, 1.0, 0.0, reason)
