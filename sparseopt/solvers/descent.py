"""One run of group block coordinate descent: rounds on a working set, then a pass over all of X."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .._native.bcd import residual_array
from ..penalties import strength as at_strength
from ..problem import Problem
from .frames import LeastSquaresFrame
from .working_set import next_working_set

INNER_TARGET = 0.1
"""Gap on the working set at which a round ends, relative to the gap of the whole problem."""


class GroupDescent:
    """The state of a run: coefficients, working set, scores; `round` is one step of `GroupBCD`.

    w: [p] or [p, T].  z: X w [n] or [n, T].  gradient: of the datafit, like w.  gap: relative duality gap (inf where the
    problem has none).  passes: columns of X read / p.
    """

    def __init__(self, problem: Problem, w0: np.ndarray, options: Any) -> None:
        self.problem, self.options, self.groups = problem, options, problem.penalty.groups
        self.frame = LeastSquaresFrame(problem)
        self.store, self.inner = self.frame.store, self.frame.inner
        self.strength = problem.penalty.strength
        self.scores = np.zeros(self.groups.n_groups)
        self.working = np.flatnonzero(self.strength == 0).astype(np.int64)
        self.start = time.perf_counter()
        self.passes = 0.0
        self.violation_scale = float(self.groups.norms(problem.gradient_at_zero).max())
        self.by_position = np.ascontiguousarray(w0.reshape(len(w0), -1)[self.store.columns])
        self.inner.set_coefficients(self.by_position)
        self._refresh()

    def round(self) -> None:
        """Choose the working set, descend on it, pass over X."""
        self.working, violated = next_working_set(self.working, self.scores, self.norms, self.options.working_set)
        goal = 0.5 * (self.options.accuracy or 0.0)
        target = max(goal, INNER_TARGET * self.gap) if violated and np.isfinite(self.gap) else goal
        self.frame.descend(self, target)
        self.by_position = self.inner.coefficients()
        self._refresh()

    def _refresh(self) -> None:
        """Everything at the present coefficients, from the coefficients alone."""
        problem, store = self.problem, self.store
        fitted = self.inner.fit(self.by_position)
        self.z = output_array(fitted, store.n)
        self.force = -problem.datafit.gradient(self.z)
        self.w = self.by_column(self.by_position)
        self.norms = self.groups.norms(self.w)
        self.gradient = self.whole_pass() if self.norms.any() else problem.gradient_at_zero
        self.scores = self.score(self.groups.norms(self.gradient))
        self.gap = self.relative_gap()

    def whole_pass(self) -> np.ndarray:
        """Gradient of the datafit, from all columns of X."""
        pull = np.empty_like(self.by_position)
        norms = np.empty(self.groups.n_groups)
        self.inner.gradient(padded(self.force), None, pull, norms, self.options.threads, self.ask)
        self.passes += 1
        return -self.by_column(pull)

    def by_column(self, by_position: np.ndarray) -> np.ndarray:
        """[p, outputs] by position -> [p] or [p, T] in the order of the columns."""
        w = np.empty_like(by_position)
        w[self.store.columns] = by_position
        return w[:, 0] if self.z.ndim == 1 else w

    def score(self, gradient_norms: np.ndarray) -> np.ndarray:
        """How close each zero group is to becoming active [G]: > 1 where it violates stationarity; inf for free groups.

        |gradient_g| over the slope of the penalty at 0; where that is infinite, whether a prox-gradient step leaves 0.
        """
        slope = np.asarray(self.problem.penalty.slope0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(gradient_norms > 0, gradient_norms / slope, 0.0)
        steep = np.isinf(slope)
        if not steep.any():
            return ratio
        step = 1 / self.problem.smoothness
        leaves = at_strength.prox(self.problem.penalty.rho, gradient_norms * step, self.strength, step) > 0
        share = gradient_norms / (gradient_norms.max() or 1.0)
        return np.where(steep, np.where(leaves, 1 + share, 0.5 * share), ratio)

    def relative_gap(self) -> float:
        problem = self.problem
        if not problem.convex:
            return np.inf
        primal = problem.datafit.value(self.z) + float(problem.penalty.value(self.w))
        return max(problem.gap_from(self.w, self.z, self.gradient), 0.0) / (abs(primal) or 1.0)

    def penalty_value(self) -> float:
        """Penalty of the coefficients as the compiled loops hold them."""
        squares = np.add.reduceat((self.inner.b**2).sum(axis=1), self.store.offsets[:-1])
        return float(np.sum(at_strength.value(self.problem.penalty.rho, np.sqrt(squares), self.strength)))

    def ask(self) -> bool:
        """Whether to stop early: the deadline of the run has passed."""
        return self.options.time_limit is not None and time.perf_counter() - self.start > self.options.time_limit


def padded(v: np.ndarray) -> np.ndarray:
    """[n] or [n, T] -> [outputs, n + PADDING]."""
    rows = v[None, :] if v.ndim == 1 else v.T
    out = residual_array(rows.shape[1], rows.shape[0])
    out[:, : rows.shape[1]] = rows
    return out


def output_array(rows: np.ndarray, n: int) -> np.ndarray:
    """[outputs, n + PADDING] -> [n] or [n, T]."""
    return rows[0, :n] if len(rows) == 1 else rows[:, :n].T
