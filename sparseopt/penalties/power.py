"""rho(t) = t^q with 0 < q < 1: the group l_q penalties."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._array import Array, clip, floating, namespace, positive_scalar, write
from .scalar import as_steps

NEWTON_STEPS = 12
"""Enough from r = v: above the jump the derivative is at least 1 - q/2 >= 1/2, so the error squares at every step."""


@dataclass(frozen=True)
class Power:
    """rho(t) = t^q, 0 < q < 1.  Concave, infinite slope at 0, not weakly convex.

    Raises ValueError when q is not in (0, 1); q = 1 is `Linear`.
    """

    q: float
    slope0 = float("inf")
    weak_convexity = float("inf")
    convex = False

    def __post_init__(self) -> None:
        if not positive_scalar(self.q, "q") < 1:
            raise ValueError(f"q is {self.q}: it must be between 0 and 1; use Linear() for q = 1")

    def value(self, t: Array) -> Array:
        """t^q for t [...] >= 0."""
        t = floating(t)
        return t**self.q

    def slope(self, t: Array) -> Array:
        """q t^(q - 1) for t [...] > 0, inf at 0."""
        t = floating(t)
        xp = namespace(t)
        positive = t > 0
        safe = xp.where(positive, t, xp.ones_like(t))
        return xp.where(positive, self.q * safe ** (self.q - 1), xp.full_like(t, float("inf")))

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * r^q, for v [...] >= 0 and step >= 0 (a number or [...]).

        0 up to v = (2 - q) / (2 (1 - q)) * jump with jump = (2 step (1 - q))^(1 / (2 - q)) (ledger D7); above it the
        root r >= jump of the convex r - v + step q r^(q-1): in closed form for q = 1/2 and 2/3, else by Newton's
        method from r = v, which decreases monotonically.  Error a few ulp.
        """
        v = floating(v)
        xp, q = namespace(v), self.q
        s = as_steps(xp, v, step)
        jump = (2 * (1 - q)) ** (1 / (2 - q)) * s ** (1 / (2 - q))
        beyond = v > (2 - q) / (2 * (1 - q)) * jump
        moved = beyond & (s > 0)  # then v is no subnormal number
        v_safe, s_safe = xp.where(moved, v, xp.ones_like(v)), xp.where(moved, s + 0 * v, xp.zeros_like(v))
        closed = {1 / 2: _half, 2 / 3: _two_thirds}
        r = closed[q](xp, v_safe, s_safe) if q in closed else _newton(v_safe, s_safe, q)
        return write(xp.where(moved, r, xp.where(beyond, v, xp.zeros_like(v))), out)

    def inverse(self, y: Array) -> Array:
        """y^(1/q) for y [...] >= 0; 0 for negative y."""
        y = floating(y)
        return clip(y, min=0) ** (1 / self.q)


def _newton(v: Array, s: Array, q: float) -> Array:
    r = v
    for _ in range(NEWTON_STEPS):
        pull = s * q * r ** (q - 1)
        r = r - (r - v + pull) / (1 - (1 - q) * pull / r)
    return r


def _half(xp: Any, v: Array, s: Array) -> Array:
    """q = 1/2: the largest root y = sqrt(r) of y^3 - v y + s / 2 is 2 sqrt(v / 3) cos((pi - phi) / 3).

    phi = acos(s / 4 (v / 3)^(-3/2)), at least pi / 4 above the jump.  r = v - s / (2 y) damps the error of y.
    Source: Xu, Chang, Xu and Zhang, L1/2 regularization: a thresholding representation theory (2012).
    """
    third = v / 3
    root = xp.sqrt(third)
    phi = xp.acos(clip(s / third / root / 4, max=1))
    return v - s / (4 * root * xp.cos((math.pi - phi) / 3))


def _two_thirds(xp: Any, v: Array, s: Array) -> Array:
    """q = 2/3: the largest root y = r^(1/3) of y^4 - v y + 2 s / 3, by Ferrari's formula and one Newton step.

    y = (A + sqrt(2 v / A - A^2)) / 2, A = 2 / sqrt(3) h cosh(acosh(27 v^2 / (16 h^6)) / 3)^(1/2), h = (2 s)^(1/4).
    r = v - 2 s / (3 y) damps the error of y.  Source: Cao, Sun and Xu, Fast image deconvolution using closed-form
    thresholding formulas of L_q (q = 1/2, 2/3) regularization (2013).
    """
    h = xp.sqrt(xp.sqrt(2 * s))
    small = h * h * h < 1e-15 * v  # then r = v to the last digit
    one = xp.ones_like(v)
    v_safe, s_safe, h = xp.where(small, 2 * one, v), xp.where(small, one / 2, s), xp.where(small, one, h)
    ratio = v_safe / (h * h * h)
    A = 2 / math.sqrt(3) * h * xp.sqrt(xp.cosh(xp.acosh(27 / 16 * ratio * ratio) / 3))
    y = (A + xp.sqrt(2 * v_safe / A - A * A)) / 2
    cube = y * y * y
    y = y - (y * (cube - v_safe) + 2 / 3 * s_safe) / (4 * cube - v_safe)
    return xp.where(small, v, v_safe - 2 / 3 * s_safe / y)
