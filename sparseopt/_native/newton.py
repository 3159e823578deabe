"""Several proximal Newton steps on a loss of single samples in one call (csrc/cpu/bcd_newton.inc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from .bcd import Descent
from .loader import address, core

LOGISTIC, POISSON, SQUARED = 0, 1, 2
"""Kinds of losses (SO_LOGISTIC, SO_POISSON, SO_SQUARED)."""


class End(IntEnum):
    """Why the steps ended (so_newton_end): a small gap, one that went down slowly, an objective that does not go down,
    on request, or after as many as are allowed.
    """

    REACHED, SLOW, STUCK, INTERRUPTED, MANY_MODELS = range(5)


@dataclass(frozen=True)
class SampleLoss:
    """sum_i share_i loss(eta_i; y_i), eta = z + offset + the optimal intercept where the problem is centred.

    y: [n] float64: signs, counts, or targets of squares, centred where the problem is.  share: [n], sums to 1.
    offset: [n], less its mean where centred; 0 for squares.
    """

    kind: int
    y: np.ndarray
    share: np.ndarray
    offset: np.ndarray

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """Pointers for the compiled loop."""
        return self.kind, address(self.y), address(self.share), address(self.offset)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends the steps and how they are made.

    models, epochs, halvings: most models, sweeps for each, and step lengths tried.  most_epochs: up to which sweeps are
    doubled after a slow model, before one ends the steps.  epochs_per_cycle, anderson: sweeps of a cycle, iterates
    extrapolated.  target: relative gap wanted.  slow: part of the gap before, `last` at first, that a step may leave.
    smallest_share: least weight, relative to the largest one.  margin: of curvatures that were not measured yet.
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


class Point(NamedTuple):
    """Where steps ended, and what a stopping test wants there, by position.

    z, force: [1, n + PADDING], X w and minus the gradient of the loss in z.  w: [p, 1].  sizes: [G], its norms.
    pull: [p, 1], norms: [G], X' times the gradient in z and its norms, of the working set, which has `read` groups.
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


class Steps(NamedTuple):
    """Models made, columns of X read, why they ended, the relative gap over the working set then, and the point."""

    models: int
    columns: int
    why: End
    error: float
    point: Point


def newton_steps(
    descent: Descent,
    loss: SampleLoss,
    working: np.ndarray,
    scores: np.ndarray,
    z: np.ndarray,
    limits: Limits,
    ask: Callable[[], bool],
) -> Steps:
    """Steps over the groups `working`, sorted, from the coefficients of the descent; without models a look at them.

    descent: compiled, with one output and room for weights; its coefficients go down.  scores: [G], in and out.  z: X w
    [1, n + PADDING], taken over.
    """
    assert core is not None
    descent.prepare_large(working)
    counts = (
        limits.models,
        limits.epochs,
        limits.most_epochs,
        limits.epochs_per_cycle,
        limits.anderson,
        limits.halvings,
    )
    rest = limits.target, limits.slow, limits.last, limits.smallest_share, limits.margin
    needed = core.newton_workspace(descent.fields, limits.anderson)
    if len(descent.workspace) < needed:
        descent.workspace = np.empty(needed)
    force, w, pull = np.empty_like(z), np.empty_like(descent.b), np.empty_like(descent.b)
    sizes, norms = np.empty(len(scores)), np.empty(len(scores))
    models, columns, why, error, value, gap, violation, active = core.newton(
        descent.fields,
        loss.fields,
        address(working),
        len(working),
        tuple(map(address, (z, scores, force, w, sizes, pull, norms))),
        counts,
        rest,
        address(descent.workspace),
        ask,
    )
    point = Point(z, force, w, sizes, pull, norms, value, gap, violation, active, len(working))
    return Steps(models, columns, End(why), error, point)
