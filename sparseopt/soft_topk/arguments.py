"""What a top-k operator accepts."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .._array import real_number

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def checked_k(k: Any) -> int:
    """k as an int >= 0."""
    try:
        number = -1 if isinstance(k, bool | np.bool_) else operator.index(k)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"k is {k!r}: give an integer from 0 to the number of entries in a row (entries are counted)")
    return number


def checked_tau(tau: Any, name: str = "tau") -> float:
    """tau as a float, 1e-290 <= tau <= 1e290."""
    number = real_number(tau)
    if not number > 0:
        raise ValueError(f"{name} is {tau!r}: give a positive temperature; its limit 0 is StraightThroughTopK")
    if not 1e-290 <= number <= 1e290:
        raise ValueError(f"{name} is {tau!r}: 1e-290 <= {name} <= 1e290 is allowed; multiply x and tau by one number")
    return number


def checked_as_array(x: Any, name: str) -> np.ndarray:
    """x as a NumPy array; ValueError for ragged lists, and for tensors that NumPy does not take."""
    try:
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} cannot be made a NumPy array ({error}): give numbers of one shape; sparseopt.kernels.soft_topk "
            "takes tensors of torch and differentiates them"
        ) from None


def checked_rows(x: Any, k: int, name: str = "x") -> np.ndarray:
    """x as a float array [..., n] with n >= k, n >= 1: integers and booleans become float64, half stays half."""
    array = checked_as_array(x, name)
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array: set what is masked to -inf, {name}.filled(-np.inf)")
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ValueError(f"{name} has dtype {array.dtype}: give float64, float32, float16 or integers")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 0:
        raise ValueError(f"{name} is a single number: give an array [..., n], whose last axis is ranked")
    if array.size == 0:
        raise ValueError(f"{name} is empty, shape {array.shape}: at least one entry is needed")
    if k > array.shape[-1]:
        raise ValueError(f"k is {k}, but a row of {name} has {array.shape[-1]} entries: k is at most that")
    return array


def checked_like(g: Any, shape: tuple[int, ...], dtype: np.dtype, name: str) -> np.ndarray:
    """g as an array of this shape and dtype; integers and other floats are converted."""
    array = checked_as_array(g, name)
    if array.shape != shape or array.dtype.kind not in "iubf":
        raise ValueError(f"{name} is {array.dtype} {array.shape}: give real numbers of the shape of x, {shape}")
    return array.astype(dtype, copy=False)


def checked_out(out: Any, like: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """`out` if it is an array of the shape and dtype of `like` that shares no memory with the others."""
    if not isinstance(out, np.ndarray) or out.shape != like.shape or out.dtype != like.dtype:
        found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else f"of type {type(out).__name__}"
        raise ValueError(f"out is {found}: give a NumPy array {like.dtype} {like.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only: give an array that can be written")
    if any(np.may_share_memory(out, other) for other in others):
        raise ValueError("out shares memory with an array that is still needed: give one of its own, np.empty_like(x)")
    return out


def checked_threads(threads: Any) -> int:
    """threads as the core takes it: 0 for None, OpenMP's own choice."""
    if threads is None:
        return 0
    try:
        number = operator.index(threads)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"threads is {threads!r}: give a positive integer, or None for OpenMP's own choice")
    return number
