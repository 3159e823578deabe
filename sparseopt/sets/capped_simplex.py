"""The capped simplex: fractional choices of k out of n."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._array import Array, clip, namespace, real_number, write
from .convex import ConvexSet
from .entries import checked_array, double, number


class CappedSimplex(ConvexSet):
    """Vectors y [n] with 0 <= y <= 1 and sum y = k; arrays [..., n] whose rows are such vectors.

    k: real number, 0 <= k <= n.  The projection is clip(v - theta, 0, 1) with the theta [...] that meets the sum, which
    is exact: breakpoints are sorted, and the linear piece is solved.  Its derivative in v is that of the free entries.
    Raises ValueError for another k, and for rows shorter than k.
    """

    def __init__(self, k: float) -> None:
        self.k = real_number(k)
        if not 0 <= self.k < np.inf:
            raise ValueError(f"k is {k!r}: give a real number between 0 and the number of entries in a row")
        self.scale = max(self.k, 1.0)

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the set to v [..., n].  Sums are k up to n eps of the dtype of v, entries are within [0, 1].

        Returns an array like v (float64 for integers), or `out`, which may be v.
        Raises ValueError for rows shorter than k, and for entries that are NaN or infinite.
        """
        v = checked_array(v)
        n = v.shape[-1]
        self._check_fit(n)
        xp = namespace(v)
        if self.k in (0, n):
            return write(xp.full_like(v, 1.0 if self.k else 0.0), out)
        x = double(v)
        # the threshold is in [-1, 0] relative to this entry, so that nothing near it is rounded
        pivot = xp.sort(x, axis=-1, descending=True)[..., math.ceil(self.k) - 1 : math.ceil(self.k)]
        with np.errstate(over="ignore"):
            relative = clip(x - pivot, min=-2.0, max=2.0)
        _, y = capped_threshold(relative, self.k)
        return write(xp.astype(y, v.dtype), out)

    def excess(self, v: Any) -> float:
        """Largest violation: of the bounds, and of the sums relative to max(k, 1)."""
        v = checked_array(v)
        self._check_fit(v.shape[-1])
        x = double(v)
        xp = namespace(x)
        beyond = max(-number(xp.min(x)), number(xp.max(x)) - 1.0)
        if beyond > 1.0:  # sums might overflow
            return beyond
        return max(beyond, number(xp.max(xp.abs(xp.sum(x, axis=-1) - self.k))) / self.scale)

    def support_function(self, y: Any) -> float:
        """max of <w, y> over the set: the floor(k) largest entries of each row, and the next one in part."""
        y = checked_array(y)
        self._check_fit(y.shape[-1])
        xp, whole = namespace(y), math.floor(self.k)
        ordered = xp.sort(double(y), axis=-1, descending=True)
        total = number(xp.sum(ordered[..., :whole]))
        return total + (self.k - whole) * number(xp.sum(ordered[..., whole : whole + 1])) if self.k > whole else total

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """(n,) or (batch, n) with n from k to k + 6, at least 1, drawn by rng."""
        n = max(1, math.ceil(self.k)) + int(rng.integers(0, 7))
        return (n,) if rng.random() < 0.5 else (int(rng.integers(1, 4)), n)

    def _check_fit(self, n: int) -> None:
        if self.k > n:
            raise ValueError(f"k is {self.k:g}, but there are {n} entries in a row: k is at most that")

    def __repr__(self) -> str:
        return f"CappedSimplex({self.k:g})"


def capped_threshold(u: Array, k: float) -> tuple[Array, Array]:
    """theta [..., 1] and clip(u - theta, 0, 1), of sum k, for u [..., n] in [-2, 2] whose threshold is in [-1, 0]."""
    xp = namespace(u)
    low, high = _piece(xp, u, k)
    free = (u >= high) & (u - 1 <= low)
    n_free = xp.sum(xp.astype(free, u.dtype), axis=-1, keepdims=True)
    for _ in range(2):  # the second time removes the rounding of the first
        y = clip(u - low, min=0.0, max=1.0)
        low = low + (xp.sum(y, axis=-1, keepdims=True) - k) / clip(n_free, min=1.0)
    return low, clip(u - low, min=0.0, max=1.0)


def _piece(xp: Any, u: Array, k: float) -> tuple[Array, Array]:
    """Neighbouring breakpoints low, high [..., 1] of theta -> sum clip(u - theta, 0, 1) with k between their values."""
    points = xp.sort(xp.concat([u, u - 1], axis=-1), axis=-1)
    shape = (*u.shape[:-1], 1)
    device = getattr(u, "device", None)
    low = xp.zeros(shape, dtype=xp.int64, device=device)
    high = xp.full(shape, points.shape[-1] - 1, dtype=xp.int64, device=device)
    for _ in range(points.shape[-1].bit_length()):
        middle = (low + high) // 2
        theta = xp.take_along_axis(points, middle, axis=-1)
        above = xp.sum(clip(u - theta, min=0.0, max=1.0), axis=-1, keepdims=True) >= k
        low, high = xp.where(above, middle, low), xp.where(above, high, middle)
    return xp.take_along_axis(points, low, axis=-1), xp.take_along_axis(points, high, axis=-1)
