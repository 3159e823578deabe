"""How the sparsity of a pruned model grows, as functions from progress in [0, 1] to fraction of the final sparsity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ._array import real_number


@dataclass(frozen=True)
class Cubic:
    """1 - (1 - t)^3: gradual magnitude pruning (Zhu and Gupta, 2017)."""

    def __call__(self, t: float) -> float:
        """Fraction of the final sparsity at progress t."""
        return 1 - (1 - t) ** 3


@dataclass(frozen=True)
class Linear:
    """t."""

    def __call__(self, t: float) -> float:
        """Fraction of the final sparsity at progress t."""
        return t


@dataclass(frozen=True)
class Exponential:
    """(1 - e^(-c t)) / (1 - e^-c): early for c > 0 (SequentialAttention++ has c = 4), late for c < 0, t for c = 0."""

    c: float = 4.0

    def __post_init__(self) -> None:
        if not math.isfinite(real_number(self.c)):
            raise ValueError(f"c is {self.c!r}: give one finite number, e.g. 4.0")

    def __call__(self, t: float) -> float:
        """Fraction of the final sparsity at progress t."""
        return math.expm1(-self.c * t) / math.expm1(-self.c) if self.c else t
