"""One run of group block coordinate descent: rounds on a working set, then a pass over all of X."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._native.bcd import never
from .._native.newton import Point
from .._native.reading import Reading, padded
from ..problem import Problem
from ..solve import GRACE, Measures
from .block_penalty import (
    as_block_penalty,
    largest_violation,
    norms_decide,
    penalty_value,
    scalar_part,
    scores,
    strengths,
)
from .columns import reads_all
from .frames import INNER_TARGET, look
from .leaps import leap
from .packed import PackedFrame, frame_for
from .working_set import CANDIDATE_ABOVE, next_working_set, strong_rule


@dataclass(frozen=True)
class Solved:
    """Where the last run on the same data is: w, what was read of X there, and the strengths of its penalty [G]."""

    w: np.ndarray
    reading: Reading
    strength: np.ndarray


class GroupDescent:
    """The state of a run: coefficients, working set, scores; `round` is one step of `GroupBCD`.

    by_position: coefficients [p, outputs] in the order of the groups.  z: X w [n] or [n, T].  force: -gradient of the
    datafit in z.  value: the objective.  passes: columns of X read / p.
    small: whether every pass reads all of X.
    w, seen_z, gradient, gap, measures: what a round ends with, of the last pass over X; gap is None where the problem
    has none, measures where the norms of the groups do not tell them.
    The gradient of zero groups may be that of an earlier point where a bound shows that they fulfil the conditions
    (`Reading`), that of others may be off by a small part of the tolerance; gap and violation are at least those of the
    true gradient.
    """

    def __init__(self, problem: Problem, w0: np.ndarray, options: Any, along_path: bool = False) -> None:
        self.options, self.groups = options, problem.penalty.groups
        self.frame = frame_for(problem)
        self.store, self.inner = self.frame.store, self.frame.inner
        self.small = reads_all(problem, along_path)
        self.start = time.perf_counter()
        self._take_penalty(problem)
        self.columns_read = 0
        self.reading, self.enter_above = self._known(w0)
        self._begin(w0)

    def at_strength(self, problem: Problem, w0: np.ndarray) -> None:
        """Go on from w0 [p] or [p, T] with a problem that differs in the strengths of the groups alone."""
        self._take_penalty(problem)
        self.inner.take_strength(as_block_penalty(problem.penalty).strength)
        self.columns_read, self.enter_above = 0, CANDIDATE_ABOVE
        self._begin(w0)

    def _take_penalty(self, problem: Problem) -> None:
        self.problem = problem
        self.radial = scalar_part(problem.penalty) is not None
        self.strength = strengths(problem.penalty) + getattr(problem.penalty, "l1", 0.0)  # 0 where a group is free
        self.smallest_strength = float(np.min(self.strength[self.strength > 0], initial=np.inf)) if self.radial else 0.0
        self.smallest_strength = self.smallest_strength if np.isfinite(self.smallest_strength) else 0.0
        self.slope0 = _settling_slope(problem.penalty)
        self.by_norms = norms_decide(problem.penalty)

    def _begin(self, w0: np.ndarray) -> None:
        self.surveyed = False
        self.gap: float | None = None
        self.measures: Measures | None = None
        self.point: Point | None = None
        start = np.ascontiguousarray(w0.reshape(len(w0), -1)[self.store.columns])
        self.inner.set_coefficients(start)
        if not look(self.frame, self, start):
            self.move(start)
        self.working = np.flatnonzero((self.strength == 0) | (self.norms > 0)).astype(np.int64)
        self._settle()

    @cached_property
    def may_move(self) -> np.ndarray:
        """Groups that are not forced to be 0, increasing."""
        return np.flatnonzero(self.strength < np.inf).astype(np.int64, copy=False)

    @cached_property
    def violation_scale(self) -> float:
        """Largest norm of a group of the gradient at 0."""
        return float(self.groups.norms(self.problem.gradient_at_zero).max())

    def round(self) -> None:
        """Choose the working set, descend on it, pass over X."""
        if self.small and self.by_norms and self.measured_by_gap:  # surveys read all groups anyway
            self.working, violated = self.may_move, False
        else:
            limits = self._room(), self.enter_above
            self.working, violated = next_working_set(self.working, self.scores, self.norms, *limits)
        likely = self.enter_above < CANDIDATE_ABOVE  # the strong rule rarely errs
        complete = not violated or likely or self.small  # another round costs more than sweeps
        gap = self.relative_gap
        target = self.goal if complete or not np.isfinite(gap) else max(self.goal, INNER_TARGET * gap)
        self.frame.descend(self, target)
        self.enter_above = CANDIDATE_ABOVE
        self._settle()

    @property
    def goal(self) -> float:
        """Gap on the working set below which nothing is gained."""
        return 0.5 * (self.options.accuracy or 0.0)

    def _room(self) -> int:
        """Fewest groups that a round adds: all that may become active where sweeps cost less than passes over X."""
        cheap = isinstance(self.frame, PackedFrame) or self.small
        return self.groups.n_groups if cheap else self.options.working_set

    def move(self, by_position: np.ndarray, fitted: np.ndarray | None = None) -> None:
        """Take these coefficients; everything that does not need all of X follows from them.

        fitted: [outputs, n + padding], their X w where it is known.
        """
        self.try_move(by_position, np.inf, fitted)

    def try_move(self, by_position: np.ndarray, limit: float, fitted: np.ndarray | None = None) -> bool:
        """`move`, if the objective there is at most `limit` to rounding; else nothing happens, answer False."""
        z = self._by_sample(self.inner.fit(by_position) if fitted is None else fitted)
        norms = np.sqrt(np.add.reduceat(np.einsum("ij,ij->i", by_position, by_position), self.store.offsets[:-1]))
        value = self.problem.datafit.value(z) + self._penalty_value(by_position, norms)
        if not value <= limit + 4 * np.finfo(float).eps * abs(limit) and np.isfinite(limit):
            return False
        self.by_position, self.z, self.norms, self.value = by_position, z, norms, value
        self.force = -self.problem.datafit.gradient(z)
        return True

    def _by_sample(self, rows: np.ndarray) -> np.ndarray:
        """[outputs, n + padding] -> [n] or [n, T]."""
        rows = rows[:, : self.store.n]
        return rows[0] if self.problem.datafit.n_outputs is None else rows.T

    def take(self, point: Point, scores: np.ndarray) -> None:
        """`move` to a point of which all this is known, with scores [G] of the working set."""
        self.point, self.scores = point, scores
        self.by_position, self.norms, self.value = point.w, point.sizes, point.value
        self.z, self.force = self._by_sample(point.z), self._by_sample(point.force)

    def _read_by_point(self) -> Reading | None:
        """What was read of X at the point where the run is, if that was all of it; a survey has nothing left to do."""
        point = self.point
        if point is None or point.w is not self.by_position or point.read < self.groups.n_groups:
            return None
        return self.reading.of_all(-point.force, point.pull, point.norms)

    def _penalty_value(self, by_position: np.ndarray, norms: np.ndarray) -> float:
        if self.radial:
            return penalty_value(self.problem.penalty, by_position, norms)
        return float(self.problem.penalty.value(self.by_column(by_position)))

    @property
    def measured_by_gap(self) -> bool:
        """Whether the gap over a working set is known: the problem is convex, its penalty that of the norms."""
        return self.problem.convex and self.radial

    def working_error(self) -> float:
        """Error over the working set alone, whose scores are renewed: relative duality gap, or relative violation."""
        need = np.zeros(self.groups.n_groups, dtype=np.uint8)
        need[self.working] = 1
        norms = np.zeros(self.groups.n_groups)
        pull = np.zeros_like(self.by_position)
        self.inner.gradient(padded(self.force), need, pull, norms, 1, self.ask)
        self.count(int(self.groups.sizes[self.working].sum()))
        if self.by_norms and self.measured_by_gap:
            self.scores[self.working] = norms[self.working] / self.slope0[self.working]
            return self.gap_over_working(self.scores)
        penalty, w, gradient = self.problem.penalty, self.by_column(self.by_position), -self.by_column(pull)
        self.scores[self.working] = self._score(gradient)[self.working]
        if not self.measured_by_gap:
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

    def count(self, columns: int) -> None:
        """Note that so many columns of X were read."""
        self.columns_read += columns

    @property
    def passes(self) -> float:
        """Columns of X read so far / p."""
        return self.columns_read / self.store.p

    def _known(self, w0: np.ndarray) -> tuple[Reading, float]:
        """What is known of X' v for the data, and the rule for the first round: at 0, or along a path at w0 [p]."""
        kept = self.problem.kept
        if "reading" not in kept:  # X is not stored by columns, so the pass that looked for NaN was not one of ours
            kept["reading"] = Reading.of(self.store, self.problem.slopes_at_zero, self.options.threads)
            self.count(self.store.p)
        last: Solved | None = kept.get("solved")
        if last is None or not w0.any():
            return kept["reading"], CANDIDATE_ABOVE
        at_last = np.array_equal(last.w, w0)
        return last.reading, strong_rule(last.strength, self.strength) if at_last else CANDIDATE_ABOVE

    def _settle(self) -> None:
        """Survey; where the run would end at a stationary point, zero groups may leave 0 for a better value first."""
        self._survey()
        if self.may_leap and not self.ask() and self._stationary() and leap(self):
            self._survey()

    @cached_property
    def may_leap(self) -> bool:
        """Whether 0 may be stationary for a group and not its best value."""
        return self.radial and not self.problem.convex and not self.inner.penalty.entrywise

    def _stationary(self) -> bool:
        """Whether the violation of the last survey is what is wanted in the end."""
        problem, measures = self.problem, self.measures
        violation = problem.violation_from(self.w, self.gradient) if measures is None else measures.violation
        return violation <= (self.options.accuracy or 0.0) * self.violation_scale

    def _survey(self) -> None:
        """Gradient, scores and gap from all columns of X that matter; out of time, those of the last survey stay."""
        known = self._read_by_point()
        if known is not None:
            self._surveyed(known)
            return
        needed = (self.strength == 0) | (self.norms > 0)
        nearly = self.frame.nearly(self) if isinstance(self.frame, PackedFrame) else None
        late = self._late if self.surveyed else never
        largest = self._largest_ratio if self.inner.penalty.entrywise else None
        reading = self.reading.at(-self.force, self.slope0, needed, self.options.threads, late, largest, nearly)
        if reading is None:
            return
        self.count(reading.columns)
        self._surveyed(reading)

    def _surveyed(self, reading: Reading) -> None:
        self.surveyed, self.reading = True, reading
        self.w, self.seen_z = self.by_column(self.by_position), self.z
        self.gradient = reading.by_column(reading.pull, self.problem.w_shape)
        self._judge(reading)
        self.problem.kept["solved"] = Solved(self.w, reading, self.strength)

    def _largest_ratio(self, reading: Reading, chosen: np.ndarray) -> float:
        """The largest score among the groups `chosen` [k], whose gradient was read."""
        if len(chosen) == 0 or not self.radial:
            return 0.0
        columns = np.isin(self.groups.labels, chosen)
        gradient = reading.by_column(reading.pull, self.problem.w_shape)[columns]
        penalty = self.problem.penalty.restrict(chosen)
        return float(penalty.critical_lams(-gradient).max()) / penalty.lam

    def _judge(self, reading: Reading) -> None:
        """Scores, gap and what the stopping test wants, from what was read of X here."""
        problem, point = self.problem, self.point
        if point is not None and reading.pull is point.pull:
            self.gap, self.measures = point.gap, Measures(point.value, point.violation, point.active)
            return
        if not self.by_norms:
            self.scores = self._score(self.gradient)
            self.gap = self._gap()
            return
        slack = np.where(self.norms > 0, reading.slack, 0.0)
        self.scores = (reading.norms + slack) / self.slope0
        self.gap = self._gap()
        arrays = self.by_position, self.norms, reading.pull, reading.norms
        violation = largest_violation(problem.penalty, self.slope0, *arrays) + float(slack.max())
        self.measures = Measures(self.value, violation, int(np.count_nonzero(self.norms)))

    def _gap(self) -> float | None:
        """`Problem.gap_from` of the last survey, whose scores tell the dual point where no group is free."""
        problem = self.problem
        if not problem.convex:
            return None
        largest = float(self.scores.max())
        if not self.radial or hasattr(problem.penalty, "conjugate") or not largest < np.inf:
            return problem.gap_from(self.w, self.z, self.gradient, self._late)
        return self.value - problem.datafit.dual(self.z, 1 / largest if largest > 0 else np.inf)

    @property
    def relative_gap(self) -> float:
        """The gap of the last survey, relative to the objective; inf for nonconvex problems."""
        return np.inf if self.gap is None else max(self.gap, 0.0) / (abs(self.value) or 1.0)

    def _late(self) -> bool:
        """Whether the time limit has passed by more than the pass is given that makes the work so far count."""
        limit = self.options.time_limit
        return limit is not None and time.perf_counter() - self.start > limit + GRACE

    def by_column(self, by_position: np.ndarray) -> np.ndarray:
        """[p, outputs] by position -> [p] or [p, T] in the order of the columns."""
        return self.reading.by_column(by_position, self.problem.w_shape)

    def _score(self, gradient: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return scores(self.problem.penalty, gradient, self._safe_step)

    def _safe_step(self) -> float:
        """1 over the curvature of the loss, of that at the present point where it is not bounded."""
        problem = self.problem
        return 1 / (problem.smoothness if problem.smooth else problem.local_smoothness(self.z))

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the time limit of the run, None without one."""
        limit = self.options.time_limit
        return None if limit is None else max(limit - (time.perf_counter() - self.start), 0.0)

    def ask(self) -> bool:
        """Whether to stop early: the time limit of the run has passed."""
        return self.options.time_limit is not None and time.perf_counter() - self.start > self.options.time_limit


def _settling_slope(penalty: Any) -> np.ndarray:
    """Norms of the gradient [G] up to which a zero group is settled; inf where its norm does not decide that."""
    if scalar_part(penalty) is None:
        return np.full(penalty.groups.n_groups, np.inf)
    return np.array(penalty.slope0)
