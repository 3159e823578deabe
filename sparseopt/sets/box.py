"""Boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, host, namespace, write
from .convex import ConvexSet
from .entries import checked_array, double, drawn_shape, like, number


class Box(ConvexSet):
    """Arrays [...] with lower <= w <= upper, entry by entry.

    lower, upper: numbers, or arrays [...] of the shape of w (or that broadcast to it); infinite where there is no
    bound, default none.  Raises ValueError where lower > upper, and for NaN.
    """

    def __init__(self, lower: Any = -np.inf, upper: Any = np.inf) -> None:
        self.lower, self.upper = checked_bound(lower, "lower"), checked_bound(upper, "upper")
        try:
            empty = self.lower > self.upper
        except ValueError:
            raise ValueError(
                f"lower has shape {self.lower.shape} and upper {self.upper.shape}: give shapes that broadcast"
            ) from None
        if empty.any() or (self.lower == np.inf).any() or (self.upper == -np.inf).any():
            raise ValueError("the box is empty: lower <= upper is needed everywhere, lower < inf and upper > -inf")

    def project(self, v: Any, out: Array | None = None) -> Array:
        """clip(v, lower, upper), exactly.  Returns an array like v (float64 for integers), or `out`, which may be v."""
        v = checked_array(v)
        xp = namespace(v)
        lower, upper = self.bounds(v)
        return write(xp.where(v < lower, lower, xp.where(v > upper, upper, v)), out)

    def bounds(self, v: Array) -> tuple[Array, Array]:
        """lower and upper as arrays like v, rounded to its dtype."""
        xp = namespace(v)
        shape, found = tuple(v.shape), np.broadcast_shapes(self.lower.shape, self.upper.shape)
        if len(found) > len(shape) or any(a not in (1, b) for a, b in zip(found[::-1], shape[::-1], strict=False)):
            raise ValueError(f"v has shape {shape}, but the bounds have shape {found}: give an array that fits them")
        pair = [xp.broadcast_to(xp.astype(like(b, v), v.dtype), shape) for b in (self.lower, self.upper)]
        return pair[0], pair[1]

    def excess(self, v: Any) -> float:
        """Largest violation of a bound; 0 inside."""
        v = checked_array(v)
        xp = namespace(v)
        lower, upper = self.bounds(v)
        return number(xp.max(xp.where(v < lower, lower - v, xp.where(v > upper, v - upper, xp.zeros_like(v)))))

    def contains(self, v: Any) -> bool:
        """Whether all bounds hold, exactly (in the dtype of v)."""
        return self.excess(v) == 0

    def support_function(self, y: Any) -> float:
        """max of <w, y> over the box: the sum of y times its upper bound where y > 0, its lower one where y < 0."""
        y = host(double(checked_array(y)))
        lower, upper = (np.broadcast_to(b, y.shape) for b in (self.lower, self.upper))
        bound = np.where(y > 0, upper, np.where(y < 0, lower, 0.0))
        return float((bound * y).sum())

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """The shape of the bounds, or any shape of one or two axes, drawn by rng."""
        shape = np.broadcast_shapes(self.lower.shape, self.upper.shape)
        return tuple(shape) if len(shape) and 1 not in shape else drawn_shape(rng)

    def __repr__(self) -> str:
        return f"Box({_shown(self.lower)}, {_shown(self.upper)})"


def checked_bound(bound: Any, name: str) -> np.ndarray:
    """bound as float64 [...]; ValueError for NaN and what is no array of real numbers."""
    try:
        array = np.asarray(bound)
        if array.dtype.kind not in "iuf" or array.size == 0:
            raise TypeError
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {bound!r}: give a real number, or an array of them") from None
    array = array.astype(np.float64)
    if np.isnan(array).any():
        raise ValueError(f"{name} is NaN somewhere: give numbers, -inf or inf where there is no bound")
    array.setflags(write=False)
    return array


def _shown(bound: np.ndarray) -> str:
    return f"{float(bound):g}" if bound.ndim == 0 else f"[{', '.join(map(str, bound.shape))}]"
