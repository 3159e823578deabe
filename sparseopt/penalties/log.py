"""rho(t) = log(1 + t / eps): the log-sum penalty."""

from __future__ import annotations

from dataclasses import dataclass

from .._array import Array, clip, floating, namespace, positive_scalar, write
from .scalar import as_steps, better_of_zero_and


@dataclass(frozen=True)
class Log:
    """rho(t) = log(1 + t / eps), eps > 0.  Concave, slope 1/eps at 0, weak convexity 1/eps^2.

    Raises ValueError when eps is not positive and finite.
    """

    eps: float = 1.0

    def __post_init__(self) -> None:
        positive_scalar(self.eps, "eps")

    @property
    def slope0(self) -> float:
        """1 / eps."""
        return 1 / self.eps

    @property
    def weak_convexity(self) -> float:
        """1 / eps^2, reached at t = 0."""
        return 1 / self.eps**2

    convex = False

    def value(self, t: Array) -> Array:
        """log(1 + t / eps) for t [...] >= 0."""
        t = floating(t)
        return namespace(t).log1p(t / self.eps)

    def slope(self, t: Array) -> Array:
        """1 / (eps + t) for t [...] >= 0."""
        t = floating(t)
        return 1 / (self.eps + t)

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """Global minimiser of (r - v)^2 / 2 + step * log(1 + r / eps), for v [...] >= 0, step >= 0 (a number or [...]).

        The larger root of r^2 + (eps - v) r + step - eps v, compared with 0 (ledger D7).  Error a few ulp of v.
        """
        v = floating(v)
        xp = namespace(v)
        s, eps = as_steps(xp, v, step), self.eps
        # sqrt of the discriminant (v + eps)^2 - 4 step, in factors: no cancellation, no overflow
        spread = 2 * xp.sqrt(s)
        half = xp.sqrt(clip(v + eps - spread, min=0)) * xp.sqrt(v + eps + spread)
        root = xp.where(v + eps >= spread, v - 2 * s / (v + eps + half), xp.zeros_like(v))
        return write(better_of_zero_and(root, v, s, self.value), out)

    def inverse(self, y: Array) -> Array:
        """eps (e^y - 1) for y [...] >= 0; 0 for negative y."""
        y = floating(y)
        xp = namespace(y)
        return self.eps * xp.expm1(clip(y, min=0))
