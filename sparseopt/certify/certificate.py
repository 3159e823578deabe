"""The answer of every checker: a three-valued verdict with bounds and a reason."""

from __future__ import annotations

from dataclasses import dataclass

PROVED, REFUTED, UNDECIDED = "proved", "refuted", "undecided"


@dataclass(frozen=True)
class Certificate:
    """What was shown about a point.

    verdict: "proved" (the quantity is at most tol * scale), "refuted" (it is larger) or "undecided".
    lower, upper: floats that enclose the absolute quantity, rounding errors included.  scale: what tol is relative to.
    reason: one sentence; where undecided, what could not be shown.
    distance: upper bound on |w - minimiser|_2, inf where strong convexity was not shown or not asked for.
    """

    verdict: str
    lower: float
    upper: float
    scale: float
    tol: float
    reason: str
    distance: float = float("inf")

    @property
    def proved(self) -> bool:
        """Whether the verdict is "proved"."""
        return self.verdict == PROVED


def verdict_of(lower: float, upper: float, threshold: float, largest_threshold: float | None = None) -> str:
    """The verdict on `quantity <= threshold` when the quantity lies in [lower, upper].

    largest_threshold: where the threshold is only known to lie between the two; by default it is exact.
    """
    if upper <= threshold:
        return PROVED
    return REFUTED if lower > (threshold if largest_threshold is None else largest_threshold) else UNDECIDED
