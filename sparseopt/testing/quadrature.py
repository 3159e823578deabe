"""Integrals with an error that is known, of functions of one number with a few kinks and jumps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

NODES = 12
"""Points n of the Gauss-Lobatto rule."""


def integral(
    f: Callable[[np.ndarray], np.ndarray],
    low: float,
    high: float,
    goal: float,
    depth: int = 40,
    known: float | None = None,
) -> tuple[float, float]:
    """Integral of f over [low, high], and a bound of its error: halved until two rules agree to `goal`.

    The rules look at the ends and at the middle, so that wherever there is a jump they differ by at least 0.003 of it,
    times high - low: rules that are symmetric and leave out the middle agree on a jump next to it.
    known: what the rule gives for all of it, if that is known.
    """
    middle = (low + high) / 2
    whole = _rule(f, low, high) if known is None else known
    parts = _rule(f, low, middle), _rule(f, middle, high)
    if abs(whole - sum(parts)) <= goal or depth == 0:
        return sum(parts), abs(whole - sum(parts))
    left = integral(f, low, middle, goal / 2, depth - 1, parts[0])
    right = integral(f, middle, high, goal / 2, depth - 1, parts[1])
    return left[0] + right[0], left[1] + right[1]


def _rule(f: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> float:
    nodes, weights = _lobatto()
    half = (high - low) / 2
    return float(weights @ f(low + half * (nodes + 1))) * half


@cache
def _lobatto() -> tuple[np.ndarray, np.ndarray]:
    """Nodes: the ends and the extrema of P, Legendre polynomial of degree n - 1; weights 2 / (n (n - 1) P^2)."""
    p = np.polynomial.Legendre.basis(NODES - 1)
    nodes = np.concatenate([[-1.0], np.sort(p.deriv().roots().real), [1.0]])
    return nodes, 2 / (NODES * (NODES - 1) * p(nodes) ** 2)
