"""Jumps of a map along a ray or a segment, located between two neighbouring floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LIPSCHITZ = 1e6
"""A map that moves by more than so many times the distance of two neighbouring positions jumps between them."""


@dataclass(frozen=True)
class Jump:
    """Neighbouring positions low < high, and the values of the map there, `below` and `above`, which are far apart."""

    low: float
    high: float
    below: np.ndarray
    above: np.ndarray


def jumps(at: Callable[[float], np.ndarray], positions: np.ndarray, values: np.ndarray, limit: int = 2) -> list[Jump]:
    """Jumps of the map `at` in the intervals of `positions` [m] in which it moves most, at most `limit` of them.

    values: [m, ...] = at(positions).
    """
    steps = np.abs(np.diff(values, axis=0))
    moved = steps.reshape(len(steps), -1).max(axis=1)
    found = []
    for i in np.argsort(-moved, kind="stable")[:limit]:
        ends = float(positions[i]), float(positions[i + 1])
        found.append(_bisect(at, ends, values[i], values[i + 1]))
    return [jump for jump in found if jump is not None]


def _bisect(
    at: Callable[[float], np.ndarray], ends: tuple[float, float], below: np.ndarray, above: np.ndarray
) -> Jump | None:
    low, high = ends
    whole = _distance(above, below)
    while (middle := (low + high) / 2) not in (low, high):
        value = at(middle)
        if _distance(value, below) >= _distance(above, value):
            high, above = middle, value
        else:
            low, below = middle, value
        if _distance(above, below) <= 1e-9 * whole:
            return None
    room = LIPSCHITZ * ((high - low) + np.finfo(float).eps * np.abs(above).max())
    return Jump(low, high, below, above) if _distance(above, below) > room else None


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of the entries."""
    return float(np.abs(a - b).max())
