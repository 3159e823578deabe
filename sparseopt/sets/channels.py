"""Arrays with few non-zero channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, host, namespace
from .entries import checked_array, checked_count, like, scale_into_range, tie_margin, with_headroom
from .mask import MaskSet
from .selection import exact_norms, largest


class Channels(MaskSet):
    """Arrays with at most k non-zero slices along an axis, e.g. output channels (axis 0) of a convolution.

    k: integer >= 0.  axis: of the array.  The projection keeps the k slices with the largest norms; among equal ones
    those with the lowest index.  Raises ValueError for another k or axis, and for arrays with fewer than k slices.
    """

    def __init__(self, k: int, axis: int = 0) -> None:
        self.k = checked_count(k, "k", 0)
        self.axis = checked_count(axis, "axis", -64, 63)

    @property
    def convex(self) -> bool:
        """Whether nothing is kept, whatever the number of slices."""
        return self.k == 0

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the k slices with the largest norms."""
        v = checked_array(v)
        shape = [1] * v.ndim
        kept = self.kept_channels(v)
        shape[self.axis] = len(kept)
        return namespace(v).broadcast_to(like(kept.reshape(shape), v), tuple(v.shape))

    def kept_channels(self, v: Any) -> np.ndarray:
        """Mask [number of slices] of the slices that the projection keeps, a NumPy array."""
        v = checked_array(v)
        self._check_fit(v)
        xp = namespace(v)
        axes = list(range(v.ndim))
        axes.insert(0, axes.pop(self.axis))
        rows = with_headroom(xp.reshape(xp.permute_dims(v, tuple(axes)), (v.shape[self.axis], -1)))
        scaled, factor = scale_into_range(xp, rows, xp.max(xp.abs(rows), axis=1))
        norms = host(xp.linalg.vector_norm(scaled, axis=1) / factor)
        return largest(norms, self.k, tie_margin(rows.shape[1]), lambda chosen: exact_norms(host(rows)[chosen]))

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Shape with k to k + 4 slices (at least one) along the axis and up to two more axes, drawn by rng."""
        needed = self.axis + 1 if self.axis >= 0 else -self.axis
        shape = [int(s) for s in rng.integers(1, 5, size=needed + rng.integers(0, 3))]
        shape[self.axis] = max(self.k, 1) + int(rng.integers(0, 5))
        return tuple(shape)

    def _check_fit(self, v: Array) -> None:
        if not -v.ndim <= self.axis < v.ndim:
            raise ValueError(f"v has shape {tuple(v.shape)}, but the channels are on axis {self.axis}: choose another")
        if v.shape[self.axis] < self.k:
            raise ValueError(
                f"v has {v.shape[self.axis]} slices along axis {self.axis}, but k is {self.k}: k is at most that"
            )

    def __repr__(self) -> str:
        return f"Channels({self.k}, axis={self.axis})"
