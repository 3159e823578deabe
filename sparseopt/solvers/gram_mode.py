"""Paths of tall dense least-squares problems from the Gram matrix, which is made once for all strengths."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .._native.gram import GramDescent
from ..first_reading import packing_pays
from ..problem import Problem
from ..solve import History, Result, Status
from .block_penalty import as_block_penalty, largest_violation, norms_decide
from .frames import kept_columns

COLUMNS_PER_STRENGTH = 40
"""p over the number of strengths up to which the Gram matrix (n p^2 multiply-adds) costs less than passes over X."""

SMALLEST_TOL = 1e-9
"""Gaps below this are left to X itself."""

MAX_EPOCHS = 2000
"""Sweeps for one strength; what needs more is left to the descent on X, which extrapolates."""

ROWS = 4096
"""Rows of X that are centred or weighted at a time."""

ROUNDING = 0.05
"""Largest share of tol * strength that rounding errors of the gradient may reach."""


class GramPath:
    """One least-squares problem at decreasing strengths: the gradient is  c - H w  with  H = X' S X, both in float64.

    S: sample weights, less their means with an intercept.  The gap of a Result is that of `Problem.gap`, from H and c;
    its rounding error is bounded by eps sqrt(n) |X_g| sum_j |X_j| |w_j| / strength_g, and solutions where that is not
    small against tol are refused.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.datafit = problem, problem.datafit
        kept_columns(problem)
        if "gram" not in problem.kept:
            problem.kept["gram"] = gram_matrix(problem)
        self.H, self.lengths, means = problem.kept["gram"]
        groups, order = problem.penalty.groups, problem.penalty.groups.index
        datafit: Any = problem.datafit
        c = -problem.gradient_at_zero[order]
        self.square = float(datafit.share @ datafit.target**2)
        self.order, self.means = order, means
        self.group_lengths = self._norms(self.lengths)  # |X_g| [G], weighted
        self.descent = GramDescent(groups, self.H, c, self.square, as_block_penalty(problem.penalty))

    def solve(self, problem: Problem, tol: float, seconds: float | None) -> Result | None:
        """The solution at the strength of `problem`, from the one before; None where it is not reached or not sure.

        seconds: time limit.
        """
        start = time.perf_counter()

        def ask() -> bool:
            return seconds is not None and time.perf_counter() - start > seconds

        if ask():
            return None
        epochs, gap = self.descent.lower(problem.penalty.strength, 0.9 * tol, MAX_EPOCHS, ask)
        by_position, pull = self.descent.coefficients, self.descent.pull
        if not gap <= tol or not self._accurate(problem, by_position, tol):
            return None
        w = np.empty_like(by_position)
        w[self.order] = by_position
        product = float(by_position @ pull)
        square = max(self.square - float(by_position @ self.descent.c) - product, 0.0)
        norms, slopes = self._norms(by_position), self._norms(pull)
        objective = 0.5 * square + float(problem.penalty.strength @ norms)
        scale = max(objective, abs(objective - 0.5 * self.square)) or 1.0
        gap = gap * objective / scale
        strength, n_active = problem.penalty.strength, int(np.count_nonzero(norms))
        arrays = by_position[:, None], norms, -pull[:, None], slopes
        violation = largest_violation(problem.penalty, strength, *arrays)
        row = (epochs, objective, gap, violation, time.perf_counter() - start, 0.0, n_active)
        return Result(
            w=problem.collapse(w),
            intercept=self._intercept(w),
            status=Status.CONVERGED,
            gap=gap,
            violation=violation,
            objective=objective,
            n_iter=epochs,
            passes=0.0,
            lam=problem.penalty.lam,
            history=History(*(np.array([value]) for value in row)),
            latent=w,
            advice=Status.CONVERGED.advice,
        )

    def _accurate(self, problem: Problem, by_position: np.ndarray, tol: float) -> bool:
        size = float(self.lengths @ np.abs(by_position))
        error = np.finfo(float).eps * np.sqrt(self.datafit.n_samples) * self.group_lengths * size
        return bool((error <= ROUNDING * tol * problem.penalty.strength).all())

    def _norms(self, by_position: np.ndarray) -> np.ndarray:
        """Norms [G] of the groups of an array [p] by position."""
        return np.sqrt(np.add.reduceat(by_position**2, self.problem.penalty.groups.offsets[:-1]))

    def _intercept(self, w: np.ndarray) -> float:
        """The weighted mean of y - offset - X w."""
        if self.means is None:
            return 0.0
        return self.datafit.intercept(np.zeros(self.datafit.n_samples)) - float(self.means @ w)


def gram_matrix(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """H [p, p] and the lengths sqrt(sum_i s_i x_ij^2) [p], by position; the means [p] of an intercept, by column."""
    datafit: Any = problem.datafit
    X, share, order = problem.X, datafit.share, problem.penalty.groups.index
    means = share @ X if datafit.fit_intercept else None
    equal = bool((share == share[0]).all())
    if equal and means is None and X.dtype == np.float64:
        H = X.T @ X
        H *= share[0]
        lengths = np.sqrt(np.diag(H))
    else:
        H, root = np.zeros((X.shape[1],) * 2), np.sqrt(share)
        for start in range(0, len(share), ROWS):
            rows = X[start : start + ROWS].astype(np.float64)
            if means is not None:
                rows -= means
            rows *= root[start : start + ROWS, None]
            H += rows.T @ rows
        lengths = np.sqrt(np.diag(H) + (0.0 if means is None else means**2))
    if (order != np.arange(len(order))).any():
        H, lengths = np.ascontiguousarray(H[np.ix_(order, order)]), lengths[order]
    return H, lengths, means


def gram_pays(problem: Problem, n_strengths: int, tol: float) -> bool:
    """Whether a path of so many strengths is cheaper from the Gram matrix: tall dense data and enough strengths."""
    enough = "gram" in problem.kept or n_strengths * COLUMNS_PER_STRENGTH >= problem.n_features
    return (
        enough
        and tol >= SMALLEST_TOL
        and packing_pays(problem.X, problem.datafit, problem.penalty)
        and norms_decide(problem.penalty)
    )
