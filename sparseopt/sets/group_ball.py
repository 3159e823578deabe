"""The ball of the sum of group norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, namespace, write
from ..groups import Groups
from .convex import ConvexSet
from .entries import checked_array, checked_radius, like, number, with_headroom
from .threshold import excess_over, shrunk_to_sum
from .top_groups import checked_groups, group_norms


class GroupBall(ConvexSet):
    """Coefficients w [p] or [p, T] with sum_g |w_g|_2 <= radius (no weights).

    radius: >= 0, finite.  groups: Groups of p coefficients; those of size 1 give the l1 ball.
    The projection shrinks every group by the same length: w_g = v_g (1 - theta / |v_g|)_+.
    """

    def __init__(self, radius: float, groups: Groups) -> None:
        self.radius = self.scale = checked_radius(radius)
        self.groups = checked_groups(groups)

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the ball; v itself, bitwise, where it is in the ball (up to one eps).  Error a few ulp.

        Returns an array like v (float64 for integers), or `out`, which may be v.
        Raises ValueError for an array that does not fit the groups, and for entries that are NaN or infinite.
        """
        v = checked_array(v)
        x = with_headroom(v)
        unit = 2.0**-20 if number(namespace(v).max(namespace(v).abs(v))) > 2.0**1000 else 1.0
        norms = group_norms(self.groups, x)
        left = shrunk_to_sum(norms, self.radius * unit, float(namespace(v).finfo(v.dtype).eps))
        if left is norms:
            return write(namespace(v).asarray(v, copy=True), out)
        direction = self.groups.divide(x, like(np.where(norms > 0, norms, 1.0), v))
        return write(namespace(v).astype(self.groups.scale(direction, like(left / unit, v)), v.dtype), out)

    def excess(self, v: Any) -> float:
        """Relative excess of the sum of the norms over the radius; <= 0 inside."""
        return excess_over(group_norms(self.groups, checked_array(v)), self.radius)

    def support_function(self, y: Any) -> float:
        """max of <w, y> over the ball: radius * max_g |y_g|_2."""
        return self.radius * float(group_norms(self.groups, checked_array(y)).max())

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """(p,) or (p, T), drawn by rng."""
        p = self.groups.n_features
        return (p,) if rng.random() < 0.5 else (p, int(rng.integers(1, 4)))

    def __repr__(self) -> str:
        return f"GroupBall({self.radius:g}, {self.groups!r})"
