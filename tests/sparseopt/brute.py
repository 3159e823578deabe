"""Projections by enumeration in exact arithmetic, and the cases on which sets are compared with them."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

KINDS = ("gauss", "small integers", "equal", "mostly zero", "large", "tiny", "subnormal", "uneven", "float32")


def case(kind, shape, rng):
    """An array of the given kind: random, tied or scaled."""
    x = rng.normal(size=shape)
    if kind == "small integers":
        return rng.integers(-2, 3, size=shape).astype(float)
    if kind == "equal":
        return np.full(shape, rng.normal()) * rng.choice([-1, 1], size=shape)
    if kind == "mostly zero":
        return x * (rng.random(shape) < 0.3)
    if kind == "uneven":
        return x * 10.0 ** rng.integers(-8, 9, size=shape)
    scale = {"gauss": 1, "large": 1e150, "tiny": 1e-150, "subnormal": 1e-320, "float32": 1}[kind]
    return (x * scale).astype(np.float32 if kind == "float32" else float)


def cases(shapes, count, seed):
    """`count` arrays of all kinds, their shapes drawn from `shapes` or by it."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        shape = shapes(rng) if callable(shapes) else shapes[i % len(shapes)]
        yield case(KINDS[i % len(KINDS)], shape, rng)


def exact_squares(v):
    """The squares of v [...] as fractions, in row-major order."""
    return [Fraction(float(x)) ** 2 for x in np.ravel(v)]


def best_mask(v, masks):
    """The first of masks (sequences of bools over the entries of v) with the largest exact kept energy."""
    squares = exact_squares(v)
    unit = max(square.denominator for square in squares)  # a power of two, as all denominators
    wholes = [square.numerator * (unit // square.denominator) for square in squares]
    best, most = None, -1
    for mask in masks:
        energy = sum(itertools.compress(wholes, np.ravel(mask).tolist()))
        if energy > most:
            best, most = np.reshape(np.asarray(mask, dtype=bool), v.shape), energy
    return best


def choices(n, k):
    """Masks [n] with k entries, those that keep earlier entries first."""
    for kept in itertools.combinations(range(n), k):
        mask = np.zeros(n, dtype=bool)
        mask[list(kept)] = True
        yield mask
