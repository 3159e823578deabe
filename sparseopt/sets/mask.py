"""Sets of sparse arrays whose projection keeps some entries and drops the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, namespace, write
from .compiled import host_pair
from .entries import NONFINITE, checked_array, checked_layout, double, euclidean


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
        Raises ValueError for an array that does not fit the set, and for entries that are NaN or infinite (out then
        may have been written).  Contiguous float32 and float64 arrays in the host's memory are projected by the
        compiled core, with the same result.
        """
        v = checked_layout(v)
        pair = host_pair(v, out)
        finite = None if pair is None else self._project_compiled(pair.source, pair.target)
        if pair is not None and finite:
            return pair.result
        if finite is not None:
            raise ValueError(NONFINITE)
        v = checked_array(v)
        xp = namespace(v)
        return write(xp.where(self.support(v), v, xp.zeros_like(v)), out)

    def _project_compiled(self, source: np.ndarray, target: np.ndarray) -> bool | None:
        """Project source into target by the compiled core; None where it cannot, else whether all was finite.

        Nothing is written where the result is None.
        """
        return None

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
