"""N:M sparsity along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, namespace
from .._native.blocks import SUFFIX
from .._native.projections import LARGEST_TILE, Plane, project_nm_ptr
from .entries import checked_array, checked_count, checked_remainder
from .mask import MaskSet


class NM(MaskSet):
    """Arrays with at most n non-zero entries in every window of m consecutive entries along an axis.

    n, m: integers, 0 <= n <= m, 1 <= m.  axis: of the array, default the last one.
    remainder: "error" refuses arrays whose axis m does not divide; "pad" lets the last window be shorter (it keeps its
    n largest entries: padding is never among them).
    The projection keeps the n largest magnitudes of each window; among equal ones those with the lowest index.
    Raises ValueError for other n, m, axis, remainder.
    """

    def __init__(self, n: int, m: int, axis: int = -1, remainder: str = "error") -> None:
        self.m = checked_count(m, "m", 1)
        self.n = checked_count(n, "n", 0, self.m)
        self.axis = checked_count(axis, "axis", -64, 63)
        self.remainder = checked_remainder(remainder)

    @property
    def convex(self) -> bool:
        """Whether nothing or everything is kept."""
        return self.n in (0, self.m)

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the n largest magnitudes of each window."""
        v = checked_array(v)
        self.check_fit(v)
        xp = namespace(v)
        windows = self._windows(xp, xp.abs(v))
        order = xp.argsort(windows, axis=-1, descending=True, stable=True)
        kept = xp.argsort(order, axis=-1, stable=True) < self.n
        length = v.shape[self.axis]
        kept = xp.reshape(kept, (*kept.shape[:-2], -1))[..., :length]
        return xp.permute_dims(kept, _swap(v.ndim, self.axis))

    def _project_compiled(self, source: np.ndarray, target: np.ndarray) -> bool | None:
        self.check_fit(source)
        if self.axis not in (-1, source.ndim - 1) or self.m > LARGEST_TILE:
            return None
        cols = source.shape[-1]
        plane = Plane(source.size // cols, cols, cols, cols, SUFFIX[source.dtype])
        return project_nm_ptr(source.ctypes.data, target.ctypes.data, plane, self.n, self.m)

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Shape of an array that the set fits, of one to three axes, drawn by rng."""
        needed = self.axis + 1 if self.axis >= 0 else -self.axis
        shape = [int(s) for s in rng.integers(1, 5, size=rng.integers(needed, max(needed, 2) + 2))]
        extra = int(rng.integers(0, self.m)) if self.remainder == "pad" else 0
        shape[self.axis] = self.m * int(rng.integers(1, 5)) + extra
        return tuple(shape)

    def _windows(self, xp: Any, magnitudes: Array) -> Array:
        """Magnitudes [..., windows, m], the axis last; padding is -1, below all of them."""
        rows = xp.permute_dims(magnitudes, _swap(magnitudes.ndim, self.axis))
        missing = -rows.shape[-1] % self.m
        if missing:
            rows = xp.concat([rows, *[xp.full_like(rows[..., :1], -1.0)] * missing], axis=-1)
        return xp.reshape(rows, (*rows.shape[:-1], -1, self.m))

    def check_fit(self, v: Array) -> None:
        """ValueError unless v has the axis, cut into windows."""
        if not -v.ndim <= self.axis < v.ndim:
            raise ValueError(f"v has shape {tuple(v.shape)}, but N:M is along axis {self.axis}: choose another axis")
        length = v.shape[self.axis]
        if length % self.m and self.remainder == "error":
            raise ValueError(
                f"v has {length} entries along axis {self.axis}, which windows of {self.m} do not divide: choose "
                'another m, or remainder="pad" for a shorter last window'
            )

    def __repr__(self) -> str:
        return f"NM({self.n}, {self.m}, axis={self.axis}, remainder={self.remainder!r})"


def _swap(ndim: int, axis: int) -> tuple[int, ...]:
    """Permutation of the axes that exchanges `axis` and the last one; its own inverse."""
    axes = list(range(ndim))
    axes[axis], axes[-1] = axes[-1], axes[axis]
    return tuple(axes)
