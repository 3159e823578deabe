"""What is known of X' v for a sequence of vectors v: a pass over X leaves out the groups that a bound settles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .bcd import PADDING, ColumnStore, never
from .loader import address, core

if TYPE_CHECKING:
    from .packed import PackedColumns

MOST_ANCHORS = 12
"""Vectors remembered; the groups that refer to an older one are read again."""

SMALL = 2**18
"""Entries of X up to which all are read: to find out which ones matter would take longer.

Four times as many where p <= 2 n, since sweeps then cost more than passes; 32 times along paths, where one pass is
enough for most solutions, and what surrounds a run of its own costs more.
"""

ENTRIES_PER_THREAD = 2**24
"""Entries of X that a pass reads for each of its threads: waking another one costs milliseconds on a busy machine."""


def is_small(store: ColumnStore, along_path: bool = False) -> bool:
    """Whether all columns are read in every pass."""
    return store.entries < (32 if along_path else 4 if store.p <= 2 * store.n else 1) * SMALL


def padded(v: np.ndarray) -> np.ndarray:
    """[n] or [n, T] -> [outputs, n + PADDING], the layout of the compiled loops."""
    rows = v[None, :] if v.ndim == 1 else v.T
    out = np.empty((len(rows), rows.shape[1] + PADDING))
    out[:, : rows.shape[1]], out[:, rows.shape[1] :] = rows, 0
    return out


def kept_store(kept: dict[str, Any], X: Any, groups: Any) -> ColumnStore:
    """Columns of the design X, kept in `kept` for later runs on the same data and groups."""
    before = kept.get("groups")
    if before is not groups and before != groups:
        kept.clear()
        kept["groups"], kept["store"] = groups, ColumnStore(X, groups)
    return kept["store"]


@dataclass(frozen=True)
class Nearly:
    """X_g' v to within slack_g in norm.  pull: [p, outputs].  slack: [G], inf where nothing is known.

    enough: [G], slack up to which active groups count as read, since the gap allows for it.
    """

    pull: np.ndarray
    slack: np.ndarray
    enough: np.ndarray


@dataclass(frozen=True)
class Reading:
    """X' v as far as it is known.  Immutable, so that runs in several threads may start from the same one.

    anchors: vectors [outputs, n + PADDING] that were multiplied with columns of X.  anchor: [G], the one of each group.
    -1 where it was forgotten.  pull: [p, outputs], X_g' anchor by position, exact for its own anchor only.  norms: [G]
    of pull.
    slack: [G], how far pull may be from X_g' anchor, in norm; 0 where it is exact (to rounding).  Of active groups it
    is 0, or so small that it was said to be `enough`.
    frobenius: [G], |X_g|_F; inf where it was not worth its cost.
    columns: number of columns that were read to make this from the reading before.
    """

    store: ColumnStore
    anchors: tuple[np.ndarray, ...]
    anchor: np.ndarray
    pull: np.ndarray
    norms: np.ndarray
    frobenius: np.ndarray
    slack: np.ndarray
    columns: int

    @classmethod
    def of(cls, store: ColumnStore, v: np.ndarray, threads: int = 1, packed: PackedColumns | None = None) -> Reading:
        """X' v for all groups.  v: [n] or [n, T].  packed: columns that are to be packed in the same pass, v [n].

        Bounds are made for wide data, and for packed columns: other tall ones gain little.
        """
        anchor, G = padded(v), store.groups.n_groups
        pull, norms, squares = np.empty((store.p, len(anchor))), np.empty(G), np.full(G, np.inf)
        if packed is not None:
            packed.read(anchor[0], pull, norms)
            frobenius = packed.lengths
        else:
            _multiply(store, anchor, None, (pull, norms, squares if store.p > store.n else None), threads, never)
            frobenius = np.sqrt(squares)
        return cls(store, (anchor,), np.zeros(G, dtype=np.int64), pull, norms, frobenius, np.zeros(G), store.p)

    def of_all(self, v: np.ndarray, pull: np.ndarray, norms: np.ndarray) -> Reading:
        """X' v for all groups, pull [p, 1] and its norms [G], which was read elsewhere; v: [1, n + PADDING]."""
        G = len(norms)
        return Reading(self.store, (v,), np.zeros(G, dtype=np.int64), pull, norms, self.frobenius, np.zeros(G), 0)

    def by_column(self, by_position: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """[p, outputs] by position -> [p] or [p, T] in the order of the columns of X."""
        if self.store.in_order:
            return by_position.reshape(shape).copy()
        out = np.empty_like(by_position)
        out[self.store.groups.index] = by_position
        return out.reshape(shape)

    def at(
        self,
        v: np.ndarray,
        slope: np.ndarray,
        active: np.ndarray,
        threads: int,
        ask: Callable[[], bool],
        largest: Callable[[Reading, np.ndarray], float] | None = None,
        nearly: Nearly | None = None,
    ) -> Reading | None:
        """X' v for the active groups and for all whose norm may matter; None where `ask` ended the pass.

        v: [n] or [n, T].  slope: [G], the norms up to which a group that is zero satisfies stationarity.  active: [G],
        bool.  Groups that are left out have |X_g' v| <= slope_g, and |X_g' v| / slope_g is at most the largest such
        ratio of the groups that were read: largest ratio and distances to the subdifferential are as if all were.
        largest: answers with the largest ratio of groups [k] of a reading, where it is another number that is at most
        the norm over the slope; default the latter.
        nearly: what is known of X' v besides, up to a bound.
        """
        now = padded(v)
        if is_small(self.store):
            return replace(self, columns=0) if self._fresh(now).all() else Reading.of(self.store, v)
        start = self if nearly is None else self._with(now, nearly)
        fresh = start._fresh(now)
        if fresh.all():
            return replace(start, columns=0)._without_old_anchors()
        bound = start._bounds(now)
        near = fresh if nearly is None else fresh | (active & (nearly.slack <= nearly.enough))
        reading = start._renewed(now, active & ~near, threads, ask)
        if reading is None:
            return None
        known = np.flatnonzero((active if largest else fresh | active) & (slope > 0))
        ratio = largest(reading, known) if largest else float((reading.norms[known] / slope[known]).max(initial=0.0))
        level = min(1.0, ratio)
        with np.errstate(invalid="ignore"):  # 0 * inf: a slope that bounds nothing
            open_ = ~(bound <= level * slope) | ~np.isfinite(slope)
        rest = reading._renewed(now, open_ & ~fresh & ~active, threads, ask)
        return None if rest is None else replace(rest, columns=reading.columns + rest.columns)._without_old_anchors()

    def where(
        self, v: np.ndarray, matters: Callable[[np.ndarray], np.ndarray], threads: int, ask: Callable[[], bool]
    ) -> Reading | None:
        """X' v for all groups whose norm may matter; None where `ask` ended the pass.

        v: [n] or [n, T].  matters: positive for groups that matter [G], for upper bounds [G] of the norms of X_g' v.
        """
        now = padded(v)
        return self._renewed(now, (matters(self._at_most(now)) > 0) & ~self._fresh(now), threads, ask)

    def at_most(self, v: np.ndarray) -> np.ndarray:
        """Upper bounds [G] of the norms of X_g' v, v [n] or [n, T]; the norms themselves where they were read."""
        return self._at_most(padded(v))

    def _at_most(self, now: np.ndarray) -> np.ndarray:
        fresh = self._fresh(now)
        return self.norms if fresh.all() else np.where(fresh, self.norms, self._bounds(now))

    def uncertainty(self, v: np.ndarray) -> np.ndarray:
        """Bounds [G] of the distance of `pull` from X_g' v, v [n] or [n, T]; inf where nothing is known."""
        now = padded(v)
        fresh = self._fresh(now)
        return np.zeros(len(fresh)) if fresh.all() else np.where(fresh, 0.0, self._errors(now))

    def _with(self, now: np.ndarray, nearly: Nearly) -> Reading:
        """With what is known at `now` up to a bound."""
        known = np.isfinite(nearly.slack)
        chosen, rows = np.flatnonzero(known), np.repeat(known, self.store.groups.sizes)
        pull, norms, anchor, slack = self.pull.copy(), self.norms.copy(), self.anchor.copy(), self.slack.copy()
        pull[rows] = nearly.pull[rows]
        squares = np.add.reduceat(np.einsum("ij,ij->i", pull, pull), self.store.offsets[:-1])
        norms[chosen] = np.sqrt(squares[chosen])
        anchor[chosen], slack[chosen] = len(self.anchors), nearly.slack[chosen]
        return replace(self, anchors=(*self.anchors, now), anchor=anchor, pull=pull, norms=norms, slack=slack)

    def _fresh(self, now: np.ndarray) -> np.ndarray:
        """Whether each group [G] was read at `now`."""
        same = [now is a or np.array_equal(now, a) for a in self.anchors]
        return np.array([*same, False])[self.anchor] & (self.slack == 0)

    def _bounds(self, now: np.ndarray) -> np.ndarray:
        """Upper bounds [G] of |X_g' now|."""
        unit = 2 * (self.store.n + PADDING) * np.finfo(float).eps
        return (self.norms + self._errors(now)) * (1 + unit)

    def _errors(self, now: np.ndarray) -> np.ndarray:
        """Upper bounds [G] of |pull_g - X_g' now|, by the triangle inequality from the anchor of each group.

        Rounding (ledger D3): a computed product of n terms is off by at most n eps |X_g|_F |v|, up to second order, the
        Frobenius norm and the bound itself by a few n eps of their size; all is allowed for twice.
        """
        unit, size = 2 * (self.store.n + PADDING) * np.finfo(float).eps, float(np.linalg.norm(now))
        reach = np.full(len(self.anchors) + 1, np.inf)
        for i in self._used():
            a = self.anchors[i]
            distance, length = (0.0, size) if a is now else (float(np.linalg.norm(now - a)), float(np.linalg.norm(a)))
            reach[i] = distance + unit * (length + size)
        with np.errstate(invalid="ignore"):  # 0 * inf: nothing is bounded
            return self.slack + self.frobenius * reach[self.anchor]

    def _renewed(self, now: np.ndarray, need: np.ndarray, threads: int, ask: Callable[[], bool]) -> Reading | None:
        """With the groups `need` [G], bool, read at `now`."""
        chosen = np.flatnonzero(need)
        if len(chosen) == 0:
            return replace(self, columns=0)
        pull, norms, anchor, slack = self.pull.copy(), self.norms.copy(), self.anchor.copy(), self.slack.copy()
        stopped = _multiply(self.store, now, need.astype(np.uint8), (pull, norms, None), threads, ask)
        if stopped:
            return None
        known = bool(self.anchors) and self.anchors[-1] is now
        anchors = self.anchors if known else (*self.anchors, now)
        anchor[chosen], slack[chosen] = len(anchors) - 1, 0.0
        columns = int(self.store.groups.sizes[chosen].sum())
        return replace(self, anchors=anchors, anchor=anchor, pull=pull, norms=norms, slack=slack, columns=columns)

    def _used(self) -> np.ndarray:
        """Indices of the anchors that groups refer to, increasing."""
        return np.flatnonzero(np.bincount(self.anchor + 1, minlength=len(self.anchors) + 1)[1:])

    def _without_old_anchors(self) -> Reading:
        """Vectors that no group refers to are dropped; of too many the oldest, whose groups are read again."""
        used = self._used()
        if len(used) == len(self.anchors) <= MOST_ANCHORS:
            return self
        left = used[-MOST_ANCHORS:]
        known = self.anchor >= left[0]
        anchor = np.where(known, np.searchsorted(left, np.maximum(self.anchor, left[0])), -1)
        return replace(self, anchors=tuple(self.anchors[i] for i in left), anchor=anchor)


def _multiply(
    store: ColumnStore, v: np.ndarray, need: np.ndarray | None, out: Any, threads: int, ask: Callable[[], bool]
) -> bool:
    """One pass into out = (pull, norms, squared Frobenius norms or None); whether it was interrupted."""
    if core is None:
        from .bcd_reference import gradient

        return gradient(store, v, need, out, ask)
    pull, norms, squares = (address(a) for a in out)
    fields = store.fields | {"outputs": len(v), "ldr": v.shape[1]}
    wanted = address(need)
    if threads > 1:
        columns = store.p if need is None else int(store.groups.sizes[need > 0].sum())
        threads = max(1, min(threads, store.entries * columns // store.p // ENTRIES_PER_THREAD))
    return core.bcd_gradient(fields, address(v), wanted, pull, norms, squares, threads, ask)
