"""rho(t) = t / (1 + t): a bounded penalty, whose generalised inverse is infinite from 1 on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, clip, floating, namespace, write
from .scalar import as_steps, better_of_zero_and


@dataclass(frozen=True)
class Ratio:
    """rho(t) = t / (1 + t).  Concave, bounded by 1, slope 1 at 0, weak convexity 2."""

    slope0 = 1.0
    weak_convexity = 2.0
    convex = False

    def value(self, t: Array) -> Array:
        """t / (1 + t) for finite t [...] >= 0."""
        t = floating(t)
        return t / (1 + t)

    def slope(self, t: Array) -> Array:
        """1 / (1 + t)^2 for t [...] >= 0."""
        t = floating(t)
        return (1 / (1 + t)) ** 2

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * r / (1 + r), for v [...] >= 0, step >= 0 (a number or [...]).

        With u = 1 + r stationarity is u^3 - (1 + v) u^2 + step = 0; its largest root (in closed form, then polished by
        Newton's method on r - v + step / (1 + r)^2) is compared with 0.  Error a few ulp of v.
        """
        v = floating(v)
        xp = namespace(v)
        s = as_steps(xp, v, step)
        b = (1 + v) / 3
        ratio = s / b / b / b / 2
        cosine = clip(1 - ratio, min=-1, max=1)
        u = b * (1 + 2 * xp.cos(xp.acos(cosine) / 3))
        root = xp.where(ratio <= 2, u - 1, xp.zeros_like(u))
        for _ in range(3):
            pull = s / (1 + root) / (1 + root)
            rise = 1 - 2 * pull / (1 + root)
            root = xp.where(rise > 0, root - (root - v + pull) / xp.where(rise > 0, rise, xp.ones_like(rise)), root)
        return write(better_of_zero_and(root, v, s, self.value), out)

    def inverse(self, y: Array) -> Array:
        """y / (1 - y) for 0 <= y < 1, +inf for y >= 1; 0 for negative y.  y: [...]."""
        y = floating(y)
        xp = namespace(y)
        below = y < 1
        safe = xp.where(below, clip(y, min=0), xp.zeros_like(y))
        return xp.where(below, safe / (1 - safe), xp.full_like(safe, math.inf))
