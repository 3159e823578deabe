"""What the range and the digits of floats allow: the scale of a problem, and gaps that may be all rounding errors."""

from __future__ import annotations

import numpy as np

from ._array import zeros_of
from .finer_fit import finer_gap
from .problem import Problem

SMALLEST_OBJECTIVE = float(np.finfo(float).tiny / np.finfo(float).eps)
"""Size of the objective at 0 below which its differences lose digits to underflow."""

WIDEST = 1e6
"""Ratio of the critical strength to that of the penalty from which on a certificate has to confirm a gap."""


def loss_at_zero(problem: Problem) -> float:
    """The loss at 0; ValueError where it overflows, or the squares of the data, of which gaps are made, underflow.

    Looked at are the loss at 0, and the squared gradient over the curvature, its natural unit if it is measured from 0.
    """
    with np.errstate(all="ignore"):
        value = problem.datafit.value(zeros_of(problem.slopes_at_zero.shape))
    if not np.isfinite(value):
        raise ValueError(overflow_at_zero(problem))
    if abs(value) < SMALLEST_OBJECTIVE and problem.slopes_at_zero.any():
        size = _size_at_zero(problem, value)
        if size < SMALLEST_OBJECTIVE:
            raise ValueError(
                f"the objective at 0 is of size {size:.1e}, below {SMALLEST_OBJECTIVE:.1e}, so the duality gap would "
                "underflow: multiply y (or b) and lam by the same factor, which multiplies w by it"
            )
    return value


def overflow_at_zero(problem: Problem) -> str:
    """What to do where the loss at 0 or its gradient overflows, to which gaps and lambda_max are relative."""
    offset = _largest_offset(problem)
    return (
        f"the loss at 0 or its gradient overflows (offset up to {offset:.3g}): take a constant off the offset, fit an "
        "intercept, or rescale y and the columns of X"
    )


def _largest_offset(problem: Problem) -> float:
    """Of the rest, where the intercept takes the mean."""
    datafit = problem.datafit
    offset = np.asarray(getattr(datafit, "rest", getattr(datafit, "offset", 0.0)))
    return float(np.abs(offset).max() if any(offset.strides) else abs(offset.flat[0]))


def _size_at_zero(problem: Problem, value: float) -> float:
    """The natural size of the objective at 0, where the loss is `value`."""
    bend = problem.datafit.smoothness_bound
    entries = problem.slopes_at_zero.ravel(order="K")  # in place, however they are stored
    with np.errstate(all="ignore"):
        return max(abs(value), float(entries @ entries) / (bend if 0 < bend < np.inf else 1.0))


def rounding_may_decide(problem: Problem, tol: float) -> bool:
    """Whether rounding errors of gradients, relative to those at 0, come near the strength of the penalty.

    Or near its part tol, where X w + offset may cancel, which leaves gradients the rounding errors of the offset.
    Unpenalised groups do not tell: their gradient is fitted to 0 before the gap is taken.  Where no strength is
    critical, as for the squared k-support norm, the conjugate tells, which such an error enters in the gap.
    """
    if not hasattr(problem.penalty, "critical_lams"):
        return hasattr(problem.penalty, "conjugate") and _conjugate_decides(problem)
    slopes = np.asarray(getattr(problem.penalty, "slope0", 0.0))
    lost = float(np.finfo(float).eps) * _largest_offset(problem)
    widest = min(WIDEST, tol / lost) if lost > 0 else WIDEST
    try:
        with np.errstate(all="ignore"):
            gradient = problem.gradient_at_zero
            least = slopes.min()
            least = least if least > 0 else np.min(slopes[slopes > 0], initial=np.inf)
            if np.vdot(gradient, gradient) <= (widest * least) ** 2 < np.inf:
                return False
            critical = problem.penalty.critical_lams(-gradient)
            critical[getattr(problem.penalty, "unpenalised", [])] = 0.0
            return bool(critical.max() > widest * problem.penalty.lam)
    except ValueError:  # no strength is critical
        return False


def _conjugate_decides(problem: Problem) -> bool:
    """Whether the conjugate of WIDEST times the rounding errors of the gradient at 0 is not small beside the rest."""
    with np.errstate(all="ignore"):
        found = float(problem.penalty.conjugate(WIDEST * float(np.finfo(float).eps) * problem.gradient_at_zero))
        return not found <= _size_at_zero(problem, problem.datafit.value(zeros_of(problem.slopes_at_zero.shape)))


def objective_scale(objective: float, at_zero: float) -> float:
    """What gaps are relative to: the larger of the objective and its distance to that at 0, 1 where both vanish."""
    return max(abs(objective), abs(objective - at_zero)) or 1.0


def trusted(gap: float, tol: float) -> float:
    """The relative gap; one below 0 by more than tol shows rounding errors of its size, by which it then counts."""
    return max(gap, 0.0) if gap >= -tol else -gap


def confirmed_gap(problem: Problem, w: np.ndarray, gap: float, tol: float, scale: float) -> float:
    """The relative gap of w [p] or [p, T] where a certificate proves tol, else that of the certificate, if larger.

    A gap above tol is first taken again with more digits, where terms of X w cancel, and comes without certificate if
    that does not help.  The gap as it is, too, where the penalty has no certificate.  scale: what it is relative to.
    """
    from .certify import duality_gap

    if gap > tol:
        gap = min(gap, max(finer_gap(problem, w) / scale, 0.0))
    if not gap <= tol:
        return gap
    try:
        found = duality_gap(problem, w, tol=tol)
    except ValueError:
        return gap
    if found.proved:
        return gap
    return max(gap, float(found.upper / found.scale)) if found.scale > 0 else np.inf
