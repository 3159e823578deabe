"""Several proximal Newton steps on a loss of single samples in one call (csrc/cpu/bcd_newton.inc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .bcd import Descent
from .loader import core

LOGISTIC, POISSON = 0, 1
"""Kinds of losses (SO_LOGISTIC, SO_POISSON)."""


class End(IntEnum):
    """Why the steps ended (so_newton_end): a small gap, one that went down slowly, an objective that does not go down,
    on request, or after as many as are allowed.
    """

    REACHED, SLOW, STUCK, INTERRUPTED, MANY_MODELS = range(5)


@dataclass(frozen=True)
class SampleLoss:
    """sum_i share_i loss(eta_i; y_i), eta = z + offset + the optimal intercept where the problem is centred.

    y: [n] float64, signs or counts.  share: [n], sums to 1.  offset: [n], less its mean where centred.
    """

    kind: int
    y: np.ndarray
    share: np.ndarray
    offset: np.ndarray

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """Pointers for the compiled loop."""
        return self.kind, self.y.ctypes.data, self.share.ctypes.data, self.offset.ctypes.data


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends the steps and how they are made.

    models, epochs, halvings: most models, sweeps for each, and step lengths tried.  epochs_per_cycle, anderson: sweeps
    of a cycle, iterates extrapolated.  target: relative gap wanted.  slow: part of the gap before, `last` at first,
    that a step may leave.  smallest_share: least weight, relative to the largest one.  margin: of curvatures that were
    not measured yet.
    """

    models: int
    epochs: int
    epochs_per_cycle: int
    anderson: int
    halvings: int
    target: float
    slow: float
    last: float
    smallest_share: float
    margin: float


def newton_steps(
    descent: Descent,
    loss: SampleLoss,
    working: np.ndarray,
    scores: np.ndarray,
    z: np.ndarray,
    limits: Limits,
    ask: Callable[[], bool],
) -> tuple[int, int, End, float]:
    """Models made, columns of X read, why it ended, and the relative gap over the groups `working`, sorted.

    descent: compiled, with one output and room for weights; its coefficients go down.  scores: [G], and z: X w
    [n + PADDING], in and out.
    """
    assert core is not None
    descent.prepare_large(working)
    counts = limits.models, limits.epochs, limits.epochs_per_cycle, limits.anderson, limits.halvings
    rest = limits.target, limits.slow, limits.last, limits.smallest_share, limits.margin
    needed = core.newton_workspace(descent.fields, limits.anderson)
    if len(descent.workspace) < needed:
        descent.workspace = np.empty(needed)
    models, columns, why, error = core.newton(
        descent.fields,
        loss.fields,
        working.ctypes.data,
        len(working),
        scores.ctypes.data,
        z.ctypes.data,
        counts,
        rest,
        descent.workspace.ctypes.data,
        ask,
    )
    return models, columns, End(why), error
