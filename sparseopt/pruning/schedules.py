"""When what happens: phases of a run.  How the sparsity grows within one is in `sparseopt.growth`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import real_number
from ..growth import Cubic, Exponential, Linear
from ..sets.entries import checked_count

__all__ = ["Cubic", "Exponential", "Linear", "Phase", "Timeline", "checked_fraction", "checked_steps"]


def checked_fraction(value: Any, name: str) -> float:
    """`value` as a float; ValueError unless 0 <= value <= 1."""
    number = real_number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {value!r}: give a fraction of the steps, between 0 and 1")
    return number


@dataclass(frozen=True)
class Phase:
    """Steps start, ..., stop - 1 of a run, counted from 0.  kind: what a method does in them."""

    kind: str
    start: int
    stop: int

    def progress(self, step: int) -> float:
        """Fraction of the phase that is over after `step` steps of the run, between 0 and 1."""
        return min(max((step - self.start) / (self.stop - self.start), 0.0), 1.0)

    def due(self, step: int, updates: int) -> int:
        """Which of `updates` (1, 2, ...), spread evenly over the phase, comes after `step` steps; 0: none.

        A phase with fewer steps than updates has one after each of its steps.
        """
        done, length = step - self.start, self.stop - self.start
        count, before = (steps * min(updates, length) // length for steps in (done, done - 1))
        return count if count > before else 0


@dataclass(frozen=True)
class Timeline:
    """Phases one after another, each of at least one step, and "sparse" for ever after the last."""

    phases: tuple[Phase, ...]

    @classmethod
    def of(cls, total_steps: int, *parts: tuple[str, float]) -> Timeline:
        """From (kind, fraction of the steps), fractions adding up to at most 1; parts without a step are left out."""
        phases, start, done = [], 0, 0.0
        for kind, fraction in parts:
            done += fraction
            stop = min(total_steps, round(done * total_steps))
            if stop > start:
                phases.append(Phase(kind, start, stop))
            start = max(start, stop)
        return cls(tuple(phases))

    def at(self, step: int) -> Phase:
        """The phase of the step that follows `step` completed ones."""
        for phase in self.phases:
            if phase.start <= step < phase.stop:
                return phase
        end = self.phases[-1].stop if self.phases else 0
        return Phase("sparse", end, max(step, end) + 1)


def checked_steps(value: Any, name: str) -> int:
    """`value` as a positive number of steps."""
    return checked_count(value, name, 1)
