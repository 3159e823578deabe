"""Sets of sparse arrays whose projection keeps some entries and drops the others."""

from __future__ import annotations

from typing import Any

from .._array import Array, namespace, write
from .entries import checked_array, double, euclidean


class MaskSet:
    """A union of coordinate subspaces: all arrays whose non-zero entries are within one of the allowed masks.

    The projection keeps the entries of the mask with the largest kept energy (sum of squares), bitwise, and sets the
    others to 0.  A subclass gives `support` alone; everything else follows from it.  Nonconvex in general.
    """

    keeps_entries = True

    @property
    def convex(self) -> bool:
        """Whether the set is convex: one mask contains all the others."""
        return False

    def support(self, v: Any) -> Array:
        """Mask [shape of v], bool, of the entries that the projection of v keeps, among them zeros.  Sees |v| only."""
        raise NotImplementedError

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the set to v: v where `support(v)`, else 0.  Kept entries are bitwise those of v.

        Returns an array like v (float64 for integers), or `out`, which may be v.  v is not changed unless it is out.
        Raises ValueError for an array that does not fit the set, and for entries that are NaN or infinite.
        """
        v = checked_array(v)
        xp = namespace(v)
        return write(xp.where(self.support(v), v, xp.zeros_like(v)), out)

    def contains(self, v: Any) -> bool:
        """Whether v is in the set, exactly: no rounding is involved."""
        v = checked_array(v)
        xp = namespace(v)
        return not bool(xp.any((v != 0) & ~self.support(v)))

    def distance(self, v: Any) -> float:
        """Euclidean distance of v to the set.  Error a few ulp."""
        v = checked_array(v)
        xp = namespace(v)
        dropped = double(v)
        return euclidean(xp.where(self.support(v), xp.zeros_like(dropped), dropped))
