"""A certificate of global optimality for a nonconvex problem, at the price of a convex one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import checked_seconds, checked_tolerance
from ..datafits import GramLeastSquares
from ..deadline import deadline, past, seconds_until
from ..penalties import GroupLasso, InverseSum, SmartDecay
from ..problem import Problem, checked_problem
from ..solve import solve
from ..solvers.relaxation import why_not
from .ball import INFLATION, Ball
from .branching import gap_by_branching
from .certificate import PROVED, UNDECIDED, Certificate, verdict_of
from .duality_gap import GapBounds, duality_gap
from .evaluation import EVALUATED, strong_convexity
from .mask_decay import gap_by_companion, gap_by_k_support
from .subadditivity import subadditivity


def global_gap(problem: Problem, w: Any, *, tol: float = 1e-6, time_limit: float | None = None) -> Certificate:
    """Enclose objective(w) - global minimum of the `InverseSum` problem, by the sandwich of Theorem 1.1.

    For subadditive q the InverseSum objective is at least the group-LASSO objective with the same lam, with equality at
    points with at most one active group.  So for such a w the duality gap of the unweighted group LASSO bounds the
    distance to the global minimum of the nonconvex problem.  "proved" is said only when all of this is shown:
    q is 0 at 0, strictly increasing and subadditive on every norm a better competitor can have (`subadditivity`);
    w has at most one active group; the gap is at most tol * scale; and every other group is strictly dual feasible at
    the minimiser, |gradient_h| + sqrt(2 gap * trace_h) < lam, so that the convex minimiser has at most one active group
    and is unique (its fit is unique, and w_g = c X_g' r with c >= 0 fixed by the fit: ledger D6).
    SmartDecay is treated likewise, by the squared k-support norm and w with at most k active groups (ledger B5).
    A convex penalty is handed to `duality_gap`.  GroupL0, GroupMCP and GroupSCAD with least squares or a quadratic, of
    some tens of groups, are decided by branch and bound (`solvers.BranchAndBound`).

    w: [p].  Returns a Certificate; `distance` bounds |w - minimiser|_2 where strong convexity is shown.  "refuted"
    means that a better point was found and evaluated rigorously.  time_limit: seconds, after which no search goes on,
    so that more is "undecided"; what a pass over X or one factorisation shows is shown also then.  Raises ValueError
    for a wrong shape, NaN, tol < 0 or another time_limit.
    Source: SequentialAttention++ (arXiv 2402.17902), Theorem 1.1; quantitative form: ledger A9.
    """
    end = deadline(checked_seconds(time_limit))
    if checked_problem(problem).convex:
        return duality_gap(problem, w, tol=tol)
    tol, w = checked_tolerance(tol), problem.check_coefficients(w)
    if why_not(problem) is None:
        return gap_by_branching(problem, w, tol, seconds_until(end))
    reason = None
    smart = type(problem.penalty) is SmartDecay
    if smart and type(problem.datafit) not in EVALUATED:
        return gap_by_companion(problem, w, tol)
    if not smart and type(problem.penalty) is not InverseSum:
        reason = f"no sandwich by a convex problem is known for {type(problem.penalty).__name__}: use InverseSum"
        if type(problem.datafit) is GramLeastSquares:
            reason += "; branch and bound takes such statistics as Quadratic(XtX / n, Xty / n)"
    elif not smart and problem.penalty.outer is not None:
        reason = f"the sandwich is enclosed without outer function, not for {problem.penalty.outer!r}"
    elif type(problem.datafit) not in EVALUATED:
        reason = f"the sandwich is enclosed for least squares and quadratics, not for {type(problem.datafit).__name__}"
    if reason is not None:
        return Certificate(UNDECIDED, 0.0, np.inf, 1.0, tol, reason)
    return gap_by_k_support(problem, w, tol, end) if smart else _sandwich(problem, w, tol, end)


def _sandwich(problem: Problem, w: np.ndarray, tol: float, end: float) -> Certificate:
    # the companion is made here, not asked for: weighted, or of another lam, it would prove nothing
    convex = problem.with_penalty(GroupLasso(problem.penalty.lam, problem.penalty.groups, weights="none"))
    bounds = GapBounds.at(convex, w)
    active = problem.penalty.groups.active(w)
    shown = subadditivity(problem.penalty.rho, 2 * _largest_norm(problem, bounds), past(end))
    if not shown.proved:
        return Certificate(
            UNDECIDED, 0.0, np.inf, bounds.scale, tol, f"subadditivity is {shown.verdict}: {shown.reason}"
        )
    single = len(active) <= 1
    upper = bounds.upper if single else np.inf
    failing = f"w has {len(active)} active groups, Theorem 1.1 speaks of at most one" if not single else None
    failing = failing or _not_strictly_feasible(problem, active, bounds)
    threshold = tol * bounds.scale
    if failing is None and upper <= threshold:
        reason = f"sandwich by the group LASSO; {shown.reason}; every other group is strictly dual feasible"
        return Certificate(PROVED, 0.0, upper, bounds.scale, tol, reason, _distance(bounds))
    lower = _improvement(convex, w, end)
    verdict = verdict_of(lower, np.inf, threshold)
    if verdict != UNDECIDED:
        failing = f"a point with at most one active group is lower by at least {lower:g}"
    reason = failing or "the duality gap of the group LASSO at w exceeds the tolerance: solve it more accurately"
    return Certificate(verdict, lower, max(upper, lower), bounds.scale, tol, reason)


def _largest_norm(problem: Problem, bounds: GapBounds) -> float:
    """A bound on q^{-1}(sum q), hence on every group norm, of any point that is not worse than 0."""
    room = float(bounds.evaluation.loss_at_zero.upper) - bounds.evaluation.infimum
    return room / problem.penalty.lam * INFLATION


def _not_strictly_feasible(problem: Problem, active: np.ndarray, bounds: GapBounds) -> str | None:
    """The sentence on the group that may be active at the convex minimiser beside the one allowed, or None."""
    groups = problem.penalty.groups
    trace = np.bincount(groups.labels, weights=bounds.evaluation.curvatures, minlength=groups.n_groups)
    reach = bounds.gradient_norms.upper + np.sqrt(2 * max(bounds.upper, 0.0) * trace) * INFLATION
    allowed = active[0] if len(active) == 1 else int(np.argmax(reach))
    others = np.delete(np.arange(groups.n_groups), allowed)
    if len(others) == 0 or reach[others].max() * INFLATION < problem.penalty.lam:
        return None
    h = int(others[np.argmax(reach[others])])
    return (
        f"group {h} is not shown to be inactive at the minimiser of the group LASSO: its gradient norm may reach "
        f"{reach[h]:.6g}, lam is {problem.penalty.lam:.6g}"
    )


def _distance(bounds: GapBounds) -> float:
    mu = strong_convexity(bounds.evaluation)
    return float(np.sqrt(2 * max(bounds.upper, 0.0) / mu) * INFLATION) if mu > 0 else np.inf


def _improvement(convex: Problem, w: np.ndarray, end: float) -> float:
    """Lower bound of how much a point with at most one active group improves on w; 0 when none is found.

    For such points the InverseSum objective equals the group-LASSO objective, and at w it is not smaller, so comparing
    group-LASSO objectives is enough.  The solver only proposes the point; it is evaluated here.
    """
    groups = convex.penalty.groups
    try:
        with np.errstate(all="ignore"):
            proposal = solve(convex, tol=1e-9, max_iter=2000, time_limit=seconds_until(end), throw=False).w
    except ValueError:  # data at the ends of the range of float64: nothing is proposed
        proposal = np.zeros_like(w)
    largest = int(np.argmax(groups.norms(proposal)))
    single = np.where(groups.labels == largest, proposal, 0.0)
    here = _group_lasso_objective(convex, w)
    gains = [float((here - _group_lasso_objective(convex, u)).lower) for u in (single, np.zeros_like(w))]
    return max(*gains, 0.0)


def _group_lasso_objective(convex: Problem, w: np.ndarray) -> Ball:
    evaluation = GapBounds.at(convex, w).evaluation
    norms = Ball.exact(w).group_norms(convex.penalty.groups)
    return evaluation.loss + norms.sum().times(convex.penalty.lam)
