"""The smoothly clipped absolute deviation penalty: slope 1 up to 1, falling to 0 at a."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, clip, floating, namespace, positive_scalar, write
from .scalar import as_steps


@dataclass(frozen=True)
class SCAD:
    """rho(t) = t up to 1, (2 a t - t^2 - 1) / (2 (a - 1)) up to a, (a + 1) / 2 beyond, a > 1.

    Slope 1 at 0, weak convexity 1 / (a - 1), flat beyond a.  `scales_argument`: with strength lam it is
    lam^2 rho(t / lam), flat beyond a * lam, with the same weak convexity.
    Raises ValueError when a is not a finite number above 1.  Source: Fan and Li, Variable selection via nonconcave
    penalized likelihood (2001), whose prox formula needs a > 2; the prox here is global for every a > 1 and step.
    """

    a: float = 3.7
    slope0 = 1.0
    convex = False
    scales_argument = True

    def __post_init__(self) -> None:
        if not positive_scalar(self.a, "a") > 1:
            raise ValueError(f"a is {self.a}: it must be above 1; the usual choice is 3.7")

    @property
    def weak_convexity(self) -> float:
        """1 / (a - 1), on the whole of (1, a)."""
        return 1 / (self.a - 1)

    def value(self, t: Array) -> Array:
        """rho(t) for t [...] >= 0, as min(t, 1) + (u - 1) - (u - 1)^2 / (2 (a - 1)) with u = t clipped to [1, a]."""
        t = floating(t)
        beyond = clip(t, min=1, max=self.a) - 1
        return clip(t, max=1) + beyond * (1 - beyond / (2 * (self.a - 1)))

    def slope(self, t: Array) -> Array:
        """1 up to t = 1, max(a - t, 0) / (a - 1) beyond, for t [...] >= 0."""
        t = floating(t)
        return clip((self.a - t) / (self.a - 1), min=0, max=1)

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * rho(r), for v [...] >= 0 and step >= 0 (a number or [...]).

        step < a - 1: soft threshold up to v = 1 + step, v - step (a - v) / (a - 1 - step) up to a, then v (ledger D7).
        Otherwise the problem is concave on [1, a], and the soft threshold, at most 1, is compared with v: both are as
        good at v = (a + 1 + step) / 2, or at sqrt(step (a + 1)) where the soft threshold is 0.  Error a few ulp.
        """
        v = floating(v)
        xp, a = namespace(v), self.a
        s = as_steps(xp, v, step) + xp.zeros_like(v)
        soft = clip(v - s, min=0)
        unique = s < a - 1
        room = xp.where(unique, a - 1 - s, xp.ones_like(s))
        middle = v - s * clip((a - v) / room, min=0, max=1)
        pieces = xp.where(v <= 1 + s, soft, middle)
        equal = xp.where(s <= a + 1, (a + 1 + s) / 2, xp.sqrt(s * (a + 1)))
        better = xp.where(v > equal, v, clip(soft, max=1))
        return write(xp.where(unique, pieces, better), out)

    def inverse(self, y: Array) -> Array:
        """inf{t: rho(t) >= y}: y up to 1, a - sqrt((a - 1) (a + 1 - 2 y)) up to (a + 1) / 2, then +inf; 0 for y < 0."""
        y = floating(y)
        xp, a = namespace(y), self.a
        reached = y <= (a + 1) / 2
        y = xp.where(reached, clip(y, min=0), xp.zeros_like(y))
        root = xp.sqrt(clip((a - 1) * (a + 1 - 2 * y), min=0))
        curved = (1 + 2 * (a - 1) * y) / (a + root)  # a - root, without cancellation
        return xp.where(reached, xp.where(y <= 1, y, curved), xp.full_like(y, math.inf))
