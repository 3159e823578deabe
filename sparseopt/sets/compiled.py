"""The way into the compiled projections: which arrays they take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import is_torch_array

from .._array import Array
from .._native import HAS_NATIVE
from .._native.blocks import SUFFIX

TORCH_DTYPES = ("torch.float32", "torch.float64")


class HostPair(NamedTuple):
    """Input and output in the host's memory, C-contiguous, of one shape and dtype, the same memory or disjoint.

    source, target: NumPy views.  result: the array to return, of the caller's library.
    """

    source: np.ndarray
    target: np.ndarray
    result: Array


def host_pair(v: Array, out: Array | None) -> HostPair | None:
    """v and out (or a fresh array like v) for the compiled core; None where it cannot take them."""
    source = _view(v)
    if source is None:
        return None
    result = _fresh(v) if out is None else out
    target = _view(result)
    if target is None or not target.flags.writeable or (target.shape, target.dtype) != (source.shape, source.dtype):
        return None
    if target.ctypes.data != source.ctypes.data and np.may_share_memory(source, target):
        return None
    return HostPair(source, target, result)


def _view(x: Any) -> np.ndarray | None:
    """x [...] as a NumPy array of its own memory; None unless it is a contiguous float32 or float64 array there."""
    if not HAS_NATIVE:
        return None
    if is_torch_array(x):
        if x.requires_grad or x.device.type != "cpu" or not x.is_contiguous() or str(x.dtype) not in TORCH_DTYPES:
            return None
        return x.numpy()
    plain = type(x) is np.ndarray and x.dtype in SUFFIX and x.dtype.isnative
    return x if plain and x.flags.c_contiguous and x.flags.aligned else None


def _fresh(v: Array) -> Array:
    return np.empty_like(v) if isinstance(v, np.ndarray) else v.new_empty(v.shape)
