"""Sufficient statistics of least squares, accumulated over chunks of the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from scipy import sparse

from ._array import as_float, check_finite, checked_flag, described
from .datafits.samples import centred, checked_weights
from .problem import Problem, _design


@dataclass(frozen=True)
class GramStatistics:
    """Sums over the samples, all of them weighted: what least squares needs to know of the data.

    XtX: [p, p].  Xty: [p].  yty: number.  n: total weight, the number of samples where none were given.
    mean_X: [p] and mean_y of centred statistics (those of X - mean_X and y - mean_y); None otherwise.
    """

    XtX: np.ndarray = field(repr=False)
    Xty: np.ndarray = field(repr=False)
    yty: float
    n: float
    mean_X: np.ndarray | None = field(default=None, repr=False)
    mean_y: float = 0.0

    def merge(self, other: GramStatistics) -> GramStatistics:
        """Statistics of both sets of samples; centred ones by the update of Chan, Golub and LeVeque (1979).

        Raises ValueError for other columns, and where one of them alone is centred.
        """
        if len(self.Xty) != len(other.Xty):
            raise ValueError(f"chunks have {len(self.Xty)} and {len(other.Xty)} columns: all must have the same")
        if (self.mean_X is None) != (other.mean_X is None):
            raise ValueError("statistics with and without centring cannot be merged: give intercept to all or to none")
        if self.mean_X is None or other.mean_X is None:
            sums = (self.XtX + other.XtX, self.Xty + other.Xty, self.yty + other.yty)
            return GramStatistics(*sums, self.n + other.n)
        n = self.n + other.n
        d, e = other.mean_X - self.mean_X, other.mean_y - self.mean_y
        factor = self.n * other.n / n
        return GramStatistics(
            self.XtX + other.XtX + factor * np.outer(d, d),
            self.Xty + other.Xty + factor * e * d,
            self.yty + other.yty + factor * e * e,
            n,
            self.mean_X + other.n / n * d,
            self.mean_y + other.n / n * e,
        )

    def problem(self, penalty: Any) -> Problem:
        """The least-squares problem under this penalty, with an intercept for centred statistics."""
        means = None if self.mean_X is None else (self.mean_X, self.mean_y)
        return Problem.from_gram(self.XtX, self.Xty, self.yty, self.n, penalty, means)


def accumulate_gram(
    chunks: Any, y: Any = None, *, sample_weight: Any = None, intercept: bool = False
) -> GramStatistics:
    """Statistics of data that come in chunks, so that only one chunk and [p, p] numbers are in memory at a time.

    chunks: an iterable of (X, y) or (X, y, sample_weight) with X [rows, p] dense or sparse, of any number of rows.  Or
    chunks is X [n, p], a Dask array, with y [n] and sample_weight [n] (Dask or NumPy): the chunks of rows are summed up
    by Dask's scheduler, where the data are.  intercept: centre the statistics, stably, for a fit with an intercept.
    Returns GramStatistics; `.problem(penalty)` is the problem.  Raises ValueError for no chunk, wrong shapes or NaN.
    """
    checked_flag(intercept, "intercept")
    if y is not None:
        return _from_dask(chunks, y, sample_weight, intercept)
    statistics = (_of_chunk(*chunk, intercept=intercept) for chunk in _checked_chunks(chunks))
    return _checked_total(reduce(_merged, statistics, None))


def chunk_statistics(X: Any, y: Any, sample_weight: Any = None, *, intercept: bool = False) -> GramStatistics:
    """Statistics of one chunk: X [n, p] dense or sparse, y [n], sample_weight [n] >= 0 (default 1), not all 0."""
    X = _design(X).astype(np.float64, copy=False)
    check_finite(*((X.data, "X.data") if sparse.issparse(X) else (X, "X")))
    y = as_float(y, "y", ndim=1).astype(np.float64)
    if X.shape[0] != len(y):
        raise ValueError(f"a chunk of X has {X.shape[0]} rows, but its y has {len(y)}")
    weight = checked_weights(sample_weight, len(y))
    n = float(weight.sum())
    mean_X, mean_y = None, 0.0
    if intercept:
        y, centre = centred(y, weight / n)  # constants are exactly 0 then, as in the fit of the data themselves
        mean_y = float(centre)
        X, mean_X = (X, np.asarray(weight @ X) / n) if sparse.issparse(X) else centred(X, weight / n)
    scaled = sparse.diags_array(weight) @ X if sparse.issparse(X) else weight[:, None] * X
    XtX, Xty = X.T @ scaled, np.asarray(scaled.T @ y)
    XtX = np.asarray(XtX.todense() if sparse.issparse(XtX) else XtX, dtype=np.float64)
    if mean_X is not None and sparse.issparse(X):
        XtX = XtX - n * np.outer(mean_X, mean_X)  # X was not centred, y was
    return GramStatistics((XtX + XtX.T) / 2, Xty, float(weight @ (y * y)), n, mean_X, mean_y)


def _checked_chunks(chunks: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """The chunks; ValueError for what is none."""
    if not isinstance(chunks, Iterable):
        raise ValueError(f"chunks is {described(chunks)}: give an iterable of (X, y), or a Dask array with its y")
    for chunk in chunks:
        if not isinstance(chunk, tuple | list) or len(chunk) not in (2, 3):
            raise ValueError("every chunk must be (X, y) or (X, y, sample_weight); for a Dask array give y too")
        yield tuple(chunk)


def _of_chunk(X: Any, y: Any, sample_weight: Any = None, *, intercept: bool) -> GramStatistics | None:
    """`chunk_statistics`; None for a chunk whose weights are all 0, which is no data."""
    if sample_weight is not None and not np.any(sample_weight):
        return None
    return chunk_statistics(X, y, sample_weight, intercept=intercept)


def _merged(one: GramStatistics | None, other: GramStatistics | None) -> GramStatistics | None:
    """The statistics of both, None being those of no data."""
    return one or other if one is None or other is None else one.merge(other)


def _checked_total(total: GramStatistics | None) -> GramStatistics:
    if total is None:
        raise ValueError("chunks is empty: at least one chunk (X, y) of positive weight is needed")
    return total


def _from_dask(X: Any, y: Any, sample_weight: Any, intercept: bool) -> GramStatistics:
    """The same with one task for each block of rows, merged in pairs."""
    import dask
    import dask.array as da

    if not hasattr(X, "to_delayed"):
        raise ValueError("with y given, chunks must be a Dask array X; for arrays in memory give [(X, y)]")
    X = X.rechunk({1: -1})
    rows = X.chunks[0]
    parts = [X.to_delayed()[:, 0]]
    parts += [da.asarray(v).rechunk((rows,)).to_delayed() for v in (y, sample_weight) if v is not None]
    one, merge = dask.delayed(_of_chunk), dask.delayed(_merged)
    tasks = [one(*blocks, intercept=intercept) for blocks in zip(*parts, strict=True)]
    while len(tasks) > 1:
        paired = [merge(a, b) for a, b in zip(tasks[::2], tasks[1::2], strict=False)]
        tasks = paired + tasks[len(tasks) - len(tasks) % 2 :]
    return _checked_total(tasks[0].compute())
