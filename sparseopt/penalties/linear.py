"""rho(t) = t: the group LASSO."""

from __future__ import annotations

from dataclasses import dataclass

from .._array import Array, clip, floating, namespace, write
from .scalar import as_steps


@dataclass(frozen=True)
class Linear:
    """rho(t) = t.  The only penalty that is both convex and concave."""

    slope0 = 1.0
    weak_convexity = 0.0
    convex = True

    def value(self, t: Array) -> Array:
        """t [...], exactly."""
        t = floating(t)
        return +t

    def slope(self, t: Array) -> Array:
        """1 for every t [...]."""
        t = floating(t)
        return namespace(t).ones_like(t)

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """max(v - step, 0) for v [...] >= 0 and step >= 0 (a number or [...]); soft thresholding, error half an ulp."""
        v = floating(v)
        xp = namespace(v)
        return write(clip(v - as_steps(xp, v, step), min=0), out)

    def inverse(self, y: Array) -> Array:
        """y [...], exactly; 0 for negative y."""
        y = floating(y)
        return clip(y, min=0)
