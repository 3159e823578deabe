"""rho(t) = t^2: the ridge of the norms, and the outer function of squared norms."""

from __future__ import annotations

from dataclasses import dataclass

from .._array import Array, clip, floating, namespace, write
from .scalar import as_steps


@dataclass(frozen=True)
class Square:
    """rho(t) = t^2.  Convex, with slope 0 at 0: it shrinks and never prunes."""

    slope0 = 0.0
    weak_convexity = 0.0
    convex = True

    def value(self, t: Array) -> Array:
        """t^2 for t [...] >= 0."""
        t = floating(t)
        return t * t

    def slope(self, t: Array) -> Array:
        """2 t for t [...] >= 0."""
        return 2 * floating(t)

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Minimiser v / (1 + 2 step) of (r - v)^2 / 2 + step * r^2, for v [...] >= 0.  Error an ulp."""
        v = floating(v)
        return write(v / (1 + 2 * as_steps(namespace(v), v, step)), out)

    def inverse(self, y: Array) -> Array:
        """sqrt(y) for y [...] >= 0; 0 for negative y."""
        y = floating(y)
        xp = namespace(y)
        return xp.sqrt(clip(y, min=0))
