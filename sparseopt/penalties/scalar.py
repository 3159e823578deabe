"""What a scalar penalty is, and the two numerical tools that the penalties share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .._array import Array, namespace


@runtime_checkable
class ScalarPenalty(Protocol):
    """A function rho: [0, inf) -> [0, inf) with rho(0) = 0, increasing, at unit strength.

    Methods take and return arrays [...] of any library that follows the array API standard and keep a floating dtype;
    integers and booleans become float64.  prox raises ValueError for step < 0 and an `out` of another shape or dtype.

    slope0: rho'(0+), may be inf or 0.  weak_convexity: smallest kappa >= 0 such that rho + kappa t^2 / 2 is convex,
    inf when there is none.  convex: weak_convexity == 0.

    scales_argument: an optional trait.  Where a class has it and it is True (MCP, SCAD), strength s stands for
    s^2 rho(t / s); else for s rho(t).  `strength.py` applies it, the methods here know unit strength only.
    """

    @property
    def slope0(self) -> float:
        """rho'(0+)."""

    @property
    def weak_convexity(self) -> float:
        """kappa."""

    @property
    def convex(self) -> bool:
        """Whether rho is convex."""

    def value(self, t: Array) -> Array:
        """rho(t) for t >= 0."""

    def slope(self, t: Array) -> Array:
        """rho'(t) for t > 0, and slope0 at t = 0."""

    def prox(self, v: Array, step: float | Array = 1.0, out: Array | None = None) -> Array:
        """A global minimiser over r >= 0 of (r - v)^2 / 2 + step * rho(r); the smaller one where two are equal."""

    def inverse(self, y: Array) -> Array:
        """Generalised inverse inf{t >= 0: rho(t) >= y}, +inf where that set is empty."""


def as_steps(xp: Any, v: Array, step: float | Array) -> Array:
    """`step` as an array of the dtype of v [...] that broadcasts with it.

    Raises ValueError for a number or NumPy array that is not >= 0; a check of other libraries' would wait for a device.
    """
    if isinstance(step, int | float | np.number | np.ndarray) and not np.all(np.asarray(step) >= 0):
        raise ValueError(f"step is {step!r}: give numbers >= 0")
    return xp.asarray(step, dtype=v.dtype) if isinstance(step, int | float) else xp.astype(xp.asarray(step), v.dtype)


def checked_rho(rho: Any, *methods: str) -> ScalarPenalty:
    """rho; ValueError unless it is an instance with these methods."""
    missing = [name for name in methods if not callable(getattr(rho, name, None))]
    if missing:
        raise ValueError(f"rho is {rho!r}, without {' and '.join(missing)}: give a scalar penalty, e.g. Power(0.5)")
    if isinstance(rho, type):
        raise ValueError(f"rho is the class {rho.__name__}: give an instance, e.g. Power(0.5)")
    return rho


def better_of_zero_and(root: Array, v: Array, step: Array, value: Callable[[Array], Array]) -> Array:
    """`root` where it has the smaller prox objective than 0, else 0.

    root: [...], the largest stationary point of (r - v)^2 / 2 + step * rho(r), not positive where there is none.
    The difference of the two objectives, root * (root / 2 - v) + step * rho(root), is compared without cancellation
    against the common term v^2 / 2.  Ties give 0.
    """
    xp = namespace(root, v)
    positive = root > 0
    r = xp.where(positive, root, xp.ones_like(root))
    lower = r / 2 - v + step * (value(r) / r) < 0
    return xp.where(positive & lower, root, xp.zeros_like(root))
