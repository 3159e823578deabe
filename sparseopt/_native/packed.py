"""Block coordinate descent on columns packed to 16 bits: arrays in Python, work in C++ (csrc/cpu/bcd_packed.inc)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .bcd import ColumnStore, Descent, never
from .loader import core

ROWS = 32
"""Rows of one packed line."""


class PackedColumns:
    """sqrt(n s_i) (x_ij - mean_j) rounded to 16 bits, one scale for each column; packed when first needed.

    store: dense columns.  share: [n] sample weights s, None for all equal.  centred: whether weighted means are taken
    off, as for an intercept.  Memory that is touched: 2 n bytes for each column of a group that was in a working set.
    """

    def __init__(self, store: ColumnStore, share: np.ndarray | None, centred: bool) -> None:
        self.blocks = -(-store.n // ROWS)
        self.values = np.empty(store.p * self.blocks * ROWS, dtype=np.int16)  # not touched yet
        self.scale, self.square = np.zeros(store.p), np.zeros(store.p)
        self.ready = np.zeros(store.groups.n_groups, dtype=np.uint8)
        self.root = None if share is None else np.sqrt(store.n * share)
        self.fields: dict[str, Any] = {
            "blocks": self.blocks,
            "values": self.values.ctypes.data,
            "scale": self.scale.ctypes.data,
            "square": self.square.ctypes.data,
            "ready": self.ready.ctypes.data,
            "root": 0 if self.root is None else self.root.ctypes.data,
            "centred": int(centred),
        }


class PackedDescent:
    """Sweeps over packed columns that change the coefficients of `descent`, a `Descent` on the same columns.

    unit: size of the residual, so that it fits single precision.  s: [n, padded] the change of root * X w, less its
    mean where centred, since `lower` began, negative, in that unit.  pull: [p] minus the gradient by position, exact
    at the start; `renewed` [p] is the same at the end, up to the packing error, for the groups scored there.
    """

    def __init__(self, descent: Descent, packed: PackedColumns, unit: float) -> None:
        self.descent, self.packed, self.unit = descent, packed, unit
        self.s = np.zeros(packed.blocks * ROWS, dtype=np.float32)
        self.pull = np.zeros(descent.store.p)
        self.renewed = np.zeros(descent.store.p)
        self.kappa = 0.0
        self.workspace = np.empty(0)
        own = {"share": 0, "inverse": 0, "target": 0, "centred": 0, "unweighted_blocks": 0, "total": 1.0}
        self.fields = descent.fields | own
        self.packed_fields = packed.fields | {
            "unit": float(unit),
            "s": self.s.ctypes.data,
            "pull": self.pull.ctypes.data,
            "renewed": self.renewed.ctypes.data,
        }

    def lower(
        self,
        working: np.ndarray,
        scores: np.ndarray,
        residual: np.ndarray,
        *,
        gap_target: float,
        careful: bool,
        max_epochs: int,
        epochs_per_cycle: int = 6,
        anderson: int = 5,
        ask: Callable[[], bool] = never,
    ) -> float:
        """Sweep over the groups `working` in this order until their relative gap is at most `gap_target`.

        scores: [G], known at the start, renewed where scored.  residual: [n], root * (target - X w) now.  careful: do
        not leave out scores that a prediction makes needless.  Returns the gap reached, measured or predicted.
        """
        self.descent.prepare_large(working)
        self.s[:] = 0
        fields = self.packed_fields | {"residual": residual.ctypes.data, "careful": int(careful), "kappa": self.kappa}
        coefficients = int(self.descent.store.groups.sizes[working].sum())
        needed = core.packed_workspace(self.fields, fields, len(working), coefficients, anderson)
        if len(self.workspace) < needed:
            self.workspace = np.empty(int(needed * 1.3))
        self.renewed[:] = self.pull
        *_, gap, self.kappa, _, _ = core.packed_inner(
            self.fields,
            fields,
            working.ctypes.data,
            len(working),
            scores.ctypes.data,
            max_epochs,
            epochs_per_cycle,
            anderson,
            float(gap_target),
            self.workspace.ctypes.data,
            ask,
        )
        return gap
