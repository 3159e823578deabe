"""The Gram matrix of a tall design: in double precision or, faster and with a bound of its error, of packed columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import first_reading
from .._native import HAS_NATIVE
from .._native.gram_sums import GramSums, packed_products
from .._native.mapped import transposed_product
from .._native.reading import kept_store
from ..problem import Problem
from .block_penalty import norms_decide

COLUMNS_PER_STRENGTH = 40
"""p over the number of strengths up to which the Gram matrix (n p^2 multiply-adds) costs less than passes over X."""

SMALLEST_TOL = 1e-9
"""Gaps below this are left to X itself."""

PACKED_TOL = 1e-7
"""Gaps from this one on are reached with the Gram matrix of packed columns."""

SAMPLES_PER_STRENGTH, MORE_SAMPLES = 70, 2000
"""Samples from which on it is worth its refinements: what they cost grows with the strengths, and is never nothing."""

ROWS = 4096
"""Rows of X whose products are summed at a time, so that not too many rounding errors add up."""

LANES = 8
"""Sums over samples in the compiled loops run in so many lanes."""

COARSE = 1e-2
"""Relative error of products of packed columns from which on those in double precision are better."""

SMALLEST_SQUARE = 1e-280
"""Mean squares of columns below this one underflow."""


@dataclass(frozen=True)
class GramMatrix:
    """X' S X by position, S the sample weights, less their means with an intercept.

    H: [p, p], in double precision, or of packed columns Q.
    error: [p], at least |x_j - q_j| for each column; 0 in double precision.
    lengths: [p] sqrt(sum_i s_i x_ij^2), not centred, by position.  means: [p] by column, None without intercept.
    sums: the columns themselves, by position, where H is that of packed ones; else None.
    """

    H: np.ndarray = field(repr=False)
    error: np.ndarray = field(repr=False)
    lengths: np.ndarray = field(repr=False)
    means: np.ndarray | None = field(repr=False)
    sums: GramSums | None = field(repr=False)

    @property
    def packed(self) -> bool:
        """Whether H is that of packed columns."""
        return self.sums is not None

    @property
    def sizes(self) -> np.ndarray:
        """Bounds [p] of |x_j| and |q_j|."""
        return np.sqrt(np.diag(self.H)) + 2 * self.error

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


def kept_gram(problem: Problem, n_strengths: int, tol: float) -> GramMatrix:
    """The Gram matrix for so many gaps of this size, kept with the problem."""
    kept = problem.kept.get("gram")
    many = problem.X.shape[0] >= SAMPLES_PER_STRENGTH * n_strengths + MORE_SAMPLES
    if kept is None and tol >= PACKED_TOL and many and problem.X.size >= 2 * first_reading.SMALLEST_SIZE:
        kept = problem.kept["gram"] = from_packed(problem)
    return exact_gram(problem) if kept is None or (kept.packed and tol < PACKED_TOL) else kept


def exact_gram(problem: Problem) -> GramMatrix:
    """The Gram matrix in double precision, kept with the problem."""
    kept = problem.kept.get("gram")
    if kept is None or kept.packed:
        kept = problem.kept["gram"] = double_precision(problem)
    return kept


def from_packed(problem: Problem) -> GramMatrix | None:
    """The Gram matrix of the packed columns; None where X is not stored by columns, or packing is too coarse for it."""
    datafit: Any = problem.datafit
    X, order = problem.X, problem.penalty.groups.index
    if X.strides[0] != X.itemsize:
        return None
    packed = first_reading.packed_columns(problem.kept, kept_store(problem.kept, X, problem.penalty.groups), datafit)
    packed.read_all()
    H, error = packed_products(packed)
    squares, means = np.diag(H), None
    in_range = np.isfinite(squares) & ((squares >= SMALLEST_SQUARE) | (packed.unit == 0))
    if not (in_range.all() and (error**2 <= COARSE**2 * squares).all()):
        return None
    if datafit.fit_intercept:
        means = np.empty(len(order))
        means[order] = packed.mean
    lengths = np.hypot(np.sqrt(squares) + 2 * error, packed.mean)
    sums = GramSums(X, order, None if means is None else packed.mean, packed.root)
    return GramMatrix(H, error, lengths, means, sums)


def pull_at_zero(problem: Problem) -> np.ndarray:
    """Minus the gradient at 0 [p] by column, summed in lanes, or over ROWS terms at a time."""
    n = problem.X.shape[0]
    if n <= ROWS or (HAS_NATIVE and problem.X.strides[0] == problem.X.itemsize):
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
