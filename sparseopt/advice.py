"""What keeps a run from ending, said with the numbers at hand: rounding errors, or a loss that is not attained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .problem import Problem
from .unpenalised import column_norms, movable, refit, unpenalised_columns

MOST_ENTRIES = 10_000_000
"""Entries of X up to which it is read once more for an advice."""

FAR_AWAY = 10.0
"""Change of logarithms of odds or of rates by a fit of unpenalised groups from which on there may be no fit."""

SATURATED = 1e-8
"""Distance of a probability from 1 below which a sample counts as flat."""

MANY = 0.2
"""Part of the samples that are many."""


def advice_on(
    problem: Problem, w: np.ndarray, z: np.ndarray, tol: float, late: Callable[[], bool] = lambda: False
) -> str | None:
    """One sentence on what hinders a convex problem at w [p] or [p, T], z = X w; None where nothing special is seen.

    late: whether time is up, asked between the steps of a fit.
    """
    if not problem.convex or problem.X.size > MOST_ENTRIES:
        return None
    with np.errstate(all="ignore"):
        return _on_separation(problem, w, z, late) or _on_saturation(problem, z) or _on_rounding(problem, w, z, tol)


def _on_separation(problem: Problem, w: np.ndarray, z: np.ndarray, late: Callable[[], bool]) -> str | None:
    """Where unpenalised columns separate samples, their fit moves away for ever."""
    datafit: Any = problem.datafit
    chosen, columns = unpenalised_columns(problem.X, problem.penalty)
    if len(chosen) == 0 or hasattr(problem.penalty, "conjugate") or _has_minima(datafit):
        return None
    fitted, ended = refit(datafit, columns, z, late, movable(datafit, problem.penalty, w[chosen]))
    if (ended or late()) and np.abs(fitted - z).max() < FAR_AWAY:
        return None
    return (
        "the unpenalised groups seem to separate samples (some probabilities or rates tend to 0 or 1), so that there "
        "is no finite minimum: give those groups a weight > 0, or a ridge (GroupElasticNet)"
    )


def _on_saturation(problem: Problem, z: np.ndarray) -> str | None:
    """Where many samples of a loss of probabilities have no curvature, so that models of it hold for short steps."""
    datafit: Any = problem.datafit
    if hasattr(datafit, "log_probabilities"):
        largest = np.exp(datafit.log_probabilities(z).max(axis=1))
        flat = largest > 1 - SATURATED
    elif hasattr(datafit, "sign"):
        flat = datafit.hessian_weights(z) < SATURATED * datafit.share
    else:
        return None
    used = datafit.share > 0
    many, n = np.count_nonzero(flat[used]), np.count_nonzero(used)
    if many < MANY * n:
        return None
    return (
        f"{many} of {n} samples have a probability of 1 to 8 digits, where "
        "the loss has no curvature and steps are short: raise lam, or loosen tol"
    )


def _has_minima(datafit: Any) -> bool:
    """Whether the loss is made of squares (and lines, for Huber's), which are attained."""
    return hasattr(datafit, "delta") or hasattr(datafit, "residual") or hasattr(datafit, "H")


def _on_rounding(problem: Problem, w: np.ndarray, z: np.ndarray, tol: float) -> str | None:
    """Where rounding errors of the gradient are more than the part tol of the strengths."""
    strength = getattr(problem.penalty, "strength", None)
    if strength is None:
        return None
    strength = strength + getattr(problem.penalty, "l1", 0.0)
    used = (strength > 0) & (strength < np.inf)
    if not used.any():
        return None
    lengths = column_norms(problem.X)
    rows = np.abs(w).reshape(len(w), -1).max(axis=1)
    bound = problem.datafit.smoothness_bound
    bend = (bound if np.isfinite(bound) else 1.0) / len(z)
    eps = float(np.finfo(float).eps)
    noise = eps * (np.linalg.norm(problem.datafit.gradient(z)) + bend * float(lengths @ rows))
    largest = float((problem.penalty.groups.norms(lengths)[used] / strength[used]).max())
    if not noise * largest > tol:
        return None
    return (
        f"rounding errors of the gradient are up to {noise * largest:.0e} of the strengths of the penalty, more than "
        f"tol = {tol:.0e}: raise lam or tol, rescale the columns of X, and where they are far from 0 centre them, or "
        "fit an intercept"
    )
