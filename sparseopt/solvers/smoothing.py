"""A start for Huber's loss with a small delta: solutions for larger ones, each started at the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datafits import Huber

if TYPE_CHECKING:
    from .descent import GroupDescent

FACTOR = 4.0
"""Ratio of one delta to the next."""

LOOSE = 1e-2
"""Relative gap to which the problems before the last one are solved."""

MOST_ROUNDS = 10
"""Rounds for each of them at most."""


def smoothed_start(run: GroupDescent) -> np.ndarray | None:
    """Coefficients [p] near a solution of `run`, of a convex problem with Huber's loss; None where that is not needed.

    With nearly all residuals beyond delta the loss is that of absolute errors, with curvature at few samples, and a
    model of it holds for short steps alone.  (delta / d) times the loss with d > delta is a smoother version of it:
    d goes from the median residual down to delta by factors of FACTOR, with strengths of d / delta times the last ones.
    """
    fit = run.problem.datafit
    if not isinstance(fit, Huber) or not run.measured_by_gap:
        return None
    residuals = np.abs(fit.residual(run.z))[fit.share > 0]
    ratio = float(np.median(residuals)) / fit.delta
    steps = int(np.log(ratio) / np.log(FACTOR)) if ratio > 1 else 0
    w = None
    for k in range(steps, 0, -1):
        w = _solved(run, FACTOR**k, run.w if w is None else w)
    return w


def _solved(run: GroupDescent, factor: float, w0: np.ndarray) -> np.ndarray:
    """A rough solution with factor * delta, from w0 [p]."""
    from .descent import GroupDescent

    problem = run.problem
    fit: Any = problem.datafit
    smooth = Huber(fit.y, factor * fit.delta, fit.sample_weight, fit.offset, fit.fit_intercept)
    easier = problem.with_datafit(smooth).with_lam(factor * problem.penalty.lam)
    easier.kept.update({name: value for name, value in problem.kept.items() if name != "solved"})
    inner = GroupDescent(easier, w0, replace(run.options, time_limit=run.seconds_left))
    frame: Any = inner.frame
    frame.started = True
    for _ in range(MOST_ROUNDS):
        if inner.relative_gap <= LOOSE or run.ask():
            break
        inner.round()
    run.count(inner.columns_read)
    return inner.w
