"""rho(t) = 1 for t > 0 and 0 at 0: the count of active groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, floating, namespace, write
from .scalar import as_steps


@dataclass(frozen=True)
class L0:
    """rho(0) = 0, rho(t) = 1 for t > 0.  Slope inf at 0 and 0 elsewhere, not weakly convex.

    Source of the prox, hard thresholding: Blumensath and Davies (2008).
    """

    slope0 = math.inf
    weak_convexity = math.inf
    convex = False

    def value(self, t: Array) -> Array:
        """1 where t [...] > 0, else 0."""
        t = floating(t)
        return namespace(t).astype(t > 0, t.dtype)

    def slope(self, t: Array) -> Array:
        """0 for t [...] > 0, inf at 0."""
        t = floating(t)
        xp = namespace(t)
        return xp.where(t > 0, xp.zeros_like(t), xp.full_like(t, math.inf))

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * rho(r): v above sqrt(2 step), else 0.

        v: [...] >= 0.  step: >= 0, a number or [...].  Exact but for the rounding of the threshold.
        """
        v = floating(v)
        xp = namespace(v)
        s = as_steps(xp, v, step)
        return write(xp.where(v > xp.sqrt(2 * s), v, xp.zeros_like(v)), out)

    def inverse(self, y: Array) -> Array:
        """inf{t: rho(t) >= y} for y [...]: 0 up to y = 1, +inf beyond."""
        y = floating(y)
        xp = namespace(y)
        return xp.where(y <= 1, xp.zeros_like(y), xp.full_like(y, math.inf))
