"""How functions of arrays behave: nothing is modified, dtype and shape are kept, `out` is filled, libraries agree."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .inequality import Violation, close, rounding, same, true

LIBRARIES = ("torch", "array_api_strict")
"""Array libraries beside NumPy; those that are not installed are left out."""

Call = Callable[[Any, np.ndarray], Any]
"""A method of the object under test, applied to one array."""


def as_numpy(result: Any) -> np.ndarray:
    """The result of a call as a NumPy array."""
    return np.asarray(result)


def untouched(call: Callable[[np.ndarray], Any], v: np.ndarray, meaning: str) -> np.ndarray:
    """The result of call(v), a fresh array; Violation where v changed or shares its memory with the result."""
    given = v.copy()
    result = call(given)
    if given.tobytes() != v.tobytes():
        raise Violation(f"{meaning} leaves its argument alone: violated, it became {given.tolist()}")
    if isinstance(result, np.ndarray) and result.ndim:
        true(not np.shares_memory(result, given), f"the result of {meaning} has memory of its own")
    return result


def read_only(call: Callable[[np.ndarray], Any], v: np.ndarray, meaning: str) -> None:
    """Violation unless v [n, ...] read-only gives the same result bit for bit, and strided the same to rounding."""
    expected = as_numpy(call(v))
    frozen = v.copy()
    frozen.setflags(write=False)
    same(as_numpy(call(frozen)), expected, f"{meaning} of a read-only array and of a copy")
    wide, finite = as_numpy(call(np.repeat(v, 2, axis=0)[::2])), expected[np.isfinite(expected)]
    slack = rounding(v.size, np.abs(finite).max(initial=0.0))  # sums may run in another order
    close(wide, expected, slack, f"{meaning} of a strided view and of a copy")


def keeps_dtype(call: Callable[[np.ndarray], Any], v: np.ndarray, meaning: str) -> None:
    """Violation unless float32 and float64 arrays v [...] give results of their own dtype and of v's shape."""
    for dtype in (np.float32, np.float64):
        result = call(v.astype(dtype))
        true(str(result.dtype) == np.dtype(dtype).name, f"{meaning} of {np.dtype(dtype).name} is of that dtype")
        same(tuple(result.shape), v.shape, f"shape of {meaning}")


def fills_out(call: Callable[..., Any], v: np.ndarray, meaning: str) -> None:
    """Violation unless call(v, out=buffer) fills and returns the buffer, or refuses a buffer that is v itself."""
    expected = as_numpy(call(v.copy()))
    buffer = np.full_like(expected, 7.0)
    true(call(v.copy(), out=buffer) is buffer, f"{meaning} returns out")
    same(buffer, expected, f"{meaning} in out")
    if expected.shape == v.shape and expected.dtype == v.dtype:
        own = v.copy()
        try:
            call(own, out=own)
        except ValueError:
            return
        same(own, expected, f"{meaning} with out the argument itself")


def libraries() -> list[tuple[str, Any]]:
    """(name, namespace) of the libraries that are installed."""
    found = []
    for name in LIBRARIES:
        module = f"array_api_compat.{name}" if name == "torch" else name
        try:
            found.append((name, importlib.import_module(module)))
        except ImportError:
            continue
    return found


def no_library(subject: Any) -> str:
    """Why nothing can be compared, or ""."""
    if getattr(subject, "numpy_only", False):
        return "it declares numpy_only"
    return "" if libraries() else f"none of {', '.join(LIBRARIES)} is installed"


def agrees(call: Callable[[Any], Any], v: np.ndarray, meaning: str, *, share: float = 1.0) -> None:
    """Violation unless call gives the same, to rounding, for v [...] in every library that is installed."""
    expected = as_numpy(call(v))
    slack = rounding(v.size, share * np.abs(v[np.isfinite(v)]).sum(), expected[np.isfinite(expected)])
    for name, library in libraries():
        result = as_numpy(call(library.asarray(v.copy())))
        close(result, expected, slack, f"{meaning} with {name} and with NumPy")
