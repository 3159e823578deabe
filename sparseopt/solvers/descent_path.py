"""Small problems, alone or along a path: one run of block descent, which goes on from strength to strength."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from .._native import HAS_NATIVE
from .._native.gram import length_ahead
from .._native.reading import is_small
from ..deadline import deadline, past
from ..finer_fit import cancels
from ..problem import Problem
from ..range import loss_at_zero, objective_scale, rounding_may_decide, trusted
from ..recentred import recentred
from ..result import Result, result_of
from .block_penalty import norms_decide
from .descent import GroupDescent
from .frames import compiled_loss, kept_columns
from .group_bcd import GroupBCD

ROUNDS = 3
"""Rounds for one strength; what needs more is left to `solve`."""


class DescentPath:
    """A convex problem at one strength, or at decreasing ones, solved from the line through the two solutions before.

    For data so small that every pass reads all of X, where the arrays of a run cost more than the descent.
    tol: relative gap wanted.  several: whether there is more than one strength.
    """

    def __init__(self, problem: Problem, tol: float, several: bool) -> None:
        self.tol, self.several, self.at_zero = tol, several, loss_at_zero(problem)
        self.run: GroupDescent | None = None
        self.before: tuple[float, np.ndarray] | None = None  # strength and solution

    @staticmethod
    def treats(problem: Problem, several: bool) -> bool:
        """Whether the data are small, and one call of the compiled loops tells all of a point."""
        if not (HAS_NATIVE and problem.convex and norms_decide(problem.penalty)) or compiled_loss(problem) is None:
            return False
        return recentred(problem)[0] is problem and is_small(kept_columns(problem)[0], several)

    def solutions(self, problems: list[Problem], seconds: float | None) -> Iterator[Result | None]:
        """The solution of each of these problems, which differ in strength; None where it fails, or may be rounding.

        seconds: time limit, at which the solutions end.
        """
        options = GroupBCD(accuracy=self.tol, time_limit=seconds)
        if rounding_may_decide(problems[-1]):
            return
        late = past(deadline(seconds))
        for problem in problems:
            if late():
                return
            begun = time.perf_counter()
            with np.errstate(over="ignore", invalid="ignore"):
                run = self._run_at(problem, options)
                result = self._solved(run, begun)
            if result is None and late():
                return
            yield result

    def _run_at(self, problem: Problem, options: GroupBCD) -> GroupDescent:
        """The run at the strength of the problem, and at a point to begin from."""
        if self.run is None:
            self.run = GroupDescent(problem, np.zeros(problem.w_shape), options, self.several)
            return self.run
        run = self.run
        now, w = run.problem.penalty.lam, run.w
        before, w_before = self.before or (now, w)
        self.before = now, w
        run.at_strength(problem, w + length_ahead(problem.penalty.lam, now, before) * (w - w_before))
        return run

    def _solved(self, run: GroupDescent, begun: float) -> Result | None:
        """The result where the run gets to the tolerance, with seconds since `begun`; else None."""
        rows: list[tuple[float, ...]] = []
        for rounds in range(ROUNDS + 1):
            if rounds:
                run.round()
            if run.measures is None or run.gap is None:  # norms do not decide where squares of strengths underflow
                return None
            objective = run.measures.objective
            gap = trusted(run.gap / objective_scale(objective, self.at_zero), self.tol)
            seconds = time.perf_counter() - begun
            passes = run.passes + (self.before is None)  # the first one found that X is finite
            rows.append((rounds, objective, gap, run.measures.violation, seconds, passes, run.measures.n_active))
            if gap <= self.tol:
                return None if cancels(run.problem, run.w, run.seen_z) else _result(run, rows)
        return None


def _result(run: GroupDescent, rows: list[tuple[float, ...]]) -> Result:
    return result_of(run.problem, run.w.copy(), run.problem.datafit.intercept(run.seen_z), rows)
