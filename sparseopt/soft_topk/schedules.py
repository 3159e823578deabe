"""Temperatures as functions of the step: what an annealed soft top-k is driven by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import positive_scalar, real_number
from .arguments import checked_k


@dataclass(frozen=True)
class _FromTo:
    """From temperature `start` at step 0 to `end` at step `steps`, and `end` after that."""

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        positive_scalar(self.start, "start")
        positive_scalar(self.end, "end")
        positive_scalar(self.steps, "steps")

    def fraction(self, step: float) -> float:
        """min(step / steps, 1); ValueError for a negative step."""
        number = real_number(step)
        if not number >= 0:
            raise ValueError(f"step is {step!r}: give a number >= 0, counted from the start of the annealing")
        return min(number / self.steps, 1.0)


class ExponentialTemperature(_FromTo):
    """tau(step) = start * (end / start)^(step / steps)."""

    def __call__(self, step: float) -> float:
        """Temperature at a step >= 0."""
        fraction = self.fraction(step)
        return self.start ** (1.0 - fraction) * self.end**fraction


class LinearTemperature(_FromTo):
    """tau(step) = start + (end - start) * step / steps."""

    def __call__(self, step: float) -> float:
        """Temperature at a step >= 0."""
        fraction = self.fraction(step)
        return (1.0 - fraction) * self.start + fraction * self.end


class InverseTemperature(_FromTo):
    """1 / tau(step) = 1 / start + (1 / end - 1 / start) * step / steps."""

    def __call__(self, step: float) -> float:
        """Temperature at a step >= 0."""
        fraction = self.fraction(step)
        return 1.0 / ((1.0 - fraction) / self.start + fraction / self.end)


@dataclass(frozen=True)
class AnnealingTemperature:
    """tau(step) = gap / (2 p log(step + 2)): the slowest annealing that prunes (ledger B6).

    gap: distance D > 0 between the k-th and the next score, kept while weights are trained.  What leaks through the
    mask of a pruned entry falls as step^-p: for p > 1/2 gradient descent on a strongly convex loss drives it to zero,
    for p < 1/2 the weights outgrow the mask and the product tends to the dense optimum, at p = 1/2 to something
    between.
    """

    gap: float
    p: float = 1.0

    def __post_init__(self) -> None:
        positive_scalar(self.gap, "gap")
        positive_scalar(self.p, "p")

    @property
    def prunes(self) -> bool:
        """Whether the schedule is fast enough: p > 1/2."""
        return self.p > 0.5

    def __call__(self, step: float) -> float:
        """Temperature at a step >= 0."""
        if not real_number(step) >= 0:
            raise ValueError(f"step is {step!r}: give a number >= 0, counted from the start of the annealing")
        return self.gap / (2.0 * self.p * math.log(step + 2.0))


def temperature_for(gap: float, k: int, n: int, error: float) -> float:
    """Largest tau of the bound 2 sqrt(k (n - k)) exp(-gap / (2 tau)) >= |f - mask|_1 that keeps it at `error` or below.

    gap: distance of the k-th and the next of n scores, > 0.  0 < k < n.  error > 0, below 2 sqrt(k (n - k)).
    Source: ledger B2, solved for tau.
    """
    gap, error, k, n = positive_scalar(gap, "gap"), positive_scalar(error, "error"), checked_k(k), checked_k(n)
    if not 0 < k < n:
        raise ValueError(f"k is {k} and n is {n}: 0 < k < n is needed; else the mask is exact at every temperature")
    most = 2.0 * math.sqrt(k * (n - k))
    if error >= most:
        raise ValueError(f"error is {error:g}: it must be below {most:g}, which every temperature reaches")
    return gap / (2.0 * math.log(most / error))
