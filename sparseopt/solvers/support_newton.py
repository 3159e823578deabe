"""Newton's method on the coefficients that are not zero, where sweeps over blocks are slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from .._native.bcd import never
from .._native.blas import one_blas_thread
from ..datafits import LeastSquares, Multinomial, MultiResponse
from ..datafits.pointwise import Pointwise
from ..penalties import strength as at_strength
from .block_penalty import scalar_part

if TYPE_CHECKING:
    from .descent import GroupDescent

MOST_ENTRIES = 400
"""Coefficients up to which their Newton system is formed."""

RIDGES = (1e-14, 1e-10, 1e-6, 1e-4, 1e-2)
"""Curvatures are taken at least this large, relative to the largest one; tried in turn."""

DIFFERENCE = 1e-6
"""Relative distance of the norms whose slopes give the second derivative of a penalty."""

MOST_LEAVING = 20
"""Coefficients that may become 0 between two sweeps."""

BLOCKED = 1e-3
"""Part of a step below which a coefficient that becomes 0 ends it before anything is gained."""

SHORT_OF = 0.9999
"""Part of the way to where a coefficient is 0 that is gone where the objective is higher there."""

HALVINGS = 3
"""Step lengths tried; on a wrong support none may be good."""

VISIBLE = 1e-12
"""Changes of the objective below this part of it may be rounding errors: the gradient decides."""


def support_step(run: GroupDescent) -> bool:
    """Newton steps of `run` in its nonzero coefficients, accepted if they help; whether they did.

    The direction has the absolute values of the curvatures (the objective need not be convex), and ends where a
    coefficient would change its sign under an entrywise penalty.  Where that is at once, it is 0 from then on, and the
    next step is one in the others: sweeps between them would move it again where columns are nearly parallel.  A
    penalty that is not of the norms has no curvature to be known here, so nothing is done.
    """
    before, value, helped = run.by_position, run.value, False
    with one_blas_thread(), np.errstate(divide="ignore"):  # norms may underflow
        for _ in range(MOST_LEAVING):
            helped, left = _newton_step(run)
            if not left or run.ask():
                break
    if helped or run.value < value - VISIBLE * abs(value):
        return True
    if run.by_position is not before:
        run.move(before)
    return False


def _newton_step(run: GroupDescent) -> tuple[bool, bool]:
    """One step; whether it helped, and whether it ended at once where a coefficient is 0, the objective no higher."""
    support = run.by_position != 0
    if not run.radial or not 0 < np.count_nonzero(support) <= MOST_ENTRIES:
        return False, False
    before, value = run.by_position, run.value
    rows = np.flatnonzero(support.any(axis=1))
    columns = run.problem.X[:, run.store.columns[rows]]
    columns = np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)
    inside = support[rows]
    gradient = _gradient(run, columns, rows)[inside]
    hessian = _hessian(run, columns, rows)  # not complete where time is up
    hessian = hessian if inside.all() else hessian[np.ix_(inside.ravel(), inside.ravel())]
    if run.ask() or not np.isfinite(hessian).all() or not hessian.any():
        return False, False
    direction = np.zeros_like(before)
    for flattest in RIDGES:
        direction[support] = -_solved(hessian, gradient, flattest)
        length, first = _longest(run.problem.penalty, before, direction)
        if first.any() and length < BLOCKED and run.try_move(np.where(first, 0.0, before + length * direction), value):
            return False, True
        length *= SHORT_OF if first.any() else 1.0
        for _ in range(HALVINGS):
            if run.try_move(before + length * direction, value):
                after = np.linalg.norm(_gradient(run, columns, rows)[inside])
                if run.value < value - VISIBLE * abs(value) or after < np.linalg.norm(gradient):
                    return True, False
                run.move(before)
            length /= 4
    return False, False


def _solved(hessian: np.ndarray, gradient: np.ndarray, flattest: float) -> np.ndarray:
    """|hessian|^-1 gradient, the absolute value by eigenvalues where it is not positive definite."""
    from scipy.linalg import lapack

    ridged = hessian.copy()
    ridged[np.diag_indices(len(ridged))] += flattest * float(np.abs(hessian).max())
    root, failed = lapack.dpotrf(ridged, lower=True, overwrite_a=True)
    if not failed:
        return lapack.dpotrs(root, gradient, lower=True)[0]
    values, vectors = np.linalg.eigh(hessian)
    values = np.abs(values)
    if not values.any():
        return np.zeros_like(gradient)
    return vectors @ ((vectors.T @ gradient) / np.maximum(values, flattest * values.max()))


def _gradient(run: GroupDescent, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Gradient of the objective [rows, outputs] where the coefficients are not 0."""
    penalty, w = run.problem.penalty, run.by_position[rows]
    groups, own = np.unique(_groups(run, rows), return_inverse=True)
    slopes = at_strength.slope(scalar_part(penalty), run.norms[groups], penalty.strength[groups]) / run.norms[groups]
    smooth = -(columns.T @ run.force).reshape(w.shape)
    l1, l2 = getattr(penalty, "l1", 0.0), getattr(penalty, "l2", 0.0)
    return smooth + (slopes[own][:, None] + l2) * w + l1 * np.sign(w)


def _hessian(run: GroupDescent, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Hessian of the objective [rows * outputs, rows * outputs]."""
    total = hessian_of_loss(run.problem.datafit, columns, run.z, run.ask)
    penalty, outputs = run.problem.penalty, run.by_position.shape[1]
    groups, position = np.unique(_groups(run, rows), return_inverse=True)
    rho, norms, strength = scalar_part(penalty), run.norms[groups], penalty.strength[groups]
    slopes = at_strength.slope(rho, norms, strength) / norms
    up, down = (at_strength.slope(rho, norms * (1 + sign * DIFFERENCE), strength) for sign in (1, -1))
    bends = (up - down) / (2 * DIFFERENCE * norms)
    own = np.repeat(position, outputs)
    units = np.zeros((len(own), len(groups)))  # w_g / |w_g|, one column for each group
    units[np.arange(len(own)), own] = run.by_position[rows].ravel() / norms[own]
    total += (units * (bends - slopes)) @ units.T
    total[np.diag_indices(len(total))] += slopes[own] + getattr(penalty, "l2", 0.0)
    return total


def hessian_of_loss(datafit: Any, columns: np.ndarray, z: np.ndarray, ask: Callable[[], bool] = never) -> np.ndarray:
    """Hessian of the datafit in the coefficients of these columns [n, k], all outputs of a column together.

    ask: whether to stop early, with rows that are 0 for what was not reached.
    """
    if isinstance(datafit, Pointwise):
        h = datafit.hessian_weights(z)
        moments = h @ columns
        centre = np.outer(moments, moments) / (h.sum() or 1.0) if datafit.fit_intercept else 0.0
        return columns.T @ (h[:, None] * columns) - centre
    if isinstance(datafit, Multinomial):
        return datafit.hessian_of_columns(columns, z)
    if isinstance(datafit, LeastSquares | MultiResponse):
        gram = columns.T @ datafit.curvature(columns)
        gram = (gram + gram.T) / 2
        return gram if datafit.n_outputs is None else np.kron(gram, np.eye(datafit.n_outputs))
    bent = np.zeros(columns.shape[::-1])
    for row, column in zip(bent, columns.T, strict=True):
        if ask():
            break
        row[:] = datafit.hessian(z, column)
    total = bent @ columns
    return (total + total.T) / 2


def _groups(run: GroupDescent, rows: np.ndarray) -> np.ndarray:
    """Group of each position in rows [k]."""
    return np.searchsorted(run.store.offsets, rows, side="right") - 1


def _longest(penalty: Any, w: np.ndarray, direction: np.ndarray) -> tuple[float, np.ndarray]:
    """The longest step up to 1 along which no sign changes, where the penalty is one of entries, and what is 0 there.

    direction, w: [p, outputs]; the latter is bool of the same shape.
    """
    reach = np.full(w.shape, np.inf)
    if getattr(penalty, "l1", 0.0) > 0 or getattr(penalty, "positive", False):
        crossing = w * direction < 0
        reach[crossing] = -w[crossing] / direction[crossing]
    length = float(reach.min())
    return (length, reach == length) if length <= 1 else (1.0, np.zeros(w.shape, dtype=bool))
