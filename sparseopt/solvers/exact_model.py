"""The minimum of the penalty plus the quadratic model of a loss with its true Hessian, for losses that couple samples
or outputs: diagonal models of these are poor, and take many.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from .._native.bcd import BlockCache, ColumnStore, Descent, residual_array
from .._native.blas import one_blas_thread
from ..datafits import Cox, Multinomial
from ..groups import Groups
from .block_penalty import as_block_penalty
from .support_newton import MOST_ENTRIES, MOST_PRODUCTS, RIDGES, free_outputs, hessian_of_loss

if TYPE_CHECKING:
    from .descent import GroupDescent

FASTER = 4
"""Multiply-adds of matrix products in the time of one in sweeps."""

REPLACED = 3
"""Diagonal models that one with the true Hessian saves at least: it squares errors, they lower them by a factor."""

ACCURACY = 0.01
"""Error that is left in the model at most, relative to that of the point; less where Newton steps square the latter."""

MAX_EPOCHS = 300
"""Sweeps on the model at most."""


def exact_minimum(run: GroupDescent, error: float, epochs: int) -> np.ndarray | None:
    """Coefficients [p, outputs] by position, of the groups that are not 0 or should not be; None where that costs more.

    error: of the point, as `run.working_error`.  epochs: sweeps on each of the diagonal models that it replaces.
    """
    if not has_exact_model(run):
        return None
    chosen = run.working[(run.norms[run.working] > 0) | (run.scores[run.working] > 1)]
    sizes = run.groups.sizes[chosen]
    rows = np.flatnonzero(np.isin(np.repeat(np.arange(run.groups.n_groups), run.groups.sizes), chosen))
    free = free_outputs(run)
    if not _pays(run, len(rows), free, epochs):
        return None
    columns = run.problem.X[:, run.store.columns[rows]]
    columns = np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)
    basis = basis_of(run.by_position.shape[1], free)
    with one_blas_thread():
        root = _root(run, columns, basis)
    if root is None:
        return None
    A, residual = root
    start = run.by_position[rows]
    found = _minimum(run, A, residual, (start @ basis).reshape(-1, 1), chosen, sizes * free, error)
    run.count(len(rows))
    after = run.by_position.copy()
    after[rows] = found.reshape(len(rows), free) @ basis.T
    return after


def has_exact_model(run: GroupDescent) -> bool:
    """Whether no diagonal model has the Hessian of the loss, which couples samples, or the outputs of each.

    Not where nothing decides on a constant in all outputs but w >= 0.
    """
    datafit = run.problem.datafit
    undecided = getattr(run.problem.penalty, "positive", False) and datafit.n_outputs is not None
    return run.radial and isinstance(datafit, Multinomial | Cox) and not undecided


def _pays(run: GroupDescent, rows: int, free: int, epochs: int) -> bool:
    n, outputs = run.store.n, run.by_position.shape[1]
    entries = rows * free
    if not 0 < entries <= MOST_ENTRIES:
        return False
    if _by_samples(run, entries):
        return True
    products = n * entries * rows * outputs / 4 + entries**3 / 6
    stored = run.store.entries * rows / run.store.p  # of these columns: all where they are dense
    return products <= min(MOST_PRODUCTS, FASTER * REPLACED * epochs * 2 * stored * outputs)


def _by_samples(run: GroupDescent, entries: int) -> bool:
    """Whether the root of the Hessian has a row for each sample and class, instead of one for each coefficient."""
    return isinstance(run.problem.datafit, Multinomial) and run.store.n * run.by_position.shape[1] <= entries


def basis_of(outputs: int, free: int) -> np.ndarray:
    """Orthonormal coordinates [outputs, free] of coefficients that sum to 0 over the outputs, or of all."""
    every = np.eye(outputs)
    return every if free == outputs else np.linalg.qr(every[:, :free] - 1 / outputs)[0]


def _root(run: GroupDescent, columns: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """A [r, k * free] and c [r] with A' A the Hessian and A' c minus the gradient of the loss, in these coordinates."""
    from scipy.linalg import lapack, solve_triangular

    datafit: Any = run.problem.datafit
    count, free = columns.shape[1], basis.shape[1]
    if _by_samples(run, count * free):
        A, residual = datafit.root_of_columns(columns, run.z, basis)
        return (A, residual) if np.isfinite(residual).all() and np.isfinite(A).all() else None
    hessian = hessian_of_loss(datafit, columns, run.z, free)
    if free < len(basis):  # from steps in the first classes, their means taken off
        turn = np.linalg.solve(np.eye(free) - 1 / len(basis), basis[:free])
        hessian = np.einsum("jakb,ac,bd->jckd", hessian.reshape(count, free, count, free), turn, turn, optimize=True)
        hessian = hessian.reshape(count * free, count * free)
    if not np.isfinite(hessian).all():
        return None
    pull = ((columns.T @ run.force).reshape(count, -1) @ basis).ravel()
    for flattest in RIDGES:
        ridged = hessian.T.copy(order="F")
        ridged[np.diag_indices(len(ridged))] += flattest * float(hessian.diagonal().max())
        A, failed = lapack.dpotrf(ridged, lower=False, overwrite_a=True)
        if not failed:
            A = np.triu(A)
            return A, solve_triangular(A, pull, trans=1)
    return None


def _minimum(
    run: GroupDescent,
    A: np.ndarray,
    residual: np.ndarray,
    start: np.ndarray,
    chosen: np.ndarray,
    sizes: np.ndarray,
    error: float,
) -> np.ndarray:
    """Coefficients that minimise |residual - A (w - start)|^2 / 2 + penalty of the groups `chosen`, roughly."""
    unit = len(A) ** 0.5  # the descent weights samples by 1 / n
    store = ColumnStore(np.asfortranarray(unit * A), Groups.from_sizes(sizes))
    target = residual_array(len(A), 1)
    target[0, : len(A)] = unit * residual + store.X @ start[:, 0]
    penalty = run.problem.penalty
    blocks = replace(as_block_penalty(penalty), strength=penalty.strength[chosen])
    convex = run.measured_by_gap
    inner = Descent(store, BlockCache(store), penalty=blocks, target=target if convex else None)
    inner.r[0, : len(A)] = unit * residual
    inner.set_coefficients(start)
    scale = residual @ residual / 2 + run.value - run.problem.datafit.value(run.z)
    wanted = max(min(ACCURACY, error) * error, 0.5 * run.goal)
    inner.run(
        np.arange(len(chosen)),
        np.zeros(len(chosen)),
        scored=False,
        max_epochs=MAX_EPOCHS,
        gap_target=wanted * abs(run.value) / scale if convex and scale > 0 else -1.0,
        violation_target=0.0 if convex else wanted * run.violation_scale,
        anderson=run.options.anderson,
        ask=run.ask,
    )
    return inner.coefficients()
