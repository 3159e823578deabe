"""What every set does with the arrays it is given: one check, work in float64, sums that do not depend on the order."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .._array import Array, described, floating, host, is_numpy, namespace, real_number

SHIFT = 2.0**600
"""Power of two by which numbers beyond 2^200, or below 2^-200, are scaled, so that their squares stay in range."""


NONFINITE = "v has NaN or infinite entries: a projection needs finite numbers; drop or replace them first"


def checked_array(v: Any) -> Array:
    """v [...] as a real floating array with at least one axis and one entry, all entries finite; else ValueError.

    Integers and booleans become float64; lists become NumPy arrays.
    """
    v = checked_layout(v)
    xp = namespace(v)
    if not bool(xp.all(xp.isfinite(v))):
        raise ValueError(NONFINITE)
    return v


def checked_layout(v: Any) -> Array:
    """`checked_array` without the pass that looks for NaN and infinite entries."""
    if isinstance(v, np.ma.MaskedArray):
        raise ValueError("v is a masked array: fill or drop the masked entries first, e.g. v.filled(0.0)")
    if not hasattr(v, "dtype"):
        try:
            v = np.asarray(v)
        except ValueError as error:
            raise ValueError(f"v cannot be made an array ({error}): give numbers of one shape") from None
    v = floating(v)
    if v.ndim == 0 or 0 in v.shape:
        raise ValueError(f"v has shape {tuple(v.shape)}: give an array with at least one axis and one entry")
    return v


def checked_count(value: Any, name: str, lowest: int, highest: int | None = None) -> int:
    """`value` as an int; ValueError unless it is an integer of Python or NumPy with lowest <= value <= highest."""
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < lowest or (highest is not None and number > highest):
        allowed = f"between {lowest} and {highest}" if highest is not None else f"of at least {lowest}"
        raise ValueError(f"{name} is {value!r}: give an integer {allowed}")
    return number


def checked_radius(value: Any, name: str = "radius") -> float:
    """`value` as a float; ValueError unless it is a real number with 0 <= value < inf."""
    number = real_number(value)
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} is {value!r}: give one finite number >= 0")
    return number


def checked_remainder(remainder: Any) -> str:
    """What to do with shapes that do not divide: "error" or "pad"; else ValueError."""
    if not isinstance(remainder, str) or remainder not in ("error", "pad"):
        raise ValueError(f'remainder is {described(remainder)}: allowed are "error" and "pad"')
    return remainder


def number(x: Array) -> float:
    """x [] as a float, without its derivatives."""
    return float(host(x))


def double(x: Array) -> Array:
    """x [...] in float64."""
    xp = namespace(x)
    return xp.astype(x, xp.float64)


def with_headroom(x: Array) -> Array:
    """x [...] in float64, times 2^-20 where it is so large that norms might overflow: to compare norms with."""
    x = double(x)
    xp = namespace(x)
    return x * 2.0**-20 if number(xp.max(xp.abs(x))) > 2.0**1000 else x


def like(values: Any, x: Array) -> Array:
    """NumPy array `values` [...] in the library and on the device of x."""
    xp = namespace(x)
    return values if is_numpy(xp) else xp.asarray(np.array(values), device=getattr(x, "device", None))


def scale_into_range(xp: Any, x: Array, largest: Array) -> tuple[Array, Array]:
    """x [..., n] float64 times a power of two for each row, by which its squares are in range, and those powers [...].

    largest: [...], the largest magnitude of each row.
    """
    one = xp.ones_like(largest)
    factor = xp.where(largest > 2.0**200, one / SHIFT, xp.where(largest < 2.0**-200, one * SHIFT, one))
    return x * factor[..., None], factor


def euclidean(x: Array) -> float:
    """|x|_2 of all entries of x [...], as a float, without overflow or underflow."""
    x = double(x)
    xp = namespace(x)
    largest = number(xp.max(xp.abs(x)))
    if largest == 0 or not np.isfinite(largest):
        return largest
    scale = 1.0 if 2.0**-200 <= largest <= 2.0**200 else (SHIFT if largest < 1 else 1 / SHIFT)
    return number(xp.sqrt(xp.sum((x * scale) ** 2))) / scale


def ordered_sum(squares: np.ndarray) -> np.ndarray:
    """Sums over the last axis of squares [..., n] in increasing order, one after another: [...].

    Rows with the same numbers in another order have the same sum, so that ties are seen as ties.
    """
    return np.cumsum(np.sort(squares, axis=-1), axis=-1)[..., -1]


def tie_margin(n: int) -> float:
    """Relative difference below which two sums of n squares, or their roots, may come from a tie: 4 (n + 4) eps."""
    return 4 * (n + 4) * float(np.finfo(np.float64).eps)


def drawn_shape(rng: np.random.Generator) -> tuple[int, ...]:
    """A shape of one or two axes of 1 to 6 entries, for sets that take any."""
    return tuple(int(length) for length in rng.integers(1, 7, size=rng.integers(1, 3)))
