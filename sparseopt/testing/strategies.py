"""Hypothesis strategies for numbers, arrays and groups, with the edges where formulas break.

They are kept: Hypothesis validates each once, which takes longer than a draw from it.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..groups import Groups

ROUND = (0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 1e-8, -1e-150, 5e-324)
"""Numbers of which arrays with ties are made, and tiny ones, whose squares underflow."""

EDGES = (0.0, -0.0, 5e-324, -1e-310, 2.3e-308, 1e-150, -1e-30, 1e-8, 1.0, 1e8, -1e30, 1e150, -1e150, 1e-200, -1e200)
"""Zeros, subnormals, numbers whose squares underflow or overflow."""

SMALL = 12
"""Up to this many entries each one is drawn and shrunk by itself."""

STEPS = (1.0, 0.5, 2.0, 1e-3, 30.0, 1e3)


@cache
def numbers(*, extreme: bool = False) -> Any:
    """Finite floats: a few round ones (ties), small integers, anything up to 1000; with `extreme` the edges too."""
    from hypothesis import strategies as st

    plain = [st.sampled_from(ROUND), st.integers(-8, 8).map(float), st.floats(-1e3, 1e3, allow_subnormal=False)]
    return st.one_of(*plain, st.sampled_from(EDGES)) if extreme else st.one_of(*plain)


@lru_cache(256)
def arrays(shape: tuple[int, ...], *, extreme: bool = False) -> Any:
    """Float64 arrays of this shape: entries of `numbers`, in large arrays a few of them in a random order and scale."""
    from hypothesis import strategies as st

    size = math.prod(shape)
    entry = numbers(extreme=extreme)
    if size <= SMALL:
        listed = st.lists(entry, min_size=size, max_size=size)
        equal = st.sampled_from((False, False, False, True))
        return st.builds(
            lambda values, tied: np.array(values[:1] * size if tied else values).reshape(shape), listed, equal
        )

    def filled(palette: list[float], seed: int, noisy: bool) -> np.ndarray:
        rng = np.random.default_rng(seed)
        chosen = rng.choice(np.array(palette), size=shape)
        return chosen * rng.standard_normal(shape) if noisy else chosen

    return st.builds(filled, st.lists(entry, min_size=1, max_size=6), st.integers(0, 2**32 - 1), st.booleans())


@cache
def steps() -> Any:
    """Positive step sizes, from 1e-3 to 1e3."""
    from hypothesis import strategies as st

    return st.one_of(st.sampled_from(STEPS), st.floats(-3.0, 3.0).map(lambda e: float(10.0**e)))


@cache
def seeds() -> Any:
    """Seeds of random generators."""
    from hypothesis import strategies as st

    return st.integers(0, 2**32 - 1)


@cache
def groups() -> Any:
    """Partitions of a few coefficients: one group, one-element groups, very uneven ones, interleaved ones."""
    from hypothesis import strategies as st

    sizes = st.lists(st.sampled_from((1, 1, 2, 3, 17)), min_size=1, max_size=4)

    def made(sizes: list[int], order: int | None) -> Groups:
        labels = np.repeat(np.arange(len(sizes)), sizes)
        return Groups.from_labels(labels if order is None else np.random.default_rng(order).permutation(labels))

    return st.builds(made, sizes, st.one_of(st.none(), seeds()))
