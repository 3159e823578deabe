"""Fits without a penalty on the support of a solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from .._array import checked_seconds
from ..datafits import Quadratic
from ..deadline import deadline, past, seconds_until
from ..penalties import GroupLasso
from ..problem import Problem
from ..result import NotConverged, Result, Status
from ..solve import solve
from ..unpenalised import refit, unpenalised_columns


def refit_on_support(
    problem: Problem, w: np.ndarray, *, tol: float = 1e-6, time_limit: float | None = None, throw: bool = True
) -> Result:
    """argmin of the loss alone over the groups that are active in w [p] or [p, T]; the others stay 0.

    Fitted by Newton's method to rounding; of several solutions the shortest.  Result.gap is that of the problem
    without a penalty on these groups, objective its loss, lam that of `problem`.
    time_limit: seconds, after which the fit ends where it is, with TIME_LIMIT.
    Where there is no finite solution (separable data, zero counts), a point within tol of the infimum is returned.
    Raises NotConverged, unless throw=False, where tol is not reached, or not in time; ValueError for another
    time_limit.
    """
    end = deadline(checked_seconds(time_limit))
    w = problem.check_coefficients(w)
    groups = problem.penalty.groups
    active = groups.active(w)
    if len(active) == 0:
        active = np.array([0])
        free = GroupLasso(1.0, groups, np.full(groups.n_groups, np.inf)).restrict(active)
    else:
        free = GroupLasso(1.0, groups, np.zeros(groups.n_groups)).restrict(active)
    chosen = np.flatnonzero(np.isin(groups.labels, active))
    if isinstance(problem.datafit, Quadratic):  # of which the coefficients are the samples
        part = Problem(sparse.identity(len(chosen), format="csr"), problem.datafit.restrict(chosen), free)
    else:
        part = Problem(problem.X[:, chosen], problem.datafit, free)
    dense = unpenalised_columns(part.X, free)[1]
    z = refit(part.datafit, dense, np.zeros((part.X.shape[0], *w.shape[1:])), past(end))[0]
    start = np.linalg.lstsq(dense, z, rcond=None)[0] if dense.shape[1] else np.zeros(part.w_shape)
    result = solve(part, w0=start, tol=tol, max_iter=1, time_limit=seconds_until(end), throw=False)
    full = np.zeros_like(w)
    full[chosen] = result.latent
    result = replace(result, w=problem.collapse(full), latent=full, lam=problem.penalty.lam)
    if throw and result.status is not Status.CONVERGED:
        raise NotConverged(result)
    return result
