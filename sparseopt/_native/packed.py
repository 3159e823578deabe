"""Block coordinate descent on columns packed to 16 bits: arrays in Python, work in C++ (csrc/cpu/bcd_packed.inc)."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .bcd import PADDING, ColumnStore, Descent, never, residual_array
from .loader import address, core

ROWS = 32
"""Rows of one packed line."""

SHIFTED = 2.0**16
"""Scales are those of words in the high half of 32 bits."""

CACHE_LINE = 64
"""Bytes; a packed line that lies across two takes twice the time."""

SINGLE = 4e-5
"""Relative error of products of packed columns: 512 roundings in single precision before a sum is taken over."""


MOST_KEPT = 2**26
"""Bytes of memory of packed columns that are kept for the next ones, at most."""

_kept: list[np.ndarray] = []


def on_cache_lines(size: int, dtype: Any, room: np.ndarray | None = None) -> np.ndarray:
    """An array [size], not initialised, that starts with a cache line; in these bytes, if given."""
    wanted = size * np.dtype(dtype).itemsize
    if room is None:
        room = np.empty(wanted + CACHE_LINE, dtype=np.uint8)
    start = -address(room) % CACHE_LINE
    return room[start : start + wanted].view(dtype)


def _room(size: int) -> np.ndarray:
    """Bytes [size] or some more: those kept where they fit, whose pages the system need not clear first."""
    try:
        room = _kept.pop()
    except IndexError:
        return np.empty(size, dtype=np.uint8)
    return room if size <= len(room) <= 4 * size else np.empty(size, dtype=np.uint8)


def _keep(room: np.ndarray) -> None:
    if len(room) <= MOST_KEPT and not _kept:
        _kept.append(room)


class PackedColumns:
    """sqrt(n s_i) (x_ij - mean_j) rounded to 16 bits, one scale for each column; packed by `read`, or when needed.

    store: dense columns.  share: [n] sample weights s, None for all equal.  centred: whether weighted means are taken
    off, as for an intercept.  Memory that is touched: 2 n bytes for each column that is packed; it is kept for the next
    ones, up to MOST_KEPT bytes.
    frobenius, error: [G] norms of the packed columns of each group, and of what rounding changed, at most; lengths: [G]
    those of the columns themselves; all inf where not packed, lengths also with sample weights.
    """

    def __init__(self, store: ColumnStore, share: np.ndarray | None, centred: bool) -> None:
        self.blocks = -(-store.n // ROWS)
        self.store = store
        size = store.p * self.blocks * ROWS
        room = _room(2 * size + CACHE_LINE)
        weakref.finalize(self, _keep, room).atexit = False
        self.values = on_cache_lines(size, np.int16, room)
        self.scale, self.square, self.mean = np.zeros(store.p), np.zeros(store.p), np.zeros(store.p)
        self.ready = np.zeros(store.groups.n_groups, dtype=np.uint8)
        self.root = None if share is None else np.sqrt(store.n * share)
        self.fields: dict[str, Any] = {
            "blocks": self.blocks,
            "values": address(self.values),
            "scale": address(self.scale),
            "square": address(self.square),
            "mean": address(self.mean),
            "ready": address(self.ready),
            "root": address(self.root),
            "centred": int(centred),
        }
        self.frobenius, self.error, self.lengths = (np.full(store.groups.n_groups, np.inf) for _ in range(3))
        for name in ("frobenius", "error", "lengths"):
            self.fields[name] = address(getattr(self, name))

    def read(self, v: np.ndarray, pull: np.ndarray, norms: np.ndarray) -> None:
        """Pack all groups, and multiply with v [n + padding] on the way: X_g' v into pull [p, 1], by position."""
        design = self.store.fields | {"outputs": 1, "ldr": len(v)}
        core.packed_pass(design, self.fields, address(v), address(pull), address(norms))

    def read_all(self) -> None:
        """Pack all groups that are not packed yet."""
        if not self.ready.all():
            v, norms = np.zeros(self.store.n + PADDING), np.empty(self.store.groups.n_groups)
            self.read(v, np.empty((self.store.p, 1)), norms)

    @property
    def unit(self) -> np.ndarray:
        """What a unit of the packed integers of each column [p] stands for; 0 where the column is too small."""
        return self.scale * SHIFTED

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the first line of each column [p] starts in `values`, and how far apart its lines are."""
        groups = self.store.groups
        first, size = (np.repeat(of, groups.sizes) for of in (self.store.offsets[:-1], groups.sizes))
        inside = np.arange(self.store.p) - first
        return ROWS * (first * self.blocks + inside), (ROWS * size).astype(np.int64)


class PackedDescent:
    """Sweeps over packed columns that change the coefficients of `descent`, a `Descent` on the same columns.

    unit: size of the residual, so that it fits single precision.  s: [n, padded] in that unit, what it was when `lower`
    began less the change of root * X w since then, less its mean where centred.  pull: [p] minus the gradient by
    position, exact at s = 0; `renewed` [p] is the same at the end, up to the packing error, for the groups `scored`
    there [G], and as it was for the others.  interrupted: whether the last descent ended early.  epochs: its sweeps.
    """

    def __init__(self, descent: Descent, packed: PackedColumns, unit: float) -> None:
        self.descent, self.packed, self.unit = descent, packed, unit
        self.s = on_cache_lines(packed.blocks * ROWS, np.float32)
        self.scored = np.zeros(descent.store.groups.n_groups, dtype=np.uint8)
        self.interrupted = False
        self.pull = np.zeros(descent.store.p)
        self.renewed = np.zeros(descent.store.p)
        self.room = np.empty(11 * descent.store.p)
        self.kappa, self.epochs = 0.0, 0
        self.workspace = np.empty(0)
        own = {"share": 0, "inverse": 0, "target": 0, "centred": 0, "unweighted_blocks": 0, "total": 1.0}
        self.fields = descent.fields | own
        self.packed_fields = packed.fields | {
            "unit": float(unit),
            "s": address(self.s),
            "pull": address(self.pull),
            "renewed": address(self.renewed),
            "scored": address(self.scored),
        }

    def lower(
        self,
        working: np.ndarray,
        scores: np.ndarray,
        residual: np.ndarray,
        start: np.ndarray,
        *,
        gap_target: float,
        careful: bool,
        max_epochs: int,
        epochs_per_cycle: int = 6,
        anderson: int = 5,
        ask: Callable[[], bool] = never,
    ) -> float:
        """Sweep over the groups `working` in this order until their relative gap is at most `gap_target`.

        scores: [G], known at the start, renewed where scored.  residual, start: [n], root * (target - X w) at the start
        is residual + n start, and `pull` belongs to the residual alone.  careful: do not leave out scores that a
        prediction makes needless.  Returns the gap reached, measured or predicted.
        """
        self.descent.prepare_large(working)
        n = self.descent.store.n
        self.s[:n], self.s[n:] = start * (n / self.unit), 0
        self.scored[:] = 0
        fields = self.packed_fields | {"residual": address(residual), "careful": int(careful), "kappa": self.kappa}
        coefficients = int(self.descent.store.groups.sizes[working].sum())
        self._room(fields, len(working), coefficients, anderson)
        self.last_fields = fields
        self.renewed[:] = self.pull
        self.epochs, *_, gap, self.kappa, self.interrupted, _ = core.packed_inner(
            self.fields,
            fields,
            address(working),
            len(working),
            address(scores),
            max_epochs,
            epochs_per_cycle,
            anderson,
            float(gap_target),
            address(self.workspace),
            ask,
        )
        return gap

    def score(self, groups: np.ndarray, ask: Callable[[], bool] = never) -> None:
        """Renew the gradients of these groups where the last descent ended, too."""
        self._room(self.last_fields, len(groups), 0, 0)
        chosen, fields = np.ascontiguousarray(groups, dtype=np.int64), self.last_fields
        arguments = address(chosen), len(chosen), address(self.workspace)
        self.interrupted = core.packed_score(self.fields, fields, *arguments, ask)

    def fit_and_products(self, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X w [n + padding] and, for the groups that are not zero in w, X_g' v [p], in one read of their columns.

        w: [p] by position.  v: [n].  Of the columns themselves, in float64.
        """
        z, products = residual_array(self.descent.store.n, 1), np.zeros_like(self.pull)
        pointers = (address(array) for array in (w, v, z, products, self.room))
        core.bcd_fit_and_gradient(self.descent.fields, *pointers)
        return z, products

    def _room(self, fields: dict[str, Any], groups: int, coefficients: int, anderson: int) -> None:
        needed = core.packed_workspace(self.fields, fields, groups, coefficients, anderson)
        if len(self.workspace) < needed:
            self.workspace = np.empty(int(needed * 1.3))
