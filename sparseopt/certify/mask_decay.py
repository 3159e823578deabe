"""Global gaps of SMART with weight decay, at the price of a convex problem."""

from __future__ import annotations

import numpy as np

from ..datafits import Quadratic
from ..deadline import seconds_until
from ..penalties import KSupport
from ..problem import Problem
from ..sets import TopGroups
from ..solve import solve
from .ball import INFLATION, Ball
from .certificate import PROVED, UNDECIDED, Certificate, verdict_of
from .duality_gap import duality_gap
from .evaluation import Evaluation, evaluate, positive_semidefinite, strong_convexity


def gap_by_k_support(problem: Problem, w: np.ndarray, tol: float, end: float = np.inf) -> Certificate:
    """Enclose objective(w) - global minimum of a `SmartDecay` problem with least squares or a quadratic.

    Its objective is at least the one of its companion, the squared k-support norm, with equality where at most k groups
    are active.  So for such a w the gap of that convex problem bounds the distance to the global minimum.  With
    c = -gradient(w) and S the active groups, Fenchel's inequality gives it without cancellation:
    4 lam gap = sum_S |c_g - 2 lam w_g|^2 + (sum of the k largest |c_g|^2) - sum_S |c_g|^2.

    w: [p].  "refuted" means that a better point was found and evaluated rigorously.  `distance` bounds the distance to
    every global minimiser where strong convexity is shown.  end: time, of time.perf_counter, at which the search for a
    better point ends.  Source: ledger B5.
    """
    if isinstance(problem.datafit, Quadratic) and not positive_semidefinite(problem.datafit.H):
        return Certificate(UNDECIDED, 0.0, np.inf, 1.0, tol, "H is not shown to be positive semidefinite")
    penalty, evaluation = problem.penalty, evaluate(problem, w)
    active = penalty.groups.active(w)
    here, scale = _at_most_k_groups(problem, evaluation, w)
    threshold = tol * scale
    upper = _gap(problem, evaluation, w, active) if len(active) <= penalty.k else np.inf
    if upper <= threshold:
        reason = "sandwich by the squared k-support norm, whose gap at w is within the tolerance"
        return Certificate(PROVED, 0.0, upper, scale, tol, reason, _distance(evaluation, upper))
    lower = _improvement(problem, here, end)
    verdict = verdict_of(lower, np.inf, threshold)
    reason = f"a point with at most {penalty.k} active groups is lower by at least {lower:g}"
    if verdict == UNDECIDED and len(active) > penalty.k:
        reason = f"w has {len(active)} active groups, the sandwich is tight for at most {penalty.k}"
    elif verdict == UNDECIDED:
        reason = "the gap of the k-support problem at w exceeds the tolerance: another minimiser, or no k-sparse one"
    return Certificate(verdict, lower, max(upper, lower), scale, tol, reason)


def gap_by_companion(problem: Problem, w: np.ndarray, tol: float) -> Certificate:
    """The same for every other datafit, by the enclosed duality gap of the companion at w; never "refuted"."""
    penalty = problem.penalty
    active = len(penalty.groups.active(w))
    if active > penalty.k:
        reason = f"w has {active} active groups, the sandwich is tight for at most {penalty.k}"
        return Certificate(UNDECIDED, 0.0, np.inf, 1.0, tol, reason)
    # made here, not asked for
    found = duality_gap(problem.with_penalty(KSupport(penalty.lam, penalty.groups, penalty.k)), w, tol=tol)
    if found.proved:
        reason = "sandwich by the squared k-support norm, whose gap at w is within the tolerance"
        return Certificate(PROVED, 0.0, found.upper, found.scale, tol, reason)
    reason = f"{found.reason}, in the k-support problem, whose minimiser may have more than {penalty.k} active groups"
    return Certificate(UNDECIDED, 0.0, found.upper, found.scale, tol, reason)


def _at_most_k_groups(problem: Problem, evaluation: Evaluation, w: np.ndarray) -> tuple[Ball, float]:
    """loss + lam |w|^2, the objective at w or a bound from below, and a lower bound of its scale."""
    values = Ball.exact(w)
    objective = evaluation.loss + values.dot(values).times(problem.penalty.lam)
    scale = max(float(abs(objective).lower), float(abs(objective - evaluation.loss_at_zero).lower), 0.0)
    return objective, 1.0 if evaluation.zero_at_zero and not w.any() else scale


def _gap(problem: Problem, evaluation: Evaluation, w: np.ndarray, active: np.ndarray) -> float:
    """Upper bound of the gap of the k-support problem at w with at most k active groups."""
    penalty, slope = problem.penalty, evaluation.gradient
    groups, lam = penalty.groups, penalty.lam
    on = np.isin(np.arange(groups.n_groups), active)
    pulled = (slope + Ball.exact(w).times(2 * lam)).group_norms(groups)
    miss = float((pulled * pulled).upper[on].sum()) * INFLATION
    squares = slope.group_norms(groups)
    squares = squares * squares
    scores = np.where(on, squares.lower, squares.upper)
    best = np.zeros(groups.n_groups, dtype=bool)
    best[np.argsort(-scores, kind="stable")[: penalty.k]] = True
    entering, leaving = float(scores[best & ~on].sum()), float(scores[on & ~best].sum())
    exchanged = max(entering * INFLATION - leaving / INFLATION, 0.0)
    return (miss + exchanged) / (4 * lam) * INFLATION


def _distance(evaluation: Evaluation, gap: float) -> float:
    """Both w and every minimiser of the nonconvex problem are within sqrt(2 gap / mu) of that of the convex one."""
    mu = strong_convexity(evaluation)
    return float(2 * np.sqrt(2 * max(gap, 0.0) / mu) * INFLATION) if mu > 0 else np.inf


def _improvement(problem: Problem, here: Ball, end: float) -> float:
    """Lower bound of how much a point with at most k active groups improves on w; 0 when none is found.

    The solver only proposes the point; it is evaluated here.
    """
    penalty = problem.penalty
    try:
        with np.errstate(all="ignore"):
            companion, limit = problem.with_penalty(penalty.companion), seconds_until(end)
            convex = solve(companion, tol=1e-9, max_iter=2000, time_limit=limit, throw=False).w
            proposal = np.asarray(TopGroups(penalty.k, penalty.groups).project(convex))
    except ValueError:  # data at the ends of the range of float64: nothing is proposed
        return 0.0
    there, _ = _at_most_k_groups(problem, evaluate(problem, proposal), proposal)
    return max(float((here - there).lower), 0.0)
