"""The few helpers that every formula over the array API standard needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace, is_torch_array
from array_api_compat import numpy as numpy_namespace

_ZERO = bytes(8)  # of `zeros_of`

Array = Any
"""An array of NumPy, torch or any other library that follows the array API standard; shapes are in the docstrings."""


def namespace(*arrays: Array) -> Any:
    """Array namespace of the arguments: plain Python numbers and None are ignored."""
    if all(type(a) is np.ndarray for a in arrays):  # the usual case, without looking for other libraries
        return numpy_namespace
    return array_namespace(*(a for a in arrays if a is not None and not isinstance(a, int | float)))


def is_numpy(xp: Any) -> bool:
    """Whether `xp` is the NumPy namespace, where in-place output and compiled code can be used."""
    return xp is numpy_namespace or is_numpy_namespace(xp)


def floating(x: Array) -> Array:
    """x [...] itself if it is a real floating array, as float64 if it holds integers or booleans; numbers as they are.

    Formulas would keep the dtype, and round a norm to an integer.  Raises ValueError for any other dtype.
    """
    dtype = getattr(x, "dtype", None)
    if dtype is None or getattr(dtype, "kind", "") == "f" or getattr(dtype, "is_floating_point", False):
        return x
    xp = namespace(x)
    if xp.isdtype(dtype, "real floating"):
        return x
    if not xp.isdtype(dtype, ("bool", "integral")):
        raise ValueError(f"an array has dtype {dtype}: give real numbers (floating, integer or bool)")
    return xp.astype(x, xp.float64)


def clip(x: Array, *, min: float | None = None, max: float | None = None) -> Array:
    """x [...] cut off at the numbers min and max, in its dtype; NaN stays."""
    bounds = (None if min is None else float(min), None if max is None else float(max))
    if isinstance(x, np.ndarray | np.generic | float):  # the clip of the namespace takes five times as long
        return np.clip(x, *bounds)
    return namespace(x).clip(x, *bounds)


def host(x: Array) -> np.ndarray:
    """x [...] as a NumPy array: of the same memory where that is in the host's, else a copy."""
    return x.detach().cpu().numpy() if is_torch_array(x) else np.asarray(x)


def safe_divide(numerator: Array, denominator: Array, fallback: float = 0.0) -> Array:
    """numerator / denominator where denominator != 0, else `fallback`; never divides by zero, also in gradients.

    Both arguments have the same shape [...].  Returns [...].
    """
    xp = namespace(numerator, denominator)
    zero = denominator == 0
    quotient = numerator / xp.where(zero, xp.ones_like(denominator), denominator)
    return xp.where(zero, xp.full_like(quotient, fallback), quotient)


def zeros_of(shape: tuple[int, ...]) -> np.ndarray:
    """Read-only zeros of this shape, all of them one number in memory."""
    return np.ndarray(shape, np.float64, _ZERO, 0, (0,) * len(shape))


def write(result: Array, out: Array | None) -> Array:
    """`result`, copied into `out` when one was given; every `out=` argument of the package ends here."""
    if out is None:
        return result
    if tuple(out.shape) != tuple(result.shape):
        raise ValueError(f"out has shape {tuple(out.shape)}, but the result has shape {tuple(result.shape)}")
    if out.dtype != result.dtype:
        raise ValueError(f"out has dtype {out.dtype}, but the result has dtype {result.dtype}: give one of that dtype")
    if is_torch_array(out):
        out.copy_(result)
    else:
        out[...] = result
    return out


def as_float(values: Any, name: str, *, ndim: int | tuple[int, ...] = (1, 2), finite: bool = True) -> np.ndarray:
    """Validated NumPy array of a floating type; used once, where data enter the package.

    Integers and booleans become float64, float32 and float64 stay, in the byte order of the machine.
    values: array-like with a number of dimensions in `ndim`.  Raises ValueError for object, complex, string, half or
    masked data, for another number of dimensions, for NaN or infinite entries (unless finite=False) and for an empty
    array.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array: fill or drop the masked entries first, e.g. {name}.filled(0.0)")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} cannot be made an array ({error}): give numbers of one shape") from None
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if not array.dtype.isnative:  # as files may hold them
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == object and array.ndim == 0:  # no array at all, say a Result
        wanted = "its .w" if hasattr(values, "w") else "an array of real numbers"
        raise ValueError(f"{name} is {described(values)}: give {wanted}")
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} has dtype {array.dtype}: give real numbers (float32, float64, integer or bool)")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        wanted = f"{' or '.join(map(str, allowed))} dimension{'s' * (allowed != (1,))}"
        column = f", e.g. {name}.ravel()" if allowed == (1,) and array.size == max(array.shape, default=0) else ""
        raise ValueError(f"{name} has shape {array.shape}: give {wanted}{column}")
    if array.size == 0:
        raise ValueError(f"{name} is empty, shape {array.shape}: at least one entry is needed")
    if finite:
        check_finite(array, name)
    return array


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise ValueError naming the first entry of `array` [...] that is NaN or infinite."""
    if np.isfinite(array).all():
        return
    first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    raise ValueError(f"{name}{list(first)} is {array[first]}: all entries must be finite; drop or impute them first")


def real_number(value: Any) -> float:
    """`value`, a real number of Python or NumPy (or an array [] of one), as a float; NaN for all else, also bools."""
    if type(value) is float:  # the usual case
        return value
    try:
        kind = np.asarray(value).dtype.kind
        return float(value) if kind in "iufO" and np.ndim(value) == 0 else np.nan
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return np.nan


def positive_scalar(value: Any, name: str) -> float:
    """`value` as a float; ValueError unless it is a real number with 0 < value < inf."""
    number = real_number(value)
    if not 0 < number < np.inf:
        raise ValueError(f"{name} is {value!r}: give one positive, finite number")
    return number


def checked_seconds(time_limit: Any) -> float | None:
    """`time_limit` itself; ValueError unless it is None or a real number > 0."""
    if time_limit is not None and not real_number(time_limit) > 0:
        raise ValueError(f"time_limit is {time_limit!r}: give positive seconds, or None for no limit")
    return time_limit


def checked_tolerance(tol: Any) -> float:
    """tol as a float; ValueError unless it is a real number with 0 <= tol < inf."""
    number = real_number(tol)
    if not 0 <= number < np.inf:
        raise ValueError(f"tol is {tol!r}: give a finite number >= 0, e.g. 1e-6")
    return number


def described(value: Any) -> str:
    """What `value` is, for error messages: a class, a string or None as written, else the name of its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if value is None or isinstance(value, str) else f"of type {type(value).__name__}"


def checked_flag(value: Any, name: str) -> bool:
    """`value` as a bool; ValueError unless it is one, of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} is {value!r}: give True or False")
    return bool(value)
