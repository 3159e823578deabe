"""Several proximal Newton steps on a loss of single samples, or that of Cox, in one call (csrc/cpu/bcd_newton.inc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from .bcd import Descent
from .loader import address, core
from .strengths import Strengths

LOGISTIC, POISSON, SQUARED, COX, HUBER = 0, 1, 2, 3, 4
"""Kinds of losses (SO_LOGISTIC, SO_POISSON, SO_SQUARED, SO_COX, SO_HUBER)."""


class End(IntEnum):
    """Why the steps ended (so_newton_end): a small gap, one that went down slowly, an objective that does not go down,
    on request, or after as many as are allowed.
    """

    REACHED, SLOW, STUCK, INTERRUPTED, MANY_MODELS = range(5)


@dataclass(frozen=True)
class Risks:
    """The risk sets of a Cox model, as so_risk_sets has them: order, weight [q]; starts [K + 1]; mass [K]."""

    order: np.ndarray
    starts: np.ndarray
    weight: np.ndarray
    mass: np.ndarray

    @property
    def fields(self) -> tuple[int, ...]:
        """Counts and pointers for the compiled loop."""
        return len(self.order), len(self.mass), *map(address, (self.order, self.starts, self.weight, self.mass))


@dataclass(frozen=True)
class SampleLoss:
    """sum_i share_i loss(eta_i; y_i), eta = z + offset + the optimal intercept where the problem is centred; or Cox's.

    y: [n] float64: signs, counts, shares of events, targets (Huber), or targets of squares, also [T, n], centred where
    the problem is.  share: [n], sums to 1.  offset: [n], less its mean where centred; None for squares.  risks: of Cox
    alone.  delta: of Huber alone.
    """

    kind: int
    y: np.ndarray
    share: np.ndarray
    offset: np.ndarray | None
    risks: Risks | None = None
    delta: float = 0.0

    @property
    def fields(self) -> tuple[Any, ...]:
        """Pointers for the compiled loop."""
        risks = (0,) * 6 if self.risks is None else self.risks.fields
        return self.kind, address(self.y), address(self.share), address(self.offset), risks, self.delta


class Limits(NamedTuple):
    """What ends the steps and how they are made.

    models, epochs, halvings: most models, sweeps for each, and step lengths tried.  most_epochs: up to which sweeps are
    doubled after a slow model, before one ends the steps.  epochs_per_cycle, anderson: sweeps of a cycle, iterates
    extrapolated.  target: relative gap wanted.  slow: part of the gap before, `last` at first, that a step may leave.
    smallest_share: least weight, relative to the largest one.  margin: of curvatures that were not measured yet.
    next: sweeps on a model end where they leave this part of what the next model is expected to leave of the gap, which
    is the square of what the last one did.
    at_zero: gaps are relative to the larger of the objective and its distance to this.  scored: whether the scores are
    those of the point; else they are found first, and nothing is done where the target is reached.
    """

    models: int
    epochs: int
    most_epochs: int
    epochs_per_cycle: int
    anderson: int
    halvings: int
    target: float
    slow: float
    last: float
    smallest_share: float
    margin: float
    next: float
    at_zero: float = 0.0
    scored: bool = True

    @property
    def fields(self) -> tuple[tuple[Any, ...], tuple[float, ...]]:
        """Counts and other numbers for the compiled loop."""
        cycles = self.epochs_per_cycle, self.anderson, self.halvings, self.scored
        rest = self.target, self.slow, self.last, self.smallest_share, self.margin, self.next, self.at_zero
        return (self.models, self.epochs, self.most_epochs, *cycles), rest


class Point(NamedTuple):
    """Where steps ended, and what a stopping test wants there, by position.

    z, force: [T, n + PADDING], X w and minus the gradient of the loss in z.  w: [p, T].  sizes: [G], its norms.
    pull: [p, T], norms: [G], X' times the gradient in z and its norms, of the working set, which has `read` groups.
    value, gap, violation: objective, and over the working set duality gap and largest distance to stationarity.
    active: groups that are not 0.
    """

    z: np.ndarray
    force: np.ndarray
    w: np.ndarray
    sizes: np.ndarray
    pull: np.ndarray
    norms: np.ndarray
    value: float
    gap: float
    violation: float
    active: int
    read: int


class Report(NamedTuple):
    """What is known of the point where steps ended: so_newton_report, in this order."""

    models: int
    columns: int
    why: End
    error: float
    value: float
    gap: float
    violation: float
    active: int

    @classmethod
    def of(cls, found: tuple[Any, ...]) -> Report:
        """That of a compiled loop."""
        models, columns, why, *rest = found
        return cls(models, columns, End(why), *rest)


def newton_steps(
    descent: Descent,
    loss: SampleLoss,
    working: np.ndarray,
    scores: np.ndarray,
    z: np.ndarray,
    limits: Limits,
    ask: Callable[[], bool],
) -> tuple[Report, Point]:
    """Steps over the groups `working`, sorted, from the coefficients of the descent; without models a look at them.

    descent: compiled, with room for weights, but for squares with one output; its coefficients go down.  scores: [G],
    in and out.  z: X w [T, n + PADDING], taken over.
    """
    assert core is not None
    descent.prepare_large(working)
    descent.reserve(core.newton_workspace(descent.fields, loss.kind, limits.anderson))
    force, w, pull = np.empty_like(z), np.empty_like(descent.b), np.empty_like(descent.b)
    sizes, norms = np.empty(len(scores)), np.empty(len(scores))
    found = core.newton(
        descent.fields,
        loss.fields,
        address(working),
        len(working),
        tuple(map(address, (z, scores, force, w, sizes, pull, norms))),
        *limits.fields,
        address(descent.workspace),
        ask,
    )
    report = Report.of(found)
    point = Point(z, force, w, sizes, pull, norms, *report[4:], len(working))
    return report, point


@dataclass(frozen=True)
class Sweeps:
    """What ends sweeps on squares: the most, and the change of block gradients that does, over the least strength."""

    most: int
    settled: float


def descend_path(
    descent: Descent,
    loss: SampleLoss,
    working: np.ndarray,
    strengths: Strengths,
    w: np.ndarray,
    limits: Limits,
    sweeps: Sweeps,
    at_zero: np.ndarray | None,
    lengths: np.ndarray | None,
    ask: Callable[[], bool],
) -> tuple[list[Report], np.ndarray, list[float]]:
    """Solutions over the groups `working`, sorted, at several strengths, until one falls short of the target.

    w: [2 + L, p, T] by position, in and out, of which two are known.  at_zero: X' times the gradient of the loss in z
    [p, T] at 0, where the others start there and it is known.  lengths: |X_g|_F [G], inf where unknown.  Returns what
    is known of them, with X w [L, T, n + PADDING] and seconds; fewer where one fell short or `ask` ended it, whose gap
    may be inf then.
    """
    assert core is not None
    descent.prepare_large(working)
    z, seconds = np.empty((len(w) - 2, *descent.r.shape)), np.zeros(len(w) - 2)
    found = core.descend_path(
        descent.fields,
        loss.fields,
        address(working),
        len(working),
        strengths.fields,
        tuple(map(address, (z, w, seconds, at_zero, lengths))),
        *limits.fields,
        (sweeps.most, float(sweeps.settled)),
        ask,
    )
    return [Report.of(one) for one in found], z, seconds.tolist()
