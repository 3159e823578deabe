"""Soft top-k on arrays and addresses: work in C++ (csrc/topk.h) or in the reference, and what went wrong in words.

The rows of an array [..., n] are its last axis.  A state keeps their thresholds for the backward pass and for a
warm start.  Addresses are unchecked; arrays are checked where they are not plainly right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import topk_reference
from .blocks import SUFFIX
from .cuda import check_launch
from .loader import address, core

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
    state.thresholds(address(result[0]), address(result[1]), address(result[2]))
    return result[0], result[1], result[2]


def cuda_bytes(rows: int, n: int) -> int:
    """Size of the workspace of `forward_cuda_ptr` for rows [rows, n]; 0 where CUDA was not compiled in."""
    return core.topk_cuda_bytes(rows, n)


def forward_cuda_ptr(
    x: int, out: int, work: int, codes: int, shape: tuple[int, int], k: int, tau: float, dtype: np.dtype,
    *, device: int = 0, stream: int = 0,
) -> None:  # fmt: skip
    """f of the rows of x [rows, n] = shape into out, at addresses on a CUDA device, unchecked, queued on a stream.

    work: `cuda_bytes` of memory there, which keeps the thresholds.  codes: int32 [rows] there, set to DONE, NAN,
    MANY_INFINITE or FEW_FINITE; the rows that are not DONE are NaN.  Nothing waits for the device.
    Raises RuntimeError as `check_launch`.
    """
    function = getattr(core, "topk_forward_cuda_" + SUFFIX[np.dtype(dtype)])
    check_launch(function(x, out, work, codes, *shape, k, tau, device, stream))


def backward_cuda_ptr(
    x: int, g: int, out: int, work: int, shape: tuple[int, int], k: int, tau: float, dtype: np.dtype,
    *, device: int = 0, stream: int = 0,
) -> None:  # fmt: skip
    """(v g - v (v'g) / sum v) / tau, v = f (1 - f), after `forward_cuda_ptr` with this x and work; out may be g."""
    function = getattr(core, "topk_backward_cuda_" + SUFFIX[np.dtype(dtype)])
    check_launch(function(x, g, out, work, *shape, k, tau, device, stream))
