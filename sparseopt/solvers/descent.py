"""One run of group block coordinate descent: rounds on a working set, then a pass over all of X."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..problem import Problem
from .block_penalty import penalty_value, scores
from .frames import frame_of, padded
from .packed import PackedFrame, packing_pays
from .working_set import next_working_set

INNER_TARGET = 0.1
"""Gap on the working set at which a round ends, relative to the gap of the whole problem."""


class GroupDescent:
    """The state of a run: coefficients, working set, scores; `round` is one step of `GroupBCD`.

    by_position: coefficients [p, outputs] in the order of the groups.  z: X w [n] or [n, T].  force: -gradient of the
    datafit in z.  value: the objective.  gap: relative duality gap, inf where the problem has none.
    passes: columns of X read / p.  w and gradient, [p] or [p, T], are those of the last pass over X.
    """

    def __init__(self, problem: Problem, w0: np.ndarray, options: Any) -> None:
        self.problem, self.options, self.groups = problem, options, problem.penalty.groups
        self.frame = PackedFrame(problem) if packing_pays(problem) else frame_of(problem)
        self.store, self.inner = self.frame.store, self.frame.inner
        self.strength = problem.penalty.strength + getattr(problem.penalty, "l1", 0.0)  # 0 where a group is free
        self.smallest_strength = float(np.min(self.strength[self.strength > 0], initial=np.inf))
        self.smallest_strength = self.smallest_strength if np.isfinite(self.smallest_strength) else 0.0
        self.violation_scale = float(self.groups.norms(problem.gradient_at_zero).max())
        self.start = time.perf_counter()
        self.passes = 0.0
        start = np.ascontiguousarray(w0.reshape(len(w0), -1)[self.store.columns])
        self.inner.set_coefficients(start)
        self.move(start)
        self.working = np.flatnonzero((self.strength == 0) | (self.norms > 0)).astype(np.int64)
        self._survey()

    def round(self) -> None:
        """Choose the working set, descend on it, pass over X."""
        self.working, violated = next_working_set(self.working, self.scores, self.norms, self._room())
        goal = 0.5 * (self.options.accuracy or 0.0)
        target = max(goal, INNER_TARGET * self.gap) if violated and np.isfinite(self.gap) else goal
        self.frame.descend(self, target)
        self._survey()

    def _room(self) -> int:
        """Fewest groups that a round adds: all that may become active where sweeps cost less than passes over X."""
        return self.groups.n_groups if isinstance(self.frame, PackedFrame) else self.options.working_set

    def move(self, by_position: np.ndarray) -> None:
        """Take these coefficients; everything that does not need all of X follows from them."""
        self.try_move(by_position, np.inf)

    def try_move(self, by_position: np.ndarray, limit: float) -> bool:
        """`move`, if the objective there is at most `limit` to rounding; else nothing happens, answer False."""
        fitted = self.inner.fit(by_position)[:, : self.store.n]
        z = fitted[0] if self.problem.datafit.n_outputs is None else fitted.T
        norms = np.sqrt(np.add.reduceat((by_position**2).sum(axis=1), self.store.offsets[:-1]))
        value = self.problem.datafit.value(z) + penalty_value(self.problem.penalty, by_position, norms)
        if not value <= limit + 4 * np.finfo(float).eps * abs(limit) and np.isfinite(limit):
            return False
        self.by_position, self.z, self.norms, self.value = by_position, z, norms, value
        self.force = -self.problem.datafit.gradient(z)
        return True

    def working_error(self) -> float:
        """Error over the working set alone, whose scores are renewed: relative duality gap, or relative violation."""
        need = np.zeros(self.groups.n_groups, dtype=np.uint8)
        need[self.working] = 1
        norms = np.zeros(self.groups.n_groups)
        pull = np.zeros_like(self.by_position)
        self.inner.gradient(padded(self.force), need, pull, norms, 1, self.ask)
        penalty, w, gradient = self.problem.penalty, self._by_column(self.by_position), -self._by_column(pull)
        self.scores[self.working] = self._score(gradient)[self.working]
        if not self.problem.convex:
            violation = penalty.violation(w, gradient)
            return float(violation[self.working].max(initial=0.0)) / (self.violation_scale or 1.0)
        if hasattr(penalty, "conjugate"):
            gap = float(penalty.value(w)) + float(np.vdot(gradient, w)) + penalty.conjugate(-gradient)
            return max(gap, 0.0) / (abs(self.value) or 1.0)
        return self.gap_over_working(self.scores)

    def gap_over_working(self, scores: np.ndarray) -> float:
        """Relative duality gap of the working set alone, for a convex penalty, where its scores [G] are these."""
        penalised = self.working[self.strength[self.working] > 0]
        largest = scores[penalised].max(initial=0.0)
        dual = self.problem.datafit.dual(self.z, 1 / largest if largest > 0 else np.inf)
        return max(self.value - dual, 0.0) / (abs(self.value) or 1.0)

    def _survey(self) -> None:
        """Gradient, scores and gap from all columns of X."""
        self.w = self._by_column(self.by_position)
        self.gradient = self._whole_pass() if self.norms.any() else self.problem.gradient_at_zero
        self.scores = self._score(self.gradient)
        self.gap = np.inf
        if self.problem.convex:
            gap = self.problem.gap_from(self.w, self.z, self.gradient)
            self.gap = max(gap, 0.0) / (abs(self.value) or 1.0)

    def _whole_pass(self) -> np.ndarray:
        pull = np.empty_like(self.by_position)
        norms = np.empty(self.groups.n_groups)
        self.inner.gradient(padded(self.force), None, pull, norms, self.options.threads, self.ask)
        self.passes += 1
        return -self._by_column(pull)

    def _by_column(self, by_position: np.ndarray) -> np.ndarray:
        """[p, outputs] by position -> [p] or [p, T] in the order of the columns."""
        w = np.empty_like(by_position)
        w[self.store.columns] = by_position
        return w[:, 0] if self.problem.datafit.n_outputs is None else w

    def _score(self, gradient: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return scores(self.problem.penalty, gradient, lambda: 1 / self.problem.smoothness)

    def ask(self) -> bool:
        """Whether to stop early: the time limit of the run has passed."""
        return self.options.time_limit is not None and time.perf_counter() - self.start > self.options.time_limit
