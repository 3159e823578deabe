"""Products: every group of coefficients in a set of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._array import Array, namespace, write
from ..groups import Groups
from .entries import checked_array, like
from .indicator import checked_set
from .top_groups import checked_groups


class Product:
    """Coefficients w [p] or [p, T] whose group g, w_g [p_g] or [p_g, T], is in sets[g].

    sets: one for each group.  groups: Groups of p coefficients.  The projection is that of every group; convex and
    keeps_entries hold if they hold for all sets.  Raises ValueError for another number of sets, and for what is no set.
    """

    def __init__(self, sets: Sequence[Any], groups: Groups) -> None:
        self.groups = checked_groups(groups)
        self.sets = tuple(checked_set(s) for s in sets)
        if len(self.sets) != groups.n_groups:
            raise ValueError(f"there are {len(self.sets)} sets for {groups.n_groups} groups: give one for each")

    @property
    def convex(self) -> bool:
        """Whether all sets are convex."""
        return all(s.convex for s in self.sets)

    @property
    def keeps_entries(self) -> bool:
        """Whether all sets are mask sets."""
        return all(getattr(s, "keeps_entries", False) for s in self.sets)

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the product: that of each group.  Returns an array like v, or `out`, which may be v."""
        v = checked_array(v)
        return write(self._joined([s.project(part) for s, part in self._parts(v)], v), out)

    def support(self, v: Any) -> Array:
        """The masks of all groups, of the shape of v."""
        v = checked_array(v)
        return self._joined([s.support(part) for s, part in self._parts(v)], v)

    def contains(self, v: Any) -> bool:
        """Whether every group is in its set."""
        return all(s.contains(part) for s, part in self._parts(checked_array(v)))

    def distance(self, v: Any) -> float:
        """Euclidean norm of the distances of the groups."""
        return float(np.hypot.reduce([s.distance(part) for s, part in self._parts(checked_array(v))]))

    def support_function(self, y: Any) -> float:
        """max of <w, y> over the product: the sum over the groups, where all sets are convex."""
        return float(sum(s.support_function(part) for s, part in self._parts(checked_array(y))))

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """(p,); rng is not needed."""
        return (self.groups.n_features,)

    def _parts(self, v: Array) -> list[tuple[Any, Array]]:
        if v.ndim not in (1, 2) or v.shape[0] != self.groups.n_features:
            raise ValueError(
                f"v has shape {tuple(v.shape)}, but the groups cover {self.groups.n_features} coefficients"
            )
        xp = namespace(v)
        members = [self.groups.members(g) for g in range(self.groups.n_groups)]
        return [(s, xp.take(v, like(index, v), axis=0)) for s, index in zip(self.sets, members, strict=True)]

    def _joined(self, parts: list[Array], v: Array) -> Array:
        xp = namespace(v)
        return xp.take(xp.concat(parts, axis=0), like(np.argsort(self.groups.index), v), axis=0)

    def __repr__(self) -> str:
        return f"Product({list(self.sets)}, {self.groups!r})"
