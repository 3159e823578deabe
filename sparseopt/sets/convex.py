"""What all convex sets have in common."""

from __future__ import annotations

import math
from typing import Any

from .._array import Array, namespace
from .entries import checked_array, double, euclidean


class ConvexSet:
    """A closed convex set; a subclass gives `project`, `excess`, `support_function` and `example_shape`.

    scale: the size of the constraint, that violations are relative to.
    """

    convex = True
    keeps_entries = False
    scale = 1.0

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the set to v [...]."""
        raise NotImplementedError

    def excess(self, v: Any) -> float:
        """By how much v violates the constraints, relative to their size; <= 0 inside."""
        raise NotImplementedError

    def contains(self, v: Any) -> bool:
        """Whether v is in the set up to rounding.

        Constraints may be exceeded by 16 eps of the dtype, relatively, and by the smallest number for each entry.
        """
        v = checked_array(v)
        limits = namespace(v).finfo(v.dtype)
        eps = float(limits.eps)
        smallest = math.prod(v.shape) * float(limits.smallest_normal) * eps
        return self.excess(v) <= 16 * eps + (smallest / self.scale if self.scale > 0 else 0.0)

    def distance(self, v: Any) -> float:
        """Euclidean distance of v to the set; 0 exactly inside.  Error a few ulp of |v|."""
        v = checked_array(v)
        return euclidean(double(v) - self.project(double(v)))

    def support(self, v: Any) -> Array:
        """Mask [shape of v] of the entries of the projection that are not 0."""
        return self.project(v) != 0
