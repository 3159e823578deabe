"""Zero groups that leave 0 for a lower objective although 0 is stationary, as they may under nonconvex penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from .._native.reading import padded
from ..datafits import Cox
from ..penalties import strength as at_strength
from ..unpenalised import column_norms
from .block_penalty import scalar_part
from .support_newton import VISIBLE, hessian_of_loss

if TYPE_CHECKING:
    from ..problem import Problem
    from .descent import GroupDescent

SHORTER = 60
"""Halvings of a step at most, where the curvature at its start does not bound that on the way."""

COLUMNS_AT_ONCE = 256
"""Columns whose curvatures are formed together."""


def leap(run: GroupDescent) -> bool:
    """Let the zero groups of `run` leave 0 that a prox step takes to a lower objective; whether one did.

    The steps have the length 1 / L_g, L_g the largest curvature of the block, and are made one group after the other,
    each time that of the largest gain.  The mean curvature of a block is at most L_g, and so its gain at least that of
    the step: it tells which groups need not be looked at.
    """
    penalty, curvature = run.problem.penalty, _mean_curvatures(run.problem, run.z)
    bent = (curvature > 0) & (curvature < penalty.weak_convexity)  # else a stationary 0 is the minimiser of the model
    zero = np.flatnonzero(bent & (run.norms == 0) & (run.strength > 0) & (run.strength < np.inf))

    def promise(pull: np.ndarray) -> np.ndarray:
        """What steps take off the objective [G], at most, where the gradients have at most these norms [G]."""
        gained, finite = np.zeros(len(pull)), zero[pull[zero] < np.inf]
        gained[zero] = np.inf
        gained[finite] = _step(penalty, finite, pull[finite], curvature[finite])[1]
        return np.where(gained > VISIBLE * abs(run.value), gained, 0.0)

    known = None if len(zero) == 0 else run.reading.where(-run.force, promise, run.options.threads, run.ask)
    if known is None:
        return False
    run.reading = known
    run.count(known.columns)
    moved, gained = [], promise(known.at_most(-run.force))
    while gained.any() and not run.ask():
        g = int(np.argmax(gained))
        gained[g] = 0.0
        if _leaps(run, g):
            moved.append(g)
            gained = np.where(gained > 0, promise(_norms(run, gained > 0)), 0.0)
    if moved:
        run.inner.set_coefficients(run.by_position)
        run.working = np.union1d(run.working, moved).astype(np.int64)
    return bool(moved)


def _norms(run: GroupDescent, need: np.ndarray) -> np.ndarray:
    """Norms [G] of the gradient where the run is, of the groups `need`, bool [G]; 0 for others."""
    norms, pull = np.zeros(len(need)), np.zeros_like(run.by_position)
    run.inner.gradient(padded(run.force), need.astype(np.uint8), pull, norms, 1, run.ask)
    run.count(int(run.groups.sizes[need].sum()))
    return norms


def _step(penalty: Any, groups: np.ndarray, pull: Any, curvature: Any) -> tuple[np.ndarray, np.ndarray]:
    """Norms [k] after a prox step from 0, and what it takes off the model pull . w - curvature |w|^2 / 2 - penalty.

    groups: [k].  pull: [k], norms of the gradient.  curvature: [k], > 0.
    """
    rho, strength = scalar_part(penalty), penalty.strength[groups]
    length = at_strength.prox(rho, pull / curvature, strength, 1 / curvature)
    return length, (pull - curvature * length / 2) * length - at_strength.value(rho, length, strength)


def _leaps(run: GroupDescent, g: int) -> bool:
    """Move block g of `run`, which is 0, by a prox step that lowers the objective; whether there is one."""
    problem, value = run.problem, run.value
    rows = np.arange(run.store.offsets[g], run.store.offsets[g + 1])
    columns = _dense(problem.X[:, run.store.columns[rows]])
    pull = (columns.T @ run.force).reshape(len(rows), -1)
    norm, curvature = np.linalg.norm(pull), _largest_curvature(problem, columns, run.z)
    for _ in range(SHORTER if curvature > 0 else 0):
        length, gain = _step(problem.penalty, np.array([g]), np.array([norm]), np.array([curvature]))
        if not gain[0] > VISIBLE * abs(value):
            return False
        moved = run.by_position.copy()
        moved[rows] = pull * (length[0] / norm)
        if run.try_move(moved, value - VISIBLE * abs(value)):
            return True
        curvature *= 2
    return False


def _largest_curvature(problem: Problem, columns: np.ndarray, z: np.ndarray) -> float:
    """Largest curvature of the datafit in the coefficients of these columns [n, k]; at z where it is not bounded."""
    if problem.smooth:
        return float(np.linalg.eigvalsh(columns.T @ problem.datafit.curvature(columns))[-1])
    return float(np.linalg.eigvalsh(hessian_of_loss(problem.datafit, columns, z))[-1])


def _mean_curvatures(problem: Problem, z: np.ndarray) -> np.ndarray:
    """Mean curvature of the datafit in each block [G], its bound, which is kept, or that at z where there is none."""
    groups, kept = problem.penalty.groups, problem.kept
    if problem.smooth and "mean curvatures" in kept:
        return kept["mean curvatures"]
    means = np.bincount(groups.labels, weights=_curvatures(problem, z), minlength=groups.n_groups) / groups.sizes
    if problem.smooth:
        kept["mean curvatures"] = means
    return means


def _curvatures(problem: Problem, z: np.ndarray) -> np.ndarray:
    """Curvature of the datafit in each coefficient [p], the bound of it where there is one, else that at z."""
    X: Any = problem.X
    datafit: Any = problem.datafit
    blocks = [slice(i, i + COLUMNS_AT_ONCE) for i in range(0, X.shape[1], COLUMNS_AT_ONCE)]
    if isinstance(datafit, Cox):
        dense = (_dense(X[:, columns]) for columns in blocks)
        return np.concatenate([np.einsum("ij,ij->j", block, datafit.curvature(block)) for block in dense])
    h = datafit.smoothness_bound * datafit.share if problem.smooth else datafit.hessian_weights(z)
    if (h == h[0]).all():
        squares = h[0] * column_norms(X) ** 2
    elif sparse.issparse(X):
        squares = X.power(2).T @ h
    else:
        squares = np.concatenate([h @ np.square(X[:, columns], dtype=np.float64) for columns in blocks])
    return squares - problem.transposed_product(h) ** 2 / (h.sum() or 1.0) if datafit.fit_intercept else squares


def _dense(columns: Any) -> np.ndarray:
    return np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)
