"""The first pass over X: the gradient at 0, and where that pays the columns packed to 16 bits on the way."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._native import HAS_NATIVE
from ._native.bcd import ColumnStore
from ._native.packed import PackedColumns
from ._native.reading import Reading, kept_store
from .datafits import LeastSquares
from .penalties import GroupLasso

TALL = 3
"""Samples for each column from which on packing pays."""

SMALLEST_SIZE = 2**18
"""Entries of X from which on packing pays: smaller designs stay in the cache."""


def packing_pays(X: Any, datafit: Any, penalty: Any) -> bool:
    """Whether the problem is one of tall dense columns of some size: convex group LASSO least squares."""
    return is_plain(X, datafit, penalty) and X.shape[0] >= TALL * X.shape[1] and X.size >= SMALLEST_SIZE


def is_plain(X: Any, datafit: Any, penalty: Any) -> bool:
    """Whether the problem is group LASSO least squares with a dense design in memory."""
    return (
        HAS_NATIVE
        and isinstance(datafit, LeastSquares)
        and type(penalty) is GroupLasso
        and not penalty.positive
        and isinstance(X, np.ndarray)
        and not isinstance(X, np.memmap)
    )


def packed_columns(kept: dict[str, Any], store: ColumnStore, datafit: LeastSquares) -> PackedColumns:
    """The packed columns of a design under the sample weights of the datafit, kept in `kept`."""
    if "packed" not in kept:
        share = datafit.share if datafit.equal_share is None else None
        kept["packed"] = PackedColumns(store, share, datafit.fit_intercept)
    return kept["packed"]


def first_reading(kept: dict[str, Any], X: Any, datafit: Any, penalty: Any, v: np.ndarray) -> Reading:
    """X' v for v [n] or [n, T], kept in `kept`; X is stored by columns."""
    store = kept_store(kept, X, penalty.groups)
    packed = packed_columns(kept, store, datafit) if packing_pays(X, datafit, penalty) else None
    kept["reading"] = Reading.of(store, v, packed=packed)
    return kept["reading"]
