"""Weights from a first solution."""

from __future__ import annotations

import numpy as np

from .._array import real_number
from ..problem import Problem


def adaptive_weights(problem: Problem, w: np.ndarray, power: float = 1.0, floor: float | None = None) -> np.ndarray:
    """weights[g] / (|w_g| + floor)^power [G]: groups that are small in a first solution w are penalised more.

    w: [p] or [p, T], e.g. a group LASSO or ridge solution.  power: > 0.  floor: >= 0, in units of w, default
    1 / n_samples; with 0 the groups that are zero get infinite weights, which forces them out.
    Use as `so.GroupLasso(lam, groups, weights=adaptive_weights(problem, result.latent))`.
    Raises ValueError for another power or floor, and for a penalty without weights.
    Source: Wang and Leng, A note on adaptive group lasso (2008); the floor 1/n: Zou and Zhang (2009).
    """
    floor = 1 / problem.datafit.n_samples if floor is None else floor
    if not 0 < real_number(power) < np.inf or not 0 <= real_number(floor) < np.inf:
        raise ValueError(f"power is {power!r} and floor {floor!r}: power must be positive, floor not negative")
    norms = np.asarray(problem.penalty.groups.norms(problem.check_coefficients(w)))
    if not hasattr(problem.penalty, "weights"):
        raise ValueError(f"{problem.penalty!r} has no weights: give a problem with a weighted penalty, e.g. GroupLasso")
    base = problem.penalty.weights
    with np.errstate(divide="ignore"):
        factors = (norms + floor) ** -float(power)
    return np.where(base > 0, base * np.where(base > 0, factors, 1.0), 0.0)
