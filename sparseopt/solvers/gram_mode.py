"""Paths of tall dense least-squares problems from the Gram matrix, which is made once for all strengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from .._native.gram import GramDescent, Rows
from .._native.strengths import Strengths
from ..problem import Problem
from ..result import Result, result_of
from .block_penalty import as_block_penalty
from .columns import kept_columns
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

AHEAD = 10
"""Strengths at a time where the path may end before its last one."""

MANY = 0.1
"""Share of the solutions that fell short at which a Gram matrix in double precision is better than the descent on X."""


@dataclass(frozen=True)
class _Found:
    """Strengths, and the rows of their solutions, by position."""

    strengths: Strengths
    rows: Rows = field(repr=False)


class GramPath:
    """One least-squares problem at decreasing strengths, from  c - H w, minus the gradient, with H = X' S X.

    S: sample weights, less their means with an intercept.  Sweeps are made with H.  Gaps and violations are found for
    all solutions together (`gram_certificate`), at the largest possible errors of H and of rounding.
    n_strengths: how many solutions are expected.  tol: relative gap wanted.
    """

    def __init__(self, problem: Problem, n_strengths: int, tol: float) -> None:
        self.problem, self.tol = problem, tol
        self.order = problem.penalty.groups.index
        kept_columns(problem)
        self._take(kept_gram(problem, n_strengths, tol))

    def _take(self, gram: GramMatrix) -> None:
        problem, datafit = self.problem, self.problem.datafit
        groups, c = problem.penalty.groups, pull_at_zero(problem)[self.order]
        square = float(np.sum(datafit.share * datafit.target**2))  # type: ignore[attr-defined]
        self.model = PathModel(gram, c, square, groups, datafit.n_samples)
        self.descent = GramDescent(groups, gram.H, c, square, as_block_penalty(problem.penalty))

    def solutions(self, lams: np.ndarray, seconds: float | None, enough: float | None) -> Iterator[Result | None]:
        """The solution at each of these strengths [L], from the one before; None where it fails.

        seconds: time limit, at which the solutions end.  enough: share of the deviance at which they may end.
        """
        begun = time.perf_counter()

        def late() -> bool:
            return seconds is not None and time.perf_counter() - begun > seconds

        while len(lams):
            found = self._found(lams, late, enough)
            count = len(found.strengths.lam)
            if count == 0:
                return
            gaps = self._proved(found, late)
            if self.model.gram.packed and np.mean(gaps.gap > self.tol) > MANY:
                self._take(exact_gram(self.problem))
                continue
            yield from self._results(found, gaps)
            lams = lams[count:]

    def _found(self, lams: np.ndarray, late: Callable[[], bool], enough: float | None) -> _Found:
        """Solutions until it is late, or enough is explained."""
        at_infinity = np.full(2, np.inf)  # where 0 is the solution
        strengths = Strengths.of(self.problem.penalty.weights, lams, at_infinity)
        rows = Rows.of(len(strengths.lam), len(self.order))
        rows.pull[:2] = self.model.c
        reached, ahead = 2, len(lams) if enough is None else AHEAD
        while reached < len(strengths.lam) and not late():
            chosen = slice(reached - 2, reached + ahead)
            now = rows.part(chosen)
            known = self.descent.lower(strengths.part(chosen), now, DESCENDED * self.tol, MAX_EPOCHS, late)
            share = np.inf if enough is None else enough
            explained = np.flatnonzero(self._explained(now)[2:known] >= share)
            reached += int(explained[0]) + 1 if len(explained) else known - 2
            if len(explained):
                break
        chosen = slice(2, reached)
        return _Found(strengths.part(chosen, known=0), rows.part(chosen))

    def _proved(self, found: _Found, late: Callable[[], bool]) -> Certified:
        """The gaps, with a Gram matrix of packed columns of refined solutions; refined again where some fall short."""
        strength, b = found.strengths.strength, found.rows.b
        for _ in range(REFINEMENTS if self.model.gram.packed else 1):
            known = products(self.model, b, strength, self.tol)
            if self.model.gram.packed:
                known = self._refined(found, known, late)
            gaps = certified(self.model, b, strength, known)
            if (gaps.gap <= self.tol).all():
                break
        return gaps

    def _refined(self, found: _Found, known: Products, late: Callable[[], bool]) -> Products:
        """Go on from each solution with its product as X has it, so that errors of H count for the change only.

        found: changed in place.
        """
        rows = found.rows
        before, epochs, seconds = rows.b.copy(), rows.epochs.copy(), rows.seconds.copy()
        rows.pull[:] = self.model.c - known.product
        self.descent.lower(found.strengths, rows, REFINED * self.tol, MAX_EPOCHS, late)
        rows.epochs[:] += epochs
        rows.seconds[:] += seconds
        return known.moved(self.model.gram, rows.b - before, self.model.c - rows.pull)

    def _explained(self, rows: Rows) -> np.ndarray:
        """Share of the deviance that each solution explains [L]."""
        return np.einsum("lp,lp->l", rows.b, self.model.c + rows.pull) / (self.model.square or 1.0)

    def _results(self, found: _Found, known: Certified) -> Iterator[Result | None]:
        w = np.empty_like(found.rows.b)
        w[:, self.order] = found.rows.b
        seen = zip(
            found.rows.epochs.tolist(),
            known.objective.tolist(),
            np.maximum(known.gap, 0.0).tolist(),
            known.violation.tolist(),
            found.rows.seconds.tolist(),
            [0.0] * len(w),  # passes
            known.active.tolist(),
            strict=True,
        )
        reached = (known.gap <= self.tol).tolist()
        for row, lam, intercept, enough, measured in zip(
            w, found.strengths.lam.tolist(), self._intercepts(w), reached, seen, strict=True
        ):
            yield result_of(self.problem, row.copy(), intercept, [measured], lam=lam) if enough else None

    def _intercepts(self, w: np.ndarray) -> list[float]:
        """The weighted means of y - offset - X w for each row of w [L, p]."""
        means, datafit = self.model.gram.means, self.problem.datafit
        if means is None:
            return [0.0] * len(w)
        mean = datafit.intercept(np.zeros(datafit.n_samples))
        return [mean - float(means @ row) for row in w]
