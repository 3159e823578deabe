"""Paths of tall dense least-squares problems from the Gram matrix, which is made once for all strengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from .._native.gram import GramDescent
from ..problem import Problem
from ..result import Result, result_of
from .block_penalty import as_block_penalty
from .frames import kept_columns
from .gram_certificate import Certified, PathModel, Products, certified, products
from .gram_matrix import GramMatrix, exact_gram, kept_gram, pull_at_zero

MAX_EPOCHS = 2000
"""Sweeps for one strength; what needs more is left to the descent on X, which extrapolates."""

DESCENDED = 0.5
"""Part of the tolerance down to which the descent goes, for the errors of rounding."""

REFINED = 0.05
"""The same with packed columns, whose errors take most of the rest."""

REFINEMENTS = 2
"""Times that solutions are multiplied by X exactly."""

MANY = 0.1
"""Share of the solutions that fell short at which a Gram matrix in double precision is better than the descent on X."""


@dataclass(frozen=True)
class _Found:
    """Solutions b [L, p] by position, with strengths [L, G], sweeps and seconds [L] of each."""

    problems: list[Problem]
    b: np.ndarray = field(repr=False)
    strengths: np.ndarray = field(repr=False)
    epochs: np.ndarray = field(repr=False)
    seconds: np.ndarray = field(repr=False)


class GramPath:
    """One least-squares problem at decreasing strengths, from  c - H w, minus the gradient, with H = X' S X.

    S: sample weights, less their means with an intercept.  Sweeps are made with H.  Gaps and violations are found for
    all solutions together (`gram_certificate`), at the largest possible errors of H and of rounding.
    tol: relative gap wanted.
    """

    def __init__(self, problem: Problem, tol: float) -> None:
        self.problem, self.tol = problem, tol
        self.order = problem.penalty.groups.index
        kept_columns(problem)
        self._take(kept_gram(problem, tol))

    def _take(self, gram: GramMatrix) -> None:
        problem, datafit = self.problem, self.problem.datafit
        groups, c = problem.penalty.groups, pull_at_zero(problem)[self.order]
        square = float(np.sum(datafit.share * datafit.target**2))  # type: ignore[attr-defined]
        self.model = PathModel(gram, c, square, groups, datafit.n_samples)
        self.descent = GramDescent(groups, gram.H, c, square, as_block_penalty(problem.penalty))

    def solutions(
        self, problems: list[Problem], seconds: float | None, enough: float | None
    ) -> Iterator[Result | None]:
        """The solution of each of these problems, which differ in strength, from the one before; None where it fails.

        seconds: time limit, at which the solutions end.  enough: share of the deviance at which they may end.
        """
        begun = time.perf_counter()

        def late() -> bool:
            return seconds is not None and time.perf_counter() - begun > seconds

        while problems:
            found = self._found(problems, late, enough)
            if not found.problems:
                return
            gaps = self._proved(found, late)
            if self.model.gram.packed and np.mean(gaps.gap > self.tol) > MANY:
                self._take(exact_gram(self.problem))
                continue
            yield from self._results(found, gaps)
            problems = problems[len(found.problems) :]

    def _found(self, problems: list[Problem], late: Callable[[], bool], enough: float | None) -> _Found:
        rows, epochs, times = [], [], [time.perf_counter()]
        for problem in problems:
            if late():
                break
            epochs.append(self._lowered(problem.penalty.strength, DESCENDED, late))
            rows.append(self.descent.coefficients.copy())
            times.append(time.perf_counter())
            if enough is not None and self._explained(rows[-1]) >= enough:
                break
        solved = problems[: len(rows)]
        strengths = [problem.penalty.strength for problem in solved]
        return _Found(solved, np.array(rows), np.array(strengths), np.array(epochs), np.diff(times))

    def _lowered(self, strength: np.ndarray, part: float, late: Callable[[], bool]) -> int:
        return self.descent.lower(strength, part * self.tol, MAX_EPOCHS, late)[0]

    def _proved(self, found: _Found, late: Callable[[], bool]) -> Certified:
        """The gaps, with a Gram matrix of packed columns of refined solutions; refined again where some fall short."""
        for _ in range(REFINEMENTS if self.model.gram.packed else 1):
            known = products(self.model, found.b, found.strengths, self.tol)
            if self.model.gram.packed:
                known = self._refined(found, known, late)
            gaps = certified(self.model, found.b, found.strengths, known)
            if (gaps.gap <= self.tol).all():
                break
        return gaps

    def _refined(self, found: _Found, known: Products, late: Callable[[], bool]) -> Products:
        """Go on from each solution with its product as X has it, so that errors of H count for the change only.

        found: changed in place.
        """
        before, product = found.b.copy(), known.product.copy()
        for i, strength in enumerate(found.strengths):
            if late():
                break
            start = time.perf_counter()
            self.descent.go_to(before[i], self.model.c - known.product[i])
            found.epochs[i] += self._lowered(strength, REFINED, late)
            found.b[i], product[i] = self.descent.coefficients, self.model.c - self.descent.pull
            found.seconds[i] += time.perf_counter() - start
        return known.moved(self.model.gram, found.b - before, product)

    def _explained(self, b: np.ndarray) -> float:
        """Share of the deviance that b [p] explains."""
        return float(b @ (self.model.c + self.descent.pull)) / (self.model.square or 1.0)

    def _results(self, found: _Found, known: Certified) -> Iterator[Result | None]:
        for i in range(len(found.problems)):
            yield self._result(found, known, i) if known.gap[i] <= self.tol else None

    def _result(self, found: _Found, known: Certified, i: int) -> Result:
        problem, w = found.problems[i], np.empty(found.b.shape[1])
        w[self.order] = found.b[i]
        objective, gap, violation = (float(of[i]) for of in (known.objective, known.gap, known.violation))
        seconds, active = float(found.seconds[i]), int(known.active[i])
        row = (int(found.epochs[i]), objective, max(gap, 0.0), violation, seconds, 0.0, active)
        return result_of(problem, w, self._intercept(w), [row])

    def _intercept(self, w: np.ndarray) -> float:
        """The weighted mean of y - offset - X w."""
        means, datafit = self.model.gram.means, self.problem.datafit
        if means is None:
            return 0.0
        return datafit.intercept(np.zeros(datafit.n_samples)) - float(means @ w)
