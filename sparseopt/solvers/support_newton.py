"""Newton's method on the coefficients that are not zero, where sweeps over blocks are slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from .._native.blas import one_blas_thread
from ..datafits import Cox, LeastSquares, Multinomial, MultiResponse
from ..datafits.pointwise import Pointwise
from ..penalties import strength as at_strength
from .block_penalty import entrywise, scalar_part

if TYPE_CHECKING:
    from .descent import GroupDescent

MOST_ENTRIES = 2500
"""Coefficients up to which their Newton system is formed: its solution then costs less than MAX_EPOCHS sweeps."""

MOST_PRODUCTS = 1e10
"""Multiply-adds up to which their Hessian is formed, about a second, within which time limits are to be kept."""

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
    rows = np.flatnonzero(support.any(axis=1))
    if not run.radial or not _affordable(run, int(np.count_nonzero(support)), len(rows)):
        return False, False
    before, value = run.by_position, run.value
    columns = run.problem.X[:, run.store.columns[rows]]
    columns = np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)
    inside, free = support[rows], free_outputs(run)
    gradient = _gradient(run, columns, rows)
    slope = _centred(gradient, free)[:, :free][inside[:, :free]]
    hessian = _hessian(run, columns, rows, free)
    chosen = inside[:, :free].ravel()
    hessian = hessian if chosen.all() else hessian[np.ix_(chosen, chosen)]
    if run.ask() or not np.isfinite(hessian).all() or not hessian.any():
        return False, False
    step = np.zeros(inside.shape)
    direction = np.zeros_like(before)
    for flattest in RIDGES:
        step[:, :free][inside[:, :free]] = -_solved(hessian, slope, flattest)
        direction[rows] = _centred(step, free)
        length, first = _longest(run.problem.penalty, before, direction)
        if first.any() and length < BLOCKED and run.try_move(np.where(first, 0.0, before + length * direction), value):
            return False, True
        length *= SHORT_OF if first.any() else 1.0
        for _ in range(HALVINGS):
            if run.try_move(before + length * direction, value):
                after = np.linalg.norm(_gradient(run, columns, rows)[inside])
                if run.value < value - VISIBLE * abs(value) or after < np.linalg.norm(gradient[inside]):
                    return True, False
                run.move(before)
            length /= 4
    return False, False


def _affordable(run: GroupDescent, entries: int, rows: int) -> bool:
    """Whether the Newton system of so many coefficients in so many columns is formed, if there are any."""
    products = run.store.n * (entries / 2) * rows * run.by_position.shape[1]
    return 0 < entries <= MOST_ENTRIES and products <= MOST_PRODUCTS


def free_outputs(run: GroupDescent) -> int:
    """Outputs whose coefficients the steps choose: all, or without the last one where a constant changes nothing.

    The coefficients of a column then sum to 0 over the outputs at a solution, by penalties of norms, and steps do.
    """
    outputs = run.by_position.shape[1]
    summed = getattr(run.problem.datafit, "reference", False) and not entrywise(run.problem.penalty)
    return outputs - 1 if summed else outputs


def _centred(values: np.ndarray, free: int) -> np.ndarray:
    """values [rows, outputs] less their means over the outputs, unless all of these are free."""
    return values if free == values.shape[1] else values - values.mean(axis=1, keepdims=True)


def _solved(hessian: np.ndarray, gradient: np.ndarray, flattest: float) -> np.ndarray:
    """|hessian|^-1 gradient, the absolute value by eigenvalues where it is not positive definite."""
    from scipy.linalg import lapack

    ridged = hessian.T.copy(order="F")  # symmetric, and in the order of LAPACK
    ridged[np.diag_indices(len(ridged))] += flattest * float(np.abs(hessian.diagonal()).max())
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


def _hessian(run: GroupDescent, columns: np.ndarray, rows: np.ndarray, free: int) -> np.ndarray:
    """Hessian of the objective in the first outputs, [rows * free, rows * free], of steps `_centred` in all."""
    total = hessian_of_loss(run.problem.datafit, columns, run.z, free)
    penalty, w = run.problem.penalty, _centred(run.by_position[rows], free)
    groups, position = np.unique(_groups(run, rows), return_inverse=True)
    rho, norms, strength = scalar_part(penalty), run.norms[groups], penalty.strength[groups]
    slopes = at_strength.slope(rho, norms, strength) / norms
    up, down = (at_strength.slope(rho, norms * (1 + sign * DIFFERENCE), strength) for sign in (1, -1))
    bends = ((up - down) / (2 * DIFFERENCE * norms) - slopes)[position]
    round_ = slopes[position] + getattr(penalty, "l2", 0.0)
    products = np.eye(free) - (0.0 if free == w.shape[1] else 1 / w.shape[1])  # of steps, their means taken off
    units = w[:, :free] / norms[position][:, None]
    for start, end in _runs(position):
        of_group = slice(start * free, end * free)
        unit = units[start:end].ravel()
        block = bends[start] * np.outer(unit, unit)
        block += np.kron(np.eye(end - start), round_[start] * products)
        total[of_group, of_group] += block
    return total


def _runs(position: np.ndarray) -> list[tuple[int, int]]:
    """First and last (exclusive) of each run of equal entries."""
    ends = np.flatnonzero(np.diff(position, append=-1)) + 1
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def hessian_of_loss(datafit: Any, columns: np.ndarray, z: np.ndarray, free: int | None = None) -> np.ndarray:
    """Hessian of the datafit in the coefficients of these columns [n, k], all outputs of a column together.

    free: only the first so many outputs, of a multinomial loss.
    """
    if isinstance(datafit, Pointwise):
        h = datafit.hessian_weights(z)
        moments = h @ columns
        centre = np.outer(moments, moments) / (h.sum() or 1.0) if datafit.fit_intercept else 0.0
        return columns.T @ (h[:, None] * columns) - centre
    if isinstance(datafit, Multinomial):
        return datafit.hessian_of_columns(columns, z, free)
    if isinstance(datafit, Cox):
        return datafit.hessian_of_columns(columns, z)
    if isinstance(datafit, LeastSquares | MultiResponse):
        gram = columns.T @ datafit.curvature(columns)
        gram = (gram + gram.T) / 2
        return gram if datafit.n_outputs is None else np.kron(gram, np.eye(datafit.n_outputs))
    total = columns.T @ np.stack([datafit.hessian(z, column) for column in columns.T], axis=1)
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
