"""The columns of a problem as the block descent reads them, kept for later runs on the same data."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._native.bcd import BlockCache, ColumnStore, Descent
from .._native.newton import COX, SQUARED
from .._native.reading import is_small, kept_store
from ..datafits import LeastSquares, Quadratic
from ..first_reading import packing_pays
from ..problem import Problem
from .block_penalty import as_block_penalty, entrywise
from .compiled_loss import compiled_loss

FEW_COLUMNS = 400
"""Columns up to which logarithms and exponentials, sample by sample in NumPy, take longer than to read them all."""

ONE_CALL = 2**24
"""Entries of X up to which one strength takes one call: what surrounds rounds costs as much as they do."""


def takes_one_call(problem: Problem, several: bool) -> bool:
    """Whether one call of the compiled loops solves the problem at one strength, or at several: the rest costs more."""
    if several or reads_all(problem, several):
        return reads_all(problem, several)
    loss = compiled_loss(problem)
    if loss is None or loss.kind == COX or packing_pays(problem.X, problem.datafit, problem.penalty):
        return False  # models of Cox's loss cost so much that rounds cost nothing beside them
    return kept_columns(problem)[0].entries < ONE_CALL


def reads_all(problem: Problem, along_path: bool) -> bool:
    """Whether every pass reads all of X: it is small, or its columns cost less than the loss at all samples does."""
    store = kept_columns(problem)[0]
    if is_small(store, along_path):
        return True
    loss = compiled_loss(problem)
    return loss is not None and loss.kind != SQUARED and store.p <= min(FEW_COLUMNS, store.n // 2)


def descent_of(problem: Problem, store: ColumnStore, cache: BlockCache, **options: Any) -> Descent:
    """The block descent of a problem, before the first sweep."""
    return Descent(
        store,
        cache,
        penalty=as_block_penalty(problem.penalty),
        outputs=problem.datafit.n_outputs or 1,
        centred=problem.datafit.fit_intercept,
        **options,
    )


def kept_columns(problem: Problem) -> tuple[ColumnStore, BlockCache]:
    """Columns and blocks of the design, kept with the problem for later runs on the same data."""
    kept = problem.kept
    store = kept_store(kept, problem.X, problem.penalty.groups)
    name = "blocks" if entrywise(problem.penalty) else "eigenbases"
    if name not in kept:
        kept[name] = BlockCache(store)
    return store, kept[name]


def as_least_squares(problem: Problem) -> Problem:
    """The problem itself, or for a plain quadratic the least-squares problem with the same minimisers, kept with it."""
    if not isinstance(problem.datafit, Quadratic):
        return problem
    if "root" not in problem.kept:
        A, t = problem.datafit.root()
        scale = np.sqrt(len(t))
        problem.kept["root"] = Problem(scale * A, LeastSquares(scale * t), problem.penalty)
    return problem.kept["root"].with_penalty(problem.penalty)
