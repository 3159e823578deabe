"""Inequalities that say what is compared, with both sides, and the rounding error that is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array

SAFETY = 32.0
"""Rounding errors of one operation that a tolerance allows for each term of a sum."""


class Violation(AssertionError):
    """An inequality that a property states is violated; the message has both sides."""


def epsilon(array: Array) -> float:
    """Distance from 1 to the next number of the dtype of `array`, by its name in any library."""
    name = str(array.dtype).rsplit(".", 1)[-1]
    return float(np.finfo(name).eps)


def rounding(size: int, *magnitudes: Any, eps: float = float(np.finfo(np.float64).eps)) -> float:
    """Error allowed in a sum of `size` terms of these total magnitudes: SAFETY * eps * (size + 8) * sum(magnitudes).

    Each term is off by some ulp and each addition adds one, relative to the sum of magnitudes; the smallest positive
    number is added, where numbers have no relative precision.
    """
    total = sum(float(np.sum(np.abs(np.asarray(m, dtype=np.float64)))) for m in magnitudes)
    return SAFETY * (size + 8) * (eps * total + float(np.finfo(np.float64).smallest_subnormal))


def at_most(left: Any, right: Any, slack: Any, meaning: str) -> None:
    """Violation unless left <= right + slack everywhere (numbers or arrays [...]); NaN violates."""
    left, right, slack = (np.asarray(x, dtype=np.float64) for x in (left, right, slack))
    fine = left <= right + slack
    if fine.all():
        return
    wrong = np.argwhere(~fine)[0]
    at = tuple(int(i) for i in wrong)
    sides = [np.broadcast_to(x, fine.shape)[at] for x in (left, right, slack)]
    where = f" at {list(at)}" if at else ""
    raise Violation(
        f"{meaning}{where}: {sides[0]:.17g} <= {sides[1]:.17g} is violated, rounding allowed {sides[2]:.1e}"
    )


def close(left: Any, right: Any, slack: Any, meaning: str) -> None:
    """Violation unless |left - right| <= slack everywhere; equal infinities are close, NaN violates."""
    left, right, slack = (np.asarray(x, dtype=np.float64) for x in (left, right, slack))
    if left.shape != right.shape:
        raise Violation(f"{meaning}: the shape {left.shape} = {right.shape} is violated")
    with np.errstate(invalid="ignore"):
        fine = (left == right) | (np.abs(left - right) <= slack)
    if fine.all():
        return
    at = tuple(int(i) for i in np.argwhere(~fine)[0])
    sides = [np.broadcast_to(x, fine.shape)[at] for x in (left, right, slack)]
    where = f" at {list(at)}" if at else ""
    raise Violation(f"{meaning}{where}: {sides[0]:.17g} = {sides[1]:.17g} is violated, rounding allowed {sides[2]:.1e}")


def same(left: Any, right: Any, meaning: str) -> None:
    """Violation unless both are equal: bit for bit for arrays [...], except that 0.0 equals -0.0."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        close(left, right, 0.0, meaning)
    elif left != right:
        raise Violation(f"{meaning}: {left!r} = {right!r} is violated")


def true(statement: Any, meaning: str) -> None:
    """Violation unless the statement is true."""
    if not bool(statement):
        raise Violation(f"{meaning}: violated")


def shown(value: Any) -> str:
    """`value` as it can be typed: arrays in full up to 64 entries, with their dtype where it is not float64."""
    if hasattr(value, "labels") and hasattr(value, "n_groups"):
        return f"Groups.from_labels({value.labels.tolist()})"
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size > 64:
        return f"array of shape {value.shape}, dtype {value.dtype}, first entries {value.ravel()[:8].tolist()}"
    dtype = "" if value.dtype == np.float64 else f", dtype={value.dtype}"
    return f"np.array({value.tolist()}{dtype})"
