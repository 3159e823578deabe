"""The l1 ball."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, host, namespace, write
from .convex import ConvexSet
from .entries import checked_array, checked_radius, double, drawn_shape, like, number
from .threshold import excess_over, shrunk_to_sum


class L1Ball(ConvexSet):
    """Arrays [...] with sum |w_i| <= radius over all entries.

    radius: >= 0, finite.  The projection is soft thresholding: sign(v) (|v| - theta)_+.
    """

    def __init__(self, radius: float) -> None:
        self.radius = self.scale = checked_radius(radius)

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the ball; v itself, bitwise, where it is in the ball (up to one eps).  Error a few ulp.

        Returns an array like v (float64 for integers), or `out`, which may be v.
        Raises ValueError for entries that are NaN or infinite.
        """
        v = checked_array(v)
        xp = namespace(v)
        sizes = np.abs(host(double(v))).ravel()
        left = shrunk_to_sum(sizes, self.radius, float(xp.finfo(v.dtype).eps))
        if left is sizes:
            return write(xp.asarray(v, copy=True), out)
        shrunk = xp.reshape(like(left, v), tuple(v.shape))
        return write(xp.astype(xp.sign(double(v)) * shrunk, v.dtype), out)

    def excess(self, v: Any) -> float:
        """Relative excess of the sum of the magnitudes over the radius; <= 0 inside."""
        return excess_over(np.abs(host(double(checked_array(v)))).ravel(), self.radius)

    def support_function(self, y: Any) -> float:
        """max of <w, y> over the ball: radius * max |y_i|."""
        y = checked_array(y)
        xp = namespace(y)
        return self.radius * number(xp.max(xp.abs(y)))

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Any shape of one or two axes, drawn by rng."""
        return drawn_shape(rng)

    def __repr__(self) -> str:
        return f"L1Ball({self.radius:g})"
