"""Intersections with a box, where they are exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._array import Array, host, namespace, write
from .box import Box
from .capped_simplex import CappedSimplex
from .entries import checked_array, double, euclidean, like
from .group_ball import GroupBall
from .k_support_ball import KSupportBall
from .l1_ball import L1Ball
from .threshold import clipped_to_sum, excess_over


class Intersection:
    """The arrays of a set that are also in a box, with an exact projection.

    set: a mask set, L1Ball, GroupBall, KSupportBall or CappedSimplex.  box: Box.  Of a mask set the box must contain 0
    (lower <= 0 <= upper): the projection clips, and keeps the mask with the largest gain v^2 - (v - clip(v))^2.  The l1
    ball and the capped simplex take any box that they meet: the threshold is that of a piecewise linear equation.  The
    group and k-support balls take signs (bounds of 0 and inf): they are projected onto after clipping.
    Raises ValueError for other sets and boxes: there the projection onto the intersection has no closed form.
    """

    def __init__(self, set: Any, box: Box) -> None:
        if not isinstance(box, Box):
            raise ValueError(f"box is of type {type(box).__name__}: give a sets.Box(lower, upper)")
        self.set, self.box = set, box
        self._project = _projection_of(set, box)

    @property
    def convex(self) -> bool:
        """Whether the set is convex."""
        return bool(self.set.convex)

    keeps_entries = False

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the intersection to v.  Returns an array like v, or `out`, which may be v.

        Raises ValueError for an array that does not fit set and box, for entries that are NaN or infinite, and where
        the intersection is empty.
        """
        v = checked_array(v)
        return write(namespace(v).astype(self._project(self.set, self.box, v), v.dtype), out)

    def contains(self, v: Any) -> bool:
        """Whether v is in both sets."""
        return self.box.contains(v) and self.set.contains(v)

    def distance(self, v: Any) -> float:
        """Euclidean distance of v to the intersection."""
        v = checked_array(v)
        return euclidean(double(v) - self.project(double(v)))

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the entries of the projection that are not 0."""
        return self.project(v) != 0

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Shape that both fit: of the bounds if they are arrays, else of the set."""
        shape = np.broadcast_shapes(self.box.lower.shape, self.box.upper.shape)
        return tuple(shape) if shape else tuple(self.set.example_shape(rng))

    def __repr__(self) -> str:
        return f"Intersection({self.set!r}, {self.box!r})"


Rule = Callable[[Any, Box, Array], Array]


def _projection_of(set: Any, box: Box) -> Rule:
    """The rule for this set and box; ValueError where there is none."""
    if getattr(set, "keeps_entries", False):
        if (box.lower > 0).any() or (box.upper < 0).any():
            raise ValueError(f"{box!r} does not contain 0, which a mask set needs: choose lower <= 0 <= upper")
        return _masked
    if isinstance(set, L1Ball):
        return _l1
    if isinstance(set, CappedSimplex):
        return _capped
    if isinstance(set, GroupBall | KSupportBall):
        if not (np.isin(box.lower, (0, -np.inf)).all() and np.isin(box.upper, (0, np.inf)).all()):
            raise ValueError(f"{set!r} in a box is exact for signs only: choose bounds of 0 and -inf or inf")
        return _signed
    raise ValueError(
        f"{set!r} in a box has no exact projection here: allowed are mask sets, L1Ball, GroupBall, KSupportBall and "
        "CappedSimplex"
    )


def _masked(set: Any, box: Box, v: Array) -> Array:
    xp = namespace(v)
    clipped = box.project(v)
    x, c = double(v), double(clipped)
    gain = 2 * xp.sqrt(xp.abs(c)) * xp.sqrt(xp.abs(x / 4 + (x - c) / 4))  # sqrt(c (2v - c)), without overflow
    gain = xp.where(c == x, xp.abs(x), gain)
    return xp.where(set.support(gain), clipped, xp.zeros_like(clipped))


def _signed(set: Any, box: Box, v: Array) -> Array:
    return set.project(box.project(v))


def _l1(ball: L1Ball, box: Box, v: Array) -> Array:
    """clip(sign(v) (|v| - theta)_+, lower, upper), with the smallest theta >= 0 that brings the sum to the radius."""
    x = host(double(v)).ravel()
    lower, upper = (host(double(b)).ravel() for b in box.bounds(v))
    clipped = np.clip(x, lower, upper)
    if excess_over(np.abs(clipped), ball.radius) <= float(namespace(v).finfo(v.dtype).eps):
        return box.project(v)
    sign = np.where(lower > 0, 1.0, np.where(upper < 0, -1.0, np.where(x < 0, -1.0, 1.0)))
    low = np.maximum(np.maximum(lower, -upper), 0.0)
    high = np.where(sign > 0, upper, -lower)
    if low.sum() > ball.radius * (1 + 1e-15):
        raise ValueError(f"{ball!r} and {box!r} do not meet: choose a larger radius, or a box nearer to 0")
    left = clipped_to_sum(sign * x, low, np.minimum(high, max(ball.radius, float(low.max()))), ball.radius, 0.0)
    return namespace(v).reshape(like(sign * left, v), tuple(v.shape))


def _capped(simplex: CappedSimplex, box: Box, v: Array) -> Array:
    """clip(v - theta, max(lower, 0), min(upper, 1)) for every row, with the theta that meets the sum k."""
    x = host(double(v))
    x = x.reshape(-1, x.shape[-1])
    lower, upper = (host(double(b)).reshape(x.shape) for b in box.bounds(v))
    lower, upper = np.maximum(lower, 0.0), np.minimum(upper, 1.0)
    rounding = 1e-15 * max(simplex.k, 1.0)
    short = lower.sum(axis=1) > simplex.k + rounding
    if (lower > upper).any() or short.any() or (upper.sum(axis=1) < simplex.k - rounding).any():
        raise ValueError(f"{simplex!r} and {box!r} do not meet: widen the box")
    rows = zip(x, lower, upper, strict=True)
    left = [clipped_to_sum(row, low, high, simplex.k, -np.inf) for row, low, high in rows]
    return namespace(v).reshape(like(np.stack(left), v), tuple(v.shape))
