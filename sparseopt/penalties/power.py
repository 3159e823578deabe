"""rho(t) = t^q with 0 < q < 1: the group l_q penalties."""

from __future__ import annotations

from dataclasses import dataclass

from .._array import Array, namespace, positive_scalar, write
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
        return t**self.q

    def slope(self, t: Array) -> Array:
        """q t^(q - 1) for t [...] > 0, inf at 0."""
        xp = namespace(t)
        positive = t > 0
        safe = xp.where(positive, t, xp.ones_like(t))
        return xp.where(positive, self.q * safe ** (self.q - 1), xp.full_like(t, float("inf")))

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * r^q, for v [...] >= 0 and step >= 0 (a number or [...]).

        0 up to v = (2 - q) / (2 (1 - q)) * jump with jump = (2 step (1 - q))^(1 / (2 - q)) (ledger D7); above it the
        root r >= jump of the convex function r - v + step q r^(q-1), by Newton's method from r = v, which decreases
        monotonically.  Error a few ulp.
        """
        xp, q = namespace(v), self.q
        s = as_steps(xp, v, step)
        jump = (2 * (1 - q) * s) ** (1 / (2 - q))
        nonzero = v > (2 - q) / (2 * (1 - q)) * jump
        v = xp.where(nonzero, v, xp.ones_like(v))
        s = xp.where(nonzero, s + 0 * v, xp.zeros_like(v))
        r = v
        for _ in range(NEWTON_STEPS):
            pull = s * q * r ** (q - 1)
            r = r - (r - v + pull) / (1 - (1 - q) * pull / r)
        return write(xp.where(nonzero, r, xp.zeros_like(r)), out)

    def inverse(self, y: Array) -> Array:
        """y^(1/q) for y [...] >= 0; 0 for negative y."""
        return namespace(y).clip(y, min=0) ** (1 / self.q)
