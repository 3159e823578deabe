"""The smallest strength of the penalty at which the solution is zero."""

from __future__ import annotations

import numpy as np

from .problem import Problem


def lambda_max(problem: Problem) -> float:
    """Smallest lam for which w = 0 is stationary: max_g |gradient_g(0)| / (weights[g] * rho'(0+)).

    For convex penalties 0 is a solution exactly for lam >= lambda_max (ledger D2, A11); the lam of the problem's
    penalty plays no role.  Relative error of order n eps.  Raises ValueError when the gradient at 0 vanishes (0 is a
    solution for every lam, so there is no path), and when rho'(0+) is 0 or infinite (no lam is special then).
    """
    penalty = problem.penalty
    norms = penalty.groups.norms(problem.gradient(np.zeros(problem.n_features)))
    if not norms.max() > 0:
        raise ValueError("the gradient at 0 vanishes, so 0 solves the problem for every lam: check y, offset and X")
    slope = float(penalty.rho.slope0)
    if not 0 < slope < np.inf:
        reason = "0 is never a solution" if slope == 0 else "0 is stationary for every lam"
        raise ValueError(f"{type(penalty).__name__} has slope {slope:g} at 0, so {reason}: choose lam directly")
    weights = getattr(penalty, "weights", np.ones(len(norms)))
    return float((norms / weights).max() / slope)
