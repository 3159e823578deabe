"""The Gram matrix of a tall design: in double precision or, faster and with a bound of its error, in single one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import first_reading
from .._native import HAS_NATIVE
from .._native.gram_sums import GramSums
from .._native.mapped import transposed_product
from ..problem import Problem
from .block_penalty import norms_decide

COLUMNS_PER_STRENGTH = 40
"""p over the number of strengths up to which the Gram matrix (n p^2 multiply-adds) costs less than passes over X."""

SMALLEST_TOL = 1e-9
"""Gaps below this are left to X itself."""

SINGLE_TOL = 1e-7
"""Gaps from this one on are reached with a Gram matrix in single precision."""

ROWS = 4096
"""Rows of X whose products are summed at a time, so that not too many rounding errors add up."""

LANES = 8
"""Sums over samples in the compiled loops run in so many lanes."""

SAMPLED = 64
"""Rows that tell the size of the entries of a column."""

SMALLEST_SQUARE, LARGEST_SQUARE = 1e-8, 1e16
"""Mean squares of a column in units of that size at which nothing that matters leaves the range of single precision."""


@dataclass(frozen=True)
class GramMatrix:
    """X' S X by position, S the sample weights, less their means with an intercept.

    H: [p, p].  spread: [p], the error of H[i, j] is at most spread[i] spread[j], less that of double precision.
    lengths: [p] sqrt(sum_i s_i x_ij^2), not centred, by position.  means: [p] by column, None without intercept.
    sums: the columns themselves, by position; None where H is in double precision.
    """

    H: np.ndarray = field(repr=False)
    spread: np.ndarray = field(repr=False)
    lengths: np.ndarray = field(repr=False)
    means: np.ndarray | None = field(repr=False)
    sums: GramSums | None = field(repr=False)

    @property
    def single(self) -> bool:
        """Whether H is in single precision."""
        return self.sums is not None

    def images(self, v: np.ndarray) -> np.ndarray:
        """H v [m, p] in double precision for v [m, p] by position, from X itself."""
        assert self.sums is not None
        used = np.flatnonzero(v.any(axis=0))
        return self.sums.product(self.sums.part(used), v[:, used]) / self.sums.X.shape[0]


def gram_pays(problem: Problem, n_strengths: int, tol: float) -> bool:
    """Whether a path is cheaper from the Gram matrix: not more columns than rows, and enough strengths."""
    enough = "gram" in problem.kept or n_strengths * COLUMNS_PER_STRENGTH >= problem.n_features
    return (
        enough
        and tol >= SMALLEST_TOL
        and first_reading.is_plain(problem.X, problem.datafit, problem.penalty)
        and problem.n_features <= problem.X.shape[0]
        and norms_decide(problem.penalty)
    )


def kept_gram(problem: Problem, tol: float) -> GramMatrix:
    """The Gram matrix for gaps of this size, kept with the problem."""
    kept = problem.kept.get("gram")
    if kept is None and tol >= SINGLE_TOL and problem.X.size >= first_reading.SMALLEST_SIZE:
        kept = problem.kept["gram"] = single_precision(problem)
    return exact_gram(problem) if kept is None or (kept.single and tol < SINGLE_TOL) else kept


def exact_gram(problem: Problem) -> GramMatrix:
    """The Gram matrix in double precision, kept with the problem."""
    kept = problem.kept.get("gram")
    if kept is None or kept.single:
        kept = problem.kept["gram"] = double_precision(problem)
    return kept


def single_precision(problem: Problem) -> GramMatrix | None:
    """The Gram matrix in single precision; None where X is not stored by columns, or leaves its range."""
    datafit: Any = problem.datafit
    X, share, order = problem.X, datafit.share, problem.penalty.groups.index
    if X.strides[0] != X.itemsize:
        return None
    means = share @ X if datafit.fit_intercept else None
    by_position = None if means is None else means[order]
    root = None if (share == share[0]).all() else np.sqrt(len(share) * share)
    sums = GramSums(X, order, by_position, root)
    with np.errstate(over="ignore", invalid="ignore"):
        size = _sizes(sums)
        H, spread = sums.matrix(size)
        squares = np.diag(H) / len(share)
        if not ((squares > SMALLEST_SQUARE) & (squares < LARGEST_SQUARE)).all():
            return None
    H *= size
    H *= (size / len(share))[:, None]
    spread *= size / np.sqrt(len(share))
    lengths = np.sqrt(np.diag(H) + spread**2 + (0.0 if by_position is None else by_position**2))
    return GramMatrix(H, spread, lengths, means, sums)


def _sizes(sums: GramSums) -> np.ndarray:
    """Powers of two [k] about the size of the entries of each column, from its first rows."""
    rows = sums.X[:SAMPLED, sums.columns].astype(np.float64)
    if sums.mean is not None:
        rows -= sums.mean
    most = np.abs(rows).max(axis=0)
    return 2.0 ** np.round(np.log2(np.where((most > 1e-200) & (most < 1e200), most, 1.0)))


def pull_at_zero(problem: Problem) -> np.ndarray:
    """Minus the gradient at 0 [p] by column, its sums over ROWS terms at a time or LANES times as many in lanes."""
    n, by_column = problem.X.shape[0], HAS_NATIVE and problem.X.strides[0] == problem.X.itemsize
    if n <= (LANES if by_column else 1) * ROWS:
        return -problem.gradient_at_zero
    force, total = problem.datafit.gradient(np.zeros(n)), np.zeros(problem.n_features)
    for start in range(0, n, ROWS):
        total -= transposed_product(problem.X[start : start + ROWS], force[start : start + ROWS])
    return total


def double_precision(problem: Problem) -> GramMatrix:
    """The Gram matrix in double precision, by BLAS."""
    datafit: Any = problem.datafit
    X, share, order = problem.X, datafit.share, problem.penalty.groups.index
    means = share @ X if datafit.fit_intercept else None
    equal = bool((share == share[0]).all())
    if equal and means is None and X.dtype == np.float64 and len(X) <= ROWS:
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
    return GramMatrix(H, np.zeros(len(H)), lengths, means, None)
