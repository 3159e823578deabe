"""Block coordinate descent on a working set: arrays and checks in Python, work in C++ (csrc/bcd.h) or the reference.

The coefficients are kept in the eigenbases of their blocks, which are made when a group first moves and kept for later
runs on the same data: along a path, under other penalties, in every fold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from .lapack import give_lapack
from .loader import HAS_NATIVE, address, core
from .mapped import column_major

PADDING = 16
"""Doubles after the last sample of a residual: the pending shift of the intercept, and room for whole vectors."""

LARGE_GROUP = 64
"""Larger groups get their eigenbasis from LAPACK, before the compiled loop needs it (SO_CHUNK)."""

LAPACK_FROM = 13
"""Size of a group from which the compiled loop gets it there too."""

BASIS_READY, MEANS_READY = 1, 2

LINEAR, ASKED = 0, 100
"""Kinds of the group LASSO, and of the penalties that are asked in Python (SO_LINEAR, SO_ASKED)."""


class ColumnStore:
    """The columns of a design in the order of the groups, as the compiled loops read them.

    X: [n, p] float64 or float32, column-major (used in place) or row-major (`column_major`), or scipy.sparse (CSC with
    32-bit rows; other formats are converted once).  groups: the partition of the columns.
    entries: how many are stored.
    """

    def __init__(self, X: Any, groups: Any) -> None:
        self.groups = groups
        self.n, self.p = X.shape
        self.fields: dict[str, Any] = {"n": self.n}
        self.starts: np.ndarray | None = None  # of the columns of a sparse design
        if sparse.issparse(X):
            self._sparse(X)
        else:
            self._dense(X)
        self.squares = np.zeros(groups.n_groups + 1, dtype=np.int64)
        np.add.accumulate(groups.sizes * groups.sizes, out=self.squares[1:])
        self.in_order = groups.contiguous
        self.columns = np.ascontiguousarray(groups.index, dtype=np.int64)
        self.offsets = np.ascontiguousarray(groups.offsets, dtype=np.int64)
        self.fields |= {
            "groups": groups.n_groups,
            "largest": int(groups.sizes.max()),
            "offsets": address(self.offsets),
            "columns": address(self.columns),
            "squares": address(self.squares),
        }

    def _sparse(self, X: Any) -> None:
        csc = X.tocsc()
        if not csc.has_canonical_format:  # a sum of squares needs every entry once
            csc = csc.copy()
            csc.sum_duplicates()
        self.X = csc
        self.values = np.ascontiguousarray(csc.data, dtype=np.float64)
        self.entries = len(self.values)
        self.starts = np.ascontiguousarray(csc.indptr, dtype=np.int64)
        self.rows = np.ascontiguousarray(csc.indices, dtype=np.int32)
        self.fields |= {
            "storage": 2,
            "ld": 0,
            "values": address(self.values),
            "starts": address(self.starts),
            "rows": address(self.rows),
        }

    def _dense(self, X: np.ndarray) -> None:
        itemsize = X.itemsize
        direct = X.strides[0] == itemsize and X.strides[1] % itemsize == 0 and X.strides[1] >= itemsize * self.n
        self.X = X if direct or (self.n == 1 and X.strides[1] > 0) else column_major(X)
        self.entries = self.X.size
        storage = 1 if self.X.dtype == np.float32 else 0
        self.fields |= {
            "storage": storage,
            "ld": self.X.strides[1] // itemsize,
            "values": address(self.X),
            "starts": 0,
            "rows": 0,
        }


@dataclass(frozen=True, kw_only=True)
class BlockPenalty:
    """sum_g rho_g(|w_g|) + l1 |w|_1 + l2 / 2 |w|^2, w >= 0 where positive, as the compiled loops know it.

    kind, parameter: of the C++ twin of rho; or ASKED and the slope of rho at 0.  `asked(question, t, strength,
    curvature)` answers with value, slope or prox.  strength: [G], 0 where a group is free.  l1 and positive go with the
    linear rho alone.
    own: for a penalty that is no function of the norms, group -> the penalty of its block, an object with value and
    prox; then only the reference descends, and rho, l1, l2 and positive are not looked at.
    """

    kind: int
    parameter: float
    strength: np.ndarray
    l1: float = 0.0
    l2: float = 0.0
    positive: bool = False
    asked: Callable[[int, float, float, float], float] | None = None
    own: Callable[[int], Any] | None = None

    @property
    def entrywise(self) -> bool:
        """Whether single entries matter: blocks are then kept as they are, without eigenbases."""
        return self.l1 > 0 or self.positive or self.own is not None

    @property
    def linear(self) -> bool:
        """Whether rho is that of the group LASSO."""
        return self.kind == LINEAR


class BlockCache:
    """Eigenbases and means of the blocks of one design under one set of sample weights.

    For entrywise penalties the blocks themselves stand in the place of the eigenbases.
    """

    def __init__(self, store: ColumnStore) -> None:
        self.basis = np.empty(int(store.squares[-1]))
        self.curvature = np.empty(store.p)
        self.means = np.empty(store.p)
        self.ready = np.zeros(store.groups.n_groups, dtype=np.uint8)

    @property
    def fields(self) -> dict[str, Any]:
        """Pointers for the compiled loops."""
        return {
            "basis": address(self.basis),
            "curvature": address(self.curvature),
            "means": address(self.means),
            "ready": address(self.ready),
        }


def _without_noise(values: np.ndarray, basis: np.ndarray, lengths: np.ndarray, n: int) -> np.ndarray:
    """Curvatures [k], those that rounding may have made 0; as `drop_noise` in csrc/cpu/bcd_radial.inc."""
    unit = np.finfo(float).eps * (n // 8 + 2 * len(values) + 16)
    return np.where(values <= unit * (np.abs(basis).T @ lengths) ** 2, 0.0, values)


def residual_array(n: int, outputs: int) -> np.ndarray:
    """Zeros [outputs, n + PADDING], one row for each output."""
    return np.zeros((outputs, n + PADDING))


def never() -> bool:
    """The question that never interrupts."""
    return False


class Descent:
    """One weighted least-squares problem under a group penalty, and the coefficients as they are.

    store, cache: the design and its blocks.  penalty: what the compiled loops know of it.
    share: [n] sample weights or None for all equal to total / n.
    target: [outputs, n + PADDING], None when no duality gap is wanted.
    compiled: whether the work is done in C++; default where that was built and treats the penalty.
    b: [p, outputs] in the eigenbases, by position.  r: [outputs, n + PADDING], residual times share.
    """

    def __init__(
        self,
        store: ColumnStore,
        cache: BlockCache,
        *,
        penalty: BlockPenalty,
        outputs: int = 1,
        share: np.ndarray | None = None,
        total: float = 1.0,
        target: np.ndarray | None = None,
        centred: bool = False,
        unweighted_blocks: bool = False,
        factor_limit: float = 0.0,
        compiled: bool | None = None,
    ) -> None:
        self.compiled = HAS_NATIVE and penalty.own is None if compiled is None else compiled
        if self.compiled and store.fields["largest"] >= LAPACK_FROM:
            give_lapack()
        self.store, self.cache, self.outputs = store, cache, outputs
        self.penalty = penalty
        self.strength = np.ascontiguousarray(penalty.strength, dtype=np.float64)
        self.share, self.target = share, target
        self.inverse = None if share is None else np.divide(1.0, share, out=np.zeros_like(share), where=share > 0)
        self.factor = np.zeros(store.groups.n_groups) if factor_limit > 0 else None
        self.b = np.zeros((store.p, outputs))
        self.r = residual_array(store.n, outputs)
        self.workspace = np.empty(0)
        self.fields = {
            **store.fields,
            **cache.fields,
            "kind": int(penalty.kind),
            "parameter": float(penalty.parameter),
            "l1": float(penalty.l1),
            "l2": float(penalty.l2),
            "positive": int(penalty.positive),
            "asked": penalty.asked,
            "strength": address(self.strength),
            "outputs": outputs,
            "ldr": self.r.shape[1],
            "r": address(self.r),
            "target": address(target),
            "share": address(share),
            "inverse": address(self.inverse),
            "total": float(total),
            "centred": int(centred),
            "unweighted_blocks": int(unweighted_blocks),
            "b": address(self.b),
            "factor": address(self.factor),
            "factor_limit": float(factor_limit),
        }

    def run(
        self,
        working: np.ndarray,
        scores: np.ndarray,
        *,
        scored: bool,
        max_epochs: int,
        gap_target: float = -1.0,
        violation_target: float = 0.0,
        settled: float = 0.0,
        epochs_per_cycle: int = 6,
        anderson: int = 5,
        ask: Callable[[], bool] = never,
    ) -> tuple[int, int, int, float, float, bool, int]:
        """Descend over the groups `working`.

        Returns epochs, visits, extrapolations, gap, violation, interrupted, number of columns of X that were read.
        """
        working = np.ascontiguousarray(working, dtype=np.int64)
        self.prepare_large(working)
        if not self.compiled:
            limits = max_epochs, epochs_per_cycle, anderson, gap_target, violation_target, settled, ask
            return _reference().Loop(self, _reference().Limits(*limits)).run(working, scores, scored)
        coefficients = int(self.store.groups.sizes[working].sum())
        self.reserve(core.bcd_workspace(self.fields, coefficients, anderson) + len(working))
        return core.bcd_inner(
            self.fields,
            address(working),
            len(working),
            address(scores),
            bool(scored),
            max_epochs,
            epochs_per_cycle,
            anderson,
            float(gap_target),
            float(violation_target),
            float(settled),
            address(self.workspace),
            ask,
        )

    def products_pay(self, columns: int, sweeps: int) -> bool:
        """Whether the Gram matrix of so many columns would have cost less than so many sweeps."""
        plain = self.compiled and self.penalty.linear and not (self.penalty.entrywise or self.penalty.l2 > 0)
        dense = self.store.starts is None
        return plain and dense and core.bcd_products_pay(self.store.n, columns, self.outputs, sweeps)

    def reserve(self, numbers: int) -> None:
        """Make room for so many numbers in the workspace."""
        if len(self.workspace) < numbers:
            self.workspace = np.empty(int(1.3 * numbers))

    def take_strength(self, strength: np.ndarray) -> None:
        """Go on with these strengths of the penalty [G]."""
        self.strength = np.ascontiguousarray(strength, dtype=np.float64)
        self.fields["strength"] = address(self.strength)

    def prepare_large(self, working: np.ndarray) -> None:
        """Eigenbases of the blocks among `working` that are too large for the compiled loop."""
        if self.store.fields["largest"] <= LARGE_GROUP:
            return
        for g in working[(self.store.groups.sizes[working] > LARGE_GROUP)]:
            self.prepare_block(int(g))

    def prepare_block(self, g: int) -> None:
        """Eigenbasis of a block, once, by LAPACK, and b is turned into it; as in csrc/cpu/bcd_block.inc."""
        cache, store = self.cache, self.store
        if cache.ready[g] & BASIS_READY:
            return
        rows = slice(int(store.offsets[g]), int(store.offsets[g + 1]))
        block = store.X[:, store.columns[rows]]
        block = np.asarray(block.todense() if sparse.issparse(block) else block, dtype=np.float64)
        equal = self.share is None or self.fields["unweighted_blocks"]
        total = 1.0 if self.fields["unweighted_blocks"] else self.fields["total"]
        weights: Any = np.full(store.n, total / store.n) if equal else self.share
        gram = block.T @ (weights[:, None] * block)
        lengths = np.sqrt(np.diag(gram))
        if self.fields["centred"]:
            mean = weights @ block / total
            gram -= total * np.outer(mean, mean)
        cache.ready[g] |= BASIS_READY
        basis: Any = (gram + gram.T) / 2
        if self.penalty.entrywise:
            cache.curvature[rows] = np.diag(basis)
        else:
            values, basis = np.linalg.eigh(basis)
            cache.curvature[rows] = _without_noise(values, basis, lengths, store.n)
            self.b[rows] = basis.T @ self.b[rows]
        cache.basis[store.squares[g] : store.squares[g + 1]] = basis.ravel()

    def gradient(
        self,
        v: np.ndarray,
        need: np.ndarray | None,
        out: np.ndarray,
        norms: np.ndarray,
        threads: int,
        ask: Callable[[], bool],
    ) -> bool:
        """X' v by position into out [p, outputs] and group norms into norms [G]; True when interrupted."""
        if not self.compiled:
            return _reference().gradient(self.store, v, need, (out, norms, None), ask)
        return core.bcd_gradient(self.fields, address(v), address(need), address(out), address(norms), 0, threads, ask)

    def coefficients(self) -> np.ndarray:
        """w [p, outputs] by position."""
        w = np.empty_like(self.b)
        self._rotate(self.b, w, False)
        return w

    def set_coefficients(self, w: np.ndarray) -> None:
        """Go on from w [p, outputs] by position, C order."""
        self._rotate(w, self.b, True)

    def _rotate(self, w: np.ndarray, out: np.ndarray, forward: bool) -> None:
        if self.compiled:
            core.bcd_rotate(self.fields, address(w), address(out), forward)
        else:
            _reference().rotate(self, w, out, forward)

    def fit(self, w: np.ndarray) -> np.ndarray:
        """X w [outputs, n + padding] for w [p, outputs] by position, C order."""
        z = residual_array(self.store.n, self.outputs)
        if self.compiled:
            core.bcd_fit(self.fields, address(w), address(z))
        else:
            _reference().fit(self.store, w, z)
        return z

    def reweight(self, share: np.ndarray) -> None:
        """Take other sample weights [n]; the means of the columns under the old ones are forgotten."""
        assert self.share is not None
        assert self.inverse is not None
        self.share[:] = share
        np.divide(1.0, share, out=self.inverse, where=share > 0)
        self.fields["total"] = float(share.sum())
        self.cache.ready &= np.uint8(BASIS_READY)


def _reference() -> Any:
    """The loops in NumPy, imported where they are needed only."""
    from . import bcd_reference

    return bcd_reference
