"""The smallest strength of the penalty at which the solution is zero."""

from __future__ import annotations

import numpy as np

from .datafits import Datafit
from .problem import Problem
from .solve import solve
from .solvers import FISTA
from .unpenalised import refit, unpenalised_columns

FIT_TOLERANCE = 1e-12
"""Relative gap to which groups with a ridge alone are fitted; unpenalised ones are fitted to rounding."""


def lambda_max(problem: Problem) -> float:
    """Smallest lam for which w = 0 is stationary: max_g |gradient_g(0)| / (weights[g] * rho'(0+)) for radial penalties.

    In general the `critical_lam` of the penalty at -gradient(0); for SparseGroupLasso a root per group.
    Unpenalised groups are fitted first, alone, and lambda_max is the smallest lam at which all other groups stay 0.
    For convex penalties that is the solution exactly for lam >= lambda_max (ledger D2, A11); the lam of the problem's
    penalty plays no role.  Relative error of order n eps; 1e-6 where unpenalised groups are fitted under a ridge.

    Raises ValueError when the gradient vanishes (0 is a solution for every lam, so there is no path), when rho'(0+) is
    0 or infinite (no lam is special then), and when unpenalised groups fit y exactly.
    """
    penalty = problem.penalty
    gradient = _gradient_of_null_model(problem)
    if not (penalty.groups.norms(gradient) > 0).any():
        raise ValueError("the gradient at 0 vanishes, so 0 solves the problem for every lam: check y, offset and X")
    if not hasattr(penalty, "critical_lam"):
        raise ValueError(f"{type(penalty).__name__} has no critical_lam, so no lam is known to be special: choose lam")
    lam = penalty.critical_lam(-gradient)
    if lam == 0:
        raise ValueError("every group with a gradient at 0 is forced out, so there is no path: check the weights")
    return lam


def _gradient_of_null_model(problem: Problem) -> np.ndarray:
    """Gradient [p] where all but the unpenalised groups are 0 and those are fitted; 0 on the latter."""
    penalty = problem.penalty
    chosen, columns = unpenalised_columns(problem.X, penalty)
    if len(chosen) == 0:
        return problem.gradient_at_zero.copy()
    if hasattr(penalty, "conjugate"):  # a ridge acts on these groups
        null = Problem(columns, problem.datafit, penalty.restrict(penalty.unpenalised))
        z = columns @ solve(null, FISTA(), tol=FIT_TOLERANCE).w
    else:
        z = _exact_fit(problem.datafit, columns)
    gradient = problem.X.T @ problem.datafit.gradient(z)
    gradient[chosen] = 0.0
    return gradient


def _exact_fit(datafit: Datafit, columns: np.ndarray) -> np.ndarray:
    """z [n] or [n, T] of the fit of these columns [n, k] alone; ValueError where it is exact, or there is none."""
    shape = columns.shape[:1] if datafit.n_outputs is None else (len(columns), datafit.n_outputs)
    z, fitted = refit(datafit, columns, np.zeros(shape))
    left, start = (np.abs(datafit.gradient(at)).max() for at in (z, np.zeros(shape)))
    if not fitted or left <= 64 * len(z) * np.finfo(float).eps * start:
        raise ValueError(
            "the unpenalised groups alone fit y exactly, or have no finite fit (separable data): penalise them too"
        )
    return z
