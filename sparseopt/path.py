"""The smallest strength of the penalty at which the solution is zero."""

from __future__ import annotations

import numpy as np

from .problem import Problem
from .solve import solve
from .unpenalised import refit, unpenalised_columns

FIT_TOLERANCE = 1e-12
"""Relative gap to which the unpenalised groups are fitted before their gradient is made orthogonal to rounding."""


def lambda_max(problem: Problem) -> float:
    """Smallest lam for which w = 0 is stationary: max_g |gradient_g(0)| / (weights[g] * rho'(0+)) for radial penalties.

    In general the `critical_lam` of the penalty at -gradient(0); for SparseGroupLasso a root per group.
    Unpenalised groups are fitted first, alone, and lambda_max is the smallest lam at which all other groups stay 0.
    For convex penalties that is the solution exactly for lam >= lambda_max (ledger D2, A11); the lam of the problem's
    penalty plays no role.  Relative error of order n eps, or that of the fit of the unpenalised groups where it is not
    exact (a loss that is not quadratic, or a ridge).

    Raises ValueError when the gradient vanishes (0 is a solution for every lam, so there is no path), and when rho'(0+)
    is 0 or infinite (no lam is special then).
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
        return problem.gradient(np.zeros(problem.n_features))
    null = Problem(columns, problem.datafit, penalty.restrict(penalty.unpenalised))
    z = columns @ solve(null, tol=FIT_TOLERANCE, throw=False).w
    if not hasattr(penalty, "conjugate"):  # no ridge on these groups
        z, _ = refit(problem.datafit, columns, z)
    gradient = problem.X.T @ problem.datafit.gradient(z)
    gradient[chosen] = 0.0
    return gradient
