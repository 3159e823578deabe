"""Enclosure of the duality gap of w'Hw / 2 - b'w + a constant + a penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem import Problem
from .arithmetic import Numbers, Undecided
from .convex_bound import known_bound, least_over_multiples
from .evaluation import positive_semidefinite


def gap_of_quadratic(problem: Problem, w: np.ndarray, terms: Any) -> tuple[float, float, float, float]:
    """lower, upper, scale and largest_scale of an `Enclosure` at w [p], terms those of the penalty.

    For u = H m - b it is f(w) + f*(u) - <u, w> = (w - m)'H(w - m) / 2.
    """
    datafit: Any = problem.datafit
    a, H, b = terms.arithmetic, datafit.H, datafit.b
    if not positive_semidefinite(H):
        raise Undecided("the quadratic is not shown to be convex")
    numbers = a.number(w)
    fitted = a.apply(H, w)
    loss = a.sum(numbers * fitted) * 0.5 - a.sum(a.number(b) * numbers)
    constant = float(getattr(datafit, "constant", 0.0))
    descent = loss + terms.value(w)
    primal = descent + constant
    base = w.copy()
    base[terms.free] -= np.linalg.lstsq(H[np.ix_(terms.free, terms.free)], (H @ w - b)[terms.free], rcond=None)[0]
    start = _quadratic_multiple(problem, base, terms)

    def dual(multiple: float) -> tuple[Numbers, Numbers]:
        m = a.number(multiple) * a.number(base) + (1.0 - a.number(multiple)) * a.number(datafit.minimiser)
        m = m - _free_part(a, H, a.adjoint(H, m) - a.number(b), terms.free, len(w))
        return numbers - m, a.adjoint(H, m) - a.number(b)

    def gap(multiple: float) -> Numbers:
        rest, u = dual(multiple)
        return a.sum(rest * a.adjoint(H, rest)) * 0.5 + terms.slack(w, u)

    tried = [start if start == 1 and k == 0 else start * (1 - 2.0 ** (k - 52)) for k in range(24)]
    alpha = next((x for x in tried if terms.feasible(dual(x)[1])), None)
    if alpha is None:
        raise Undecided("no dual point with a finite value is known: the quadratic is singular, or squares overflow")
    found = gap(alpha)
    lower = float(a.lower(found)) if terms.everywhere else least_over_multiples(a, gap, alpha, start)
    low = [max(float(a.lower(x)), -float(a.upper(x)), 0.0) for x in (primal, descent)]
    high = [max(float(a.upper(x)), -float(a.lower(x))) for x in (primal, descent)]
    scales = (max(low), known_bound(max(high))) if w.any() or constant else (1.0, 1.0)
    return max(lower, 0.0), known_bound(float(a.upper(found))), *scales


def _quadratic_multiple(problem: Problem, w: np.ndarray, terms: Any) -> float:
    """The best multiple within the feasible ones, in float."""
    if terms.everywhere:
        return 1.0
    datafit: Any = problem.datafit
    H, c = datafit.H, datafit.minimiser
    gradient = H @ w - datafit.b
    gradient[terms.free] = 0.0
    d = w - c
    curvature = float(d @ (H @ d))
    best = -float(d @ (H @ c)) / curvature if curvature > 0 else 0.0
    return min(max(best, 0.0), problem.penalty.dual_limit(-gradient))


def _free_part(a: Any, H: np.ndarray, u: Numbers, free: np.ndarray, p: int) -> Numbers:
    """The correction x on the free coefficients with H_free,free x = u_free, as a vector [p]."""
    if len(free) == 0:
        return a.number(np.zeros(p))
    x = a.solve(a.number(H[np.ix_(free, free)]), u[free][:, None])[:, 0]
    position = np.zeros(p, dtype=int)
    position[free] = np.arange(len(free))
    return a.where(np.isin(np.arange(p), free), x[position], 0.0)
