"""Columns far from 0: with an intercept, or in Cox' model, a constant can be taken off without loss of a digit."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ._native.mapped import memory_mapped
from .datafits import Cox
from .problem import Problem

FAR = 1000.0
"""A column is far from 0 when its first entry is this many times its range."""

SAMPLED = 8
"""First rows that decide which columns are looked at."""

BLOCK = 256
"""Columns looked at together."""


def recentred(problem: Problem) -> tuple[Problem, np.ndarray]:
    """The same problem with the first entry taken off every column far from 0, and what was taken off [p].

    Kept with the problem.  The problem itself and zeros where a constant in z matters, without such a column, or where
    X is sparse or in a file.  All entries of such a column are within a factor of 2 of the first one, so that the
    differences are exact (Sterbenz' lemma): objective, gap and solutions are the same, while X w, and products with X,
    lose no digits to the constant.
    """
    if "recentred" not in problem.kept:
        far = _far_columns(problem)
        problem.kept["recentred"] = _moved(problem, far) if len(far) else (None, np.zeros(problem.n_features))
    moved, shift = problem.kept["recentred"]
    return problem if moved is None else moved.with_penalty(problem.penalty), shift


def _moved(problem: Problem, far: np.ndarray) -> tuple[Problem, np.ndarray]:
    X = problem.X
    shift = np.zeros(problem.n_features)
    moved: Any = np.array(X, order="F")
    shift[far] = X[0, far]
    moved[:, far] -= X[0, far]
    return problem.with_design(moved), shift


def _far_columns(problem: Problem) -> np.ndarray:
    """Indices of the columns far from 0; none where they cannot be moved."""
    X = problem.X
    none = np.empty(0, dtype=np.int64)
    if sparse.issparse(X) or memory_mapped(X) or not _ignores_constants(problem.datafit):
        return none
    candidates = np.flatnonzero(_is_far(X[:SAMPLED]))
    blocks = np.split(candidates, np.arange(BLOCK, len(candidates), BLOCK))
    return np.concatenate([block[_is_far(X[:, block])] for block in blocks]) if len(candidates) else none


def _ignores_constants(datafit: Any) -> bool:
    """Whether adding a constant to z changes nothing."""
    return bool(getattr(datafit, "fit_intercept", False)) or isinstance(datafit, Cox)


def _is_far(columns: np.ndarray) -> np.ndarray:
    """Whether the range of each column [n, k] is at most the size of its first entry / FAR, and that is not 0."""
    with np.errstate(over="ignore"):
        spread = columns.max(axis=0) - columns.min(axis=0)
    return (columns[0] != 0) & (spread <= np.abs(columns[0]) / FAR)
