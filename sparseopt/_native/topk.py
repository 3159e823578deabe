"""Soft top-k on arrays and addresses: work in C++ (csrc/topk.h) or in the reference, and what went wrong in words.

The rows of an array [..., n] are its last axis.  A state keeps their thresholds for the backward pass and for a
warm start.  Addresses are unchecked; arrays are checked where they are not plainly right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import topk_reference
from .loader import core

DONE, NAN, MANY_INFINITE, FEW_FINITE, CHANGED, REFUSED = 0, 1, 2, 3, 4, -1

MESSAGES = {
    NAN: "row {row} of x has NaN: drop or impute these entries, or mask them with -inf",
    MANY_INFINITE: "row {row} of x has more entries +inf than k = {k}: raise k, or make some of them finite",
    FEW_FINITE: "row {row} of x has fewer than k = {k} entries above -inf: lower k, or mask fewer entries",
    CHANGED: "row {row} of x, or of the array given as out=, has changed since: call the operator again",
}


def check(answer: tuple[int, int], k: int) -> None:
    """Raise ValueError for an answer (code, row) of the core that is not DONE."""
    code, row = answer
    if code != DONE:
        raise ValueError(MESSAGES[code].format(row=row, k=k))


def new_state(dtype: np.dtype) -> Any:
    """A state for rows of float32 or float64: of the core, or of the reference where nothing is compiled."""
    if core is None:
        return topk_reference.State()
    return core.TopK_f32() if dtype == np.float32 else core.TopK_f64()


def forward(state: Any, x: np.ndarray, out: np.ndarray, k: int, tau: float, *, warm: bool, threads: int) -> None:
    """f of the rows of x [..., n] into out [..., n], both of one dtype; any strides, no overlap; warm if the state
    fits.

    0 <= k <= n and 0 < tau are trusted.  Raises ValueError for NaN, more +inf than k, fewer than k entries above -inf.
    """
    answer = state.forward(x, out, k, tau, warm, threads)
    if answer[0] == REFUSED:
        target = out if out.flags.c_contiguous and out.flags.aligned else np.empty(out.shape, out.dtype)
        answer = state.forward(np.require(x, requirements=("C", "A")), target, k, tau, warm, threads)
        if target is not out and answer[0] == DONE:
            out[...] = target
    check(answer, k)


def backward(
    state: Any, x: np.ndarray, y: np.ndarray | None, g: np.ndarray, out: np.ndarray, k: int, tau: float, threads: int
) -> None:
    """(v g - v (v'g) / sum v) / tau, v = f (1 - f), of rows g [..., n] into out, which may be g.

    x: of the forward pass; y: its result, or None: with it the pass is faster.  All of one shape and dtype, any
    strides.
    """
    answer = state.backward(x, y, g, out, k, tau, threads)
    if answer[0] == REFUSED:
        usable = out.flags.c_contiguous and out.flags.aligned and not np.may_share_memory(out, g)
        target = out if usable else np.empty(out.shape, out.dtype)
        arrays = [a if a is None else np.require(a, requirements=("C", "A")) for a in (x, y, g)]
        answer = state.backward(*arrays, target, k, tau, threads)
        if target is not out and answer[0] == DONE:
            out[...] = target
    check(answer, k)


def thresholds(state: Any, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pivots, shifts, spreads) [rows], float64: f = sigmoid((x - pivot) / tau + shift), spread = sum f (1 - f).

    The shift is inf or -inf where all finite entries have f = 1 or f = 0.
    """
    result = np.empty((3, rows))
    state.thresholds(result[0].ctypes.data, result[1].ctypes.data, result[2].ctypes.data)
    return result[0], result[1], result[2]
