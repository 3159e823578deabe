"""What belongs to the samples of every datafit: checked weights and offsets."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float


def checked_offset(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Offset of the given shape, [n] or [n, T], as float64, default 0; ValueError for another shape or NaN."""
    if values is None:
        return np.zeros(shape)
    array = as_float(values, "offset", ndim=len(shape)).astype(np.float64)
    if array.shape != shape:
        wanted = f"{shape[0]} samples" + (f" and {shape[1]} outputs" if len(shape) == 2 else "")
        raise ValueError(f"offset has shape {array.shape}, but there are {wanted}")
    return array


def checked_weights(values: Any, n: int) -> np.ndarray:
    """Sample weights [n], default 1; ValueError for a negative one, or when the sum is not positive and finite."""
    if values is None:
        return np.ones(n)
    array = as_float(values, "sample_weight", ndim=1).astype(np.float64)
    if len(array) != n:
        raise ValueError(f"sample_weight has {len(array)} entries, but there are {n} samples")
    if (array < 0).any():
        i = int(np.argmax(array < 0))
        raise ValueError(f"sample_weight[{i}] is {array[i]}: weights must not be negative")
    with np.errstate(over="ignore"):
        total = array.sum()
    if not 0 < total < np.inf:
        raise ValueError(f"sample_weight sums to {total}: the sum must be positive and finite")
    return array


def ratio(u: np.ndarray, share: np.ndarray) -> np.ndarray:
    """u / share for u [n] or [n, T] and share [n] >= 0; where share is 0: 0 for u = 0, else inf with the sign of u."""
    share = share if u.ndim == 1 else share[:, None]
    outside = np.where(u == 0, 0.0, np.copysign(np.inf, u))
    return np.where(share > 0, u / np.where(share > 0, share, 1.0), outside)


def centred_difference(target: np.ndarray, z: np.ndarray, share: np.ndarray) -> np.ndarray:
    """target - z, [n] or [n, T], less its weighted means.

    The means of z go first, which is exact to the size of the rest, and what their rounding leaves in common to all
    samples goes last: columns of X far from 0 would multiply it.
    """
    rest = target - (z - share @ z)
    return rest - share @ rest


def centred_target(y: np.ndarray, offset: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y - offset, [n] or [n, T], less its weighted means, and these means; a large mean of either costs no digits."""
    rest, mean = centred(y, share)
    shift, mean_shift = centred(offset, share)
    difference, left = centred(rest - shift, share)
    return difference, mean - mean_shift + left


def centred(values: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """values [n] or [n, T] less their weighted means, and these means.

    Centred twice, for the last digits: a large mean costs no accuracy later.  What the second pass leaves at the level
    of its own rounding errors (constant values) is 0.
    """
    constant = values.max(axis=0) == values.min(axis=0)
    centre = np.where(constant, values[0], share @ values)
    once = values - centre
    twice = once - share @ once
    rounding = 2 * len(share) * np.finfo(float).eps * np.abs(once).max(axis=0)
    return np.where(np.abs(twice).max(axis=0) <= rounding, 0.0, twice), centre
