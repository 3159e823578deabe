"""Problems of some size: solutions at several strengths in one call of the compiled loops, one from the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from .._native import HAS_NATIVE
from .._native.newton import Report, Sweeps, descend_path
from .._native.strengths import Strengths
from ..deadline import deadline, past
from ..finer_fit import cancels, each_cancels
from ..problem import Problem
from ..range import loss_at_zero, objective_scale, rounding_may_decide, trusted
from ..recentred import recentred
from ..result import Result, result_of
from .block_penalty import norms_decide
from .columns import takes_one_call
from .compiled_loss import compiled_loss
from .descent import GroupDescent
from .frames import MAX_EPOCHS, SETTLED, frame_of, steps_on
from .group_bcd import GroupBCD

AHEAD, SAMPLES_AHEAD = 10, 2**16
"""Strengths in one call at most, or as many as were before, and samples and outputs times these: a path may end early,
and all fits are kept.
"""

REACHED = 0.5
"""Part of the tolerance down to which the descent goes, as in `GroupDescent`."""

ROUNDS = 3
"""Rounds for a strength at which the call falls short; what needs more is left to `solve`."""

NEITHER = np.array([np.inf, np.inf])
"""Strengths at which the last two solutions are 0: there is none yet."""


class DescentPath:
    """A convex problem at one strength, or at decreasing ones, solved from the line through the two solutions before.

    For data of some size (`takes_one_call`), where what surrounds a run would cost more than the descent, or as much.
    tol: relative gap wanted.  several: whether there is more than one strength.
    """

    def __init__(self, problem: Problem, tol: float, several: bool) -> None:
        self.problem, self.tol, self.several = problem, tol, several
        self.at_zero = loss_at_zero(problem)
        frame = frame_of(problem)
        assert frame.loss is not None
        self.inner, self.loss = frame.inner, frame.loss
        self.working = np.flatnonzero(problem.penalty.strength < np.inf)
        self.w, self.lams = np.zeros((2, *self.inner.b.shape)), NEITHER  # the last two solutions by position
        self.run: GroupDescent | None = None
        self.given_up: Result | None = None  # a point on the way, where that was all

    @staticmethod
    def treats(problem: Problem, several: bool) -> bool:
        """Whether the data have the size for it, and one call of the compiled loops tells all of a point."""
        if not (HAS_NATIVE and problem.convex and norms_decide(problem.penalty)) or compiled_loss(problem) is None:
            return False
        return recentred(problem)[0] is problem and takes_one_call(problem, several)

    def solutions(self, lams: np.ndarray, seconds: float | None) -> Iterator[Result | None]:
        """The solution at each of these strengths [L]; None where it fails, or may be rounding.

        seconds: time limit, at which the solutions end.
        """
        last = float(lams[-1])
        if rounding_may_decide(
            self.problem if last == self.problem.penalty.lam else self.problem.with_lam(last), self.tol
        ):
            return
        late = past(deadline(seconds))
        done, most = 0, max(1, SAMPLES_AHEAD // (self.inner.store.n * self.inner.outputs))
        while done < len(lams) and not late():
            results = self._ahead(lams[done : done + min(max(AHEAD, done), most)], late)
            for result in results:
                self.given_up = result
                solved = result if result.gap <= self.tol else self._by_rounds(result, seconds)
                self.given_up = None if solved else self.given_up
                if solved is None and late():
                    return
                yield solved
            if not results:
                return
            done += len(results)

    def _ahead(self, lams: np.ndarray, late: Callable[[], bool]) -> list[Result]:
        """Solutions in one call; the last one may have fallen short, and the gap is inf where it may be rounding."""
        problem, datafit = self.problem, self.problem.datafit
        strengths = Strengths.of(problem.penalty.weights, lams, self.lams)
        w = np.concatenate([self.w, np.zeros((len(lams), *self.w.shape[1:]))])
        target = REACHED * self.tol
        limits = steps_on(self.loss, anderson=GroupBCD.anderson, target=target, at_zero=self.at_zero, scored=False)
        sweeps = Sweeps(MAX_EPOCHS, SETTLED * target)
        first, read = self.lams[1] == np.inf, problem.kept.get("reading")
        pull, lengths = (read.pull, read.frobenius) if first and read is not None else (None, None)
        begin = strengths, w, limits, sweeps
        reports, z, seconds = descend_path(self.inner, self.loss, self.working, *begin, pull, lengths, late)
        count = len(reports)
        self.w, self.lams = w[count : count + 2], strengths.lam[count : count + 2]
        groups, outputs, n = problem.penalty.groups, problem.w_shape[1:], self.inner.store.n
        by_column = w[2 : 2 + count].reshape(count, *problem.w_shape)
        if not groups.contiguous:
            by_position, by_column = by_column, np.empty_like(by_column)
            by_column[:, groups.index] = by_position
        z = z[:count, :, :n].swapaxes(1, 2).reshape(count, n, *outputs)
        doubtful = each_cancels(problem, by_column, z) if count else ()
        rows = [self._row(*seen) for seen in zip(reports, seconds, doubtful, strict=False)]
        if first and rows:
            rows[0] = (*rows[0][:5], rows[0][5] + 1, rows[0][6])  # the pass that found that X is finite
        seen = zip(lams.tolist(), by_column, z, rows, strict=False)
        return [result_of(problem, one.copy(), datafit.intercept(fit), [row], lam=lam) for lam, one, fit, row in seen]

    def _row(self, report: Report, seconds: float, doubtful: bool) -> tuple[float, ...]:
        """Of the history of a solution."""
        gap = trusted(report.gap / objective_scale(report.value, self.at_zero), self.tol)
        passes = report.columns / self.w.shape[1]
        measured = report.value, np.inf if doubtful else gap, report.violation
        return min(report.models, 1), *measured, seconds, passes, report.active

    def _by_rounds(self, given_up: Result, time_limit: float | None) -> Result | None:
        """The result where rounds get to the tolerance from a point where it was given up; else None."""
        if not given_up.gap < np.inf:
            return None
        begun, problem = time.perf_counter(), self.problem.with_lam(given_up.lam)
        with np.errstate(over="ignore", invalid="ignore"):
            run = self._run_from(given_up.latent, problem, GroupBCD(accuracy=self.tol, time_limit=time_limit))
            rows: list[tuple[float, ...]] = []
            for rounds in range(1, ROUNDS + 1):
                run.round()
                if run.measures is None or run.gap is None:  # norms do not decide where squares of strengths underflow
                    return None
                objective = run.measures.objective
                gap = trusted(run.gap / objective_scale(objective, self.at_zero), self.tol)
                seconds = given_up.history.seconds[0] + time.perf_counter() - begun
                passes = given_up.passes + run.passes
                row = (given_up.n_iter + rounds, objective, gap, run.measures.violation, seconds, passes)
                rows.append((*row, run.measures.n_active))
                if gap <= self.tol:
                    break
        self.given_up = result_of(problem, run.w.copy(), problem.datafit.intercept(run.seen_z), rows)
        if gap > self.tol or cancels(problem, run.w, run.seen_z):
            return None
        if given_up.lam == self.lams[1]:
            self.w[1] = run.by_position
        return self.given_up

    def _run_from(self, w: np.ndarray, problem: Problem, options: GroupBCD) -> GroupDescent:
        """The run at w [p]."""
        if self.run is None:
            self.run = GroupDescent(problem, w, options, self.several)
        else:
            self.run.at_strength(problem, w)
        return self.run
