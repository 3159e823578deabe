"""Arrays with few non-zero groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, host, is_numpy, namespace
from ..groups import Groups
from .entries import checked_array, checked_count, double, like, tie_margin, with_headroom
from .mask import MaskSet
from .selection import exact_norms, largest
from .top_blocks import keep_top_blocks


class TopGroups(MaskSet):
    """Coefficients w [p] or [p, T] with at most k non-zero groups.

    k: integer, 0 <= k <= G.  groups: Groups of p coefficients.
    The projection keeps the k groups with the largest norms |w_g|_2; among equal ones those with the lowest index,
    also where the norms are equal and rounding would tell them apart (groups with the same entries in another order).
    Raises ValueError for another k or groups.
    """

    def __init__(self, k: int, groups: Groups) -> None:
        self.groups = checked_groups(groups)
        self.k = checked_count(k, "k", 0, groups.n_groups)

    @property
    def convex(self) -> bool:
        """Whether nothing or everything is kept."""
        return self.k in (0, self.groups.n_groups)

    def support(self, v: Any) -> Array:
        """Mask [p] or [p, T] of the k groups with the largest norms."""
        v = checked_array(v)
        kept = self.kept_groups(v)[self.groups.labels]
        mask = like(kept, v)
        return mask if v.ndim == 1 else namespace(v).broadcast_to(mask[:, None], tuple(v.shape))

    def kept_groups(self, v: Any) -> np.ndarray:
        """Mask [G] of the groups that the projection keeps, a NumPy array."""
        v = checked_array(v)
        x = with_headroom(v)
        norms = group_norms(self.groups, x)
        entries = int(self.groups.sizes.max()) * (v.shape[1] if v.ndim == 2 else 1)

        def recomputed(chosen: np.ndarray) -> np.ndarray:
            rows, exact = host(x), np.empty(len(chosen))
            for size in np.unique(self.groups.sizes[chosen]):
                same = np.flatnonzero(self.groups.sizes[chosen] == size)
                members = self.groups.index[self.groups.offsets[chosen[same]][:, None] + np.arange(size)]
                exact[same] = exact_norms(rows[members].reshape(len(same), -1))
            return exact

        return largest(norms, self.k, tie_margin(entries), recomputed)

    def _project_compiled(self, source: np.ndarray, target: np.ndarray) -> bool | None:
        sizes = self.groups.sizes
        if not (self.groups.contiguous and source.ndim <= 2 and len(source) == len(self.groups.labels)):
            return None
        if sizes.min() != sizes.max():
            return None
        rows, into = (x.reshape(self.groups.n_groups, -1) for x in (source, target))
        return keep_top_blocks(rows, into, (1, rows.shape[1]), self.k)

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """(p,) or (p, T), drawn by rng."""
        p = self.groups.n_features
        return (p,) if rng.random() < 0.5 else (p, int(rng.integers(1, 4)))

    def __repr__(self) -> str:
        return f"TopGroups({self.k}, {self.groups!r})"


def checked_groups(groups: Any) -> Groups:
    """`groups`; ValueError unless it is a Groups."""
    if not isinstance(groups, Groups):
        raise ValueError(f"groups is of type {type(groups).__name__}: give a Groups, e.g. Groups.from_sizes([3, 2])")
    return groups


def double_rows(v: Array) -> np.ndarray:
    """v [p] or [p, T] as a NumPy array of float64."""
    return host(double(v))


def group_norms(groups: Groups, v: Array) -> np.ndarray:
    """Norms of the groups of v [p] or [p, T], float64 [G], a NumPy array; without overflow or underflow."""
    xp = namespace(v)
    norms = host(groups.norms(double(v)))
    if is_numpy(xp) or v.dtype != xp.float64 or (np.isfinite(norms) & (norms > 2.0**-400)).all():
        return norms
    return groups.norms(double_rows(v))
