"""rho(t) = t - t^2 / (2 gamma) up to gamma, gamma / 2 beyond: the minimax concave penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, clip, floating, namespace, positive_scalar, write
from .scalar import as_steps


@dataclass(frozen=True)
class MCP:
    """rho(t) = t - t^2 / (2 gamma) for t <= gamma, gamma / 2 beyond, gamma > 0; slope max(1 - t / gamma, 0).

    Concave, slope 1 at 0, weak convexity 1 / gamma, flat beyond gamma.  `scales_argument`: with strength lam it is
    lam^2 rho(t / lam), flat beyond gamma * lam, with the same weak convexity.
    Raises ValueError when gamma is not positive and finite.
    Source: Zhang, Nearly unbiased variable selection under minimax concave penalty (2010).
    """

    gamma: float = 3.0
    slope0 = 1.0
    convex = False
    scales_argument = True

    def __post_init__(self) -> None:
        positive_scalar(self.gamma, "gamma")

    @property
    def weak_convexity(self) -> float:
        """1 / gamma, on the whole of (0, gamma)."""
        return 1 / self.gamma

    def value(self, t: Array) -> Array:
        """rho(t) for t [...] >= 0."""
        t = floating(t)
        t = clip(t, max=self.gamma)
        return t * (1 - t / (2 * self.gamma))

    def slope(self, t: Array) -> Array:
        """max(1 - t / gamma, 0) for t [...] >= 0."""
        t = floating(t)
        return clip(1 - t / self.gamma, min=0)

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * rho(r), for v [...] >= 0 and step >= 0 (a number or [...]).

        step < gamma: v from gamma on, below it (v - step) / (1 - step / gamma), the firm threshold.  step >= gamma: the
        problem is concave on [0, gamma], so only 0 and v remain: v above sqrt(step gamma) (ledger D7).  Error: few ulp.
        """
        v = floating(v)
        xp, gamma = namespace(v), self.gamma
        s = as_steps(xp, v, step) + xp.zeros_like(v)
        unique = s < gamma
        room = xp.where(unique, gamma - s, xp.ones_like(s))
        firm = xp.minimum(clip(v - s, min=0) * (gamma / room), v)
        firm = xp.where(v >= gamma, v, firm)
        hard = xp.where(v > xp.sqrt(s * gamma), v, xp.zeros_like(v))
        return write(xp.where(unique, firm, hard), out)

    def inverse(self, y: Array) -> Array:
        """inf{t: rho(t) >= y} = 2 y / (1 + sqrt(1 - 2 y / gamma)) up to y = gamma / 2, then +inf; 0 for negative y."""
        y = floating(y)
        xp = namespace(y)
        reached = y <= self.gamma / 2
        y = xp.where(reached, clip(y, min=0), xp.zeros_like(y))
        root = xp.sqrt(clip(1 - 2 * y / self.gamma, min=0))
        return xp.where(reached, 2 * y / (1 + root), xp.full_like(y, math.inf))
