"""What is true of every solver: its states are honest, what it reports is reached, convex problems are solved.

Everything is recomputed from X, y, the groups and the weights; nothing that the solver or the loop says is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from ..datafits import LeastSquares
from ..groups import Groups
from ..penalties import GroupLasso, GroupMCP
from ..problem import Problem
from ..result import Status
from ..sets import TopGroups
from ..solve import iterate, solve
from . import strategies
from .battery import Case, Property
from .inequality import at_most, close, rounding, same, true

TOL = 1e-8
"""Relative gap to which convex problems are solved."""

LIMIT = 20_000
"""Iterations allowed."""

STEPS = 12
"""Iterates that are looked at."""


@dataclass(frozen=True)
class Trial:
    """A solver and the kinds of problems that it treats, by name: functions rng -> Problem."""

    solver: Any
    kinds: dict[str, Callable[[np.random.Generator], Problem]]

    def __repr__(self) -> str:
        return repr(self.solver)


def trial(solver: Any, problems: Iterable[Callable[[np.random.Generator], Problem]] | None) -> Trial:
    """The solver with the kinds that its `init` accepts, of its own `problems` or of ours; ValueError where none is."""
    offered = KINDS if problems is None else {_name(i, make): make for i, make in enumerate(problems)}
    kinds = {name: make for name, make in offered.items() if _treats(solver, make(np.random.default_rng(0)))}
    if not kinds:
        raise ValueError(f"{solver!r} treats none of {', '.join(offered)}: give problems, functions rng -> Problem")
    return Trial(solver, kinds)


def _name(i: int, make: Callable[[np.random.Generator], Problem]) -> str:
    """Name of problem i that the user gave, which begins with its kind if it is one of ours."""
    penalty = make(np.random.default_rng(0)).penalty
    kind = {GroupLasso: CONVEX, GroupMCP: NONCONVEX, TopGroups: SETS}.get(type(penalty), "problem")
    return f"{kind}, given {i}"


def _treats(solver: Any, problem: Problem) -> bool:
    try:
        next(iterate(problem, solver))
    except ValueError:
        return False
    return True


def _data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Groups]:
    groups = Groups.from_sizes(rng.choice([1, 1, 2, 3, 5], size=rng.integers(1, 6)))
    n = int(rng.integers(groups.n_features, 2 * groups.n_features + 4))
    X = rng.standard_normal((n, groups.n_features))
    w = rng.standard_normal(groups.n_features) * (rng.random(groups.n_groups) < 0.5)[groups.labels]
    return X, X @ w + 0.3 * rng.standard_normal(n), groups


def _group_lasso(rng: np.random.Generator) -> Problem:
    X, y, groups = _data(rng)
    problem = Problem(X, LeastSquares(y), GroupLasso(1.0, groups))
    return problem.with_lam(
        float(rng.choice([0.02, 0.2, 0.6])) * problem.penalty.critical_lam(problem.gradient_at_zero)
    )


def _group_mcp(rng: np.random.Generator) -> Problem:
    X, y, groups = _data(rng)
    problem = Problem(X, LeastSquares(y), GroupMCP(1.0, groups, gamma=float(rng.choice([1.5, 3.0]))))
    return problem.with_lam(0.2 * problem.penalty.critical_lam(problem.gradient_at_zero))


def _top_groups(rng: np.random.Generator) -> Problem:
    X, y, groups = _data(rng)
    return Problem(X, LeastSquares(y), TopGroups(int(rng.integers(1, groups.n_groups + 1)), groups))


CONVEX, NONCONVEX, SETS = "group LASSO", "group MCP", "top groups"
KINDS = {CONVEX: _group_lasso, NONCONVEX: _group_mcp, SETS: _top_groups}
"""Kinds of least-squares problems that solvers are tried on."""


def draw_problem(subject: Trial, case: Case, *names: str) -> Any:
    """A problem of one of these kinds, by default of any that the solver treats."""
    from hypothesis import strategies as st

    kind = case.draw(st.sampled_from([name for name in subject.kinds if name.startswith(names or "")]), "kind")
    problem = subject.kinds[kind](np.random.default_rng(case.draw(strategies.seeds(), "seed of the problem")))
    case.inputs["problem"] = problem
    return problem


def primal_and_dual(problem: Any, w: np.ndarray) -> tuple[float, float]:
    """Objective of a least-squares group LASSO at w [p], and dual value of its scaled residual, from the raw data."""
    X, y, groups = np.asarray(problem.X), problem.datafit.y, problem.penalty.groups
    r, n = y - X @ w, len(y)
    strength = problem.penalty.lam * problem.penalty.weights
    parts = [np.flatnonzero(groups.labels == g) for g in range(groups.n_groups)]
    primal = float(r @ r) / (2 * n) + sum(s * float(np.linalg.norm(w[i])) for s, i in zip(strength, parts, strict=True))
    pulls = [float(np.linalg.norm(X[:, i].T @ r)) / n for i in parts]
    limit = min((s / pull for s, pull in zip(strength, pulls, strict=True) if pull > 0), default=np.inf)
    alpha = min(max(float(r @ y) / max(float(r @ r), 1e-300), 0.0), limit)
    return primal, (alpha * float(r @ y) - alpha**2 * float(r @ r) / 2) / n


def convex_is_solved(subject: Trial, case: Case) -> None:
    """The duality gap, recomputed from the data, is at most tol times the scale of the objective."""
    problem = draw_problem(subject, case, CONVEX)
    result = solve(problem, subject.solver, tol=TOL, max_iter=LIMIT, throw=False)
    case.inputs["w"] = result.w
    primal, dual = primal_and_dual(problem, result.w)
    at_zero = primal_and_dual(problem, np.zeros_like(result.w))[0]
    scale = max(abs(primal), abs(primal - at_zero))
    at_most(primal - dual, TOL * scale, rounding(len(result.w), at_zero), "duality gap and tol * scale")
    true(result.status is Status.CONVERGED, f"status is CONVERGED: it is {result.status.name}")


def report_is_true(subject: Trial, case: Case) -> None:
    """Objective, gap and violation of the result are those of its w; w solves nothing worse than the start."""
    problem = draw_problem(subject, case)
    result = solve(problem, subject.solver, tol=1e-5, max_iter=2000, throw=False)
    case.inputs["w"] = result.w
    objective, start = problem.objective(result.w), problem.objective(np.zeros(problem.w_shape))
    slack = rounding(problem.X.size, abs(start), abs(objective))
    close(result.objective, objective, slack, "result.objective and the objective at result.w")
    at_most(objective, start, slack + 1e-5 * abs(start), "the objective at result.w, and at 0")
    if problem.convex:
        same(result.status is Status.CONVERGED, bool(result.gap <= 1e-5), "CONVERGED and gap <= tol")
    history = result.history
    same(len(history.objective), len(history.violation), "length of the columns of the history")
    at_most(np.diff(history.iteration), 1e300, 0.0, "iterations of the history are finite")
    at_most(0.0, np.diff(history.passes), 0.0, "0 and the increase of the passes")


def states_are_consistent(subject: Trial, case: Case) -> None:
    """Of every state z = X w, the gradient is that at w, and passes over X are counted."""
    problem = draw_problem(subject, case)
    passes = 0.0
    for state in islice(iterate(problem, subject.solver), STEPS):
        case.inputs["w"] = state.w
        same(state.w.shape, problem.w_shape, "shape of w")
        z = problem.X @ state.w
        size = np.abs(problem.X) @ np.abs(state.w) + np.abs(problem.datafit.y)
        close(state.z, z, rounding(problem.X.size, size.max()), "state.z and X w")
        if state.gradient is not None:
            slack = rounding(problem.X.size, np.abs(problem.X).max() * size.max())
            close(state.gradient, problem.gradient(state.w), slack, "state.gradient and the gradient at w")
        at_most(passes, state.passes, 0.0, "the passes before, and of this state")
        passes = state.passes
    at_most(0.5, passes, 0.0, f"half a pass over X, and the passes of {STEPS} states")


def states_are_not_modified(subject: Trial, case: Case) -> None:
    """A step leaves the state before it, w0, X and y alone."""
    problem = draw_problem(subject, case)
    w0 = problem.feasible(np.random.default_rng(0).standard_normal(problem.w_shape))
    given, data = w0.copy(), (problem.X.copy(), problem.datafit.y.copy())
    kept = []
    for state in islice(iterate(problem, subject.solver, w0), STEPS):
        kept.append((state, state.w.copy(), state.z.copy()))
    for number, (state, w, z) in enumerate(kept):
        same(state.w, w, f"w of state {number} when it was made, and after the steps that followed")
        same(state.z, z, f"z of state {number} when it was made, and after the steps that followed")
    same(w0, given, "w0 before and after")
    same(problem.X, data[0], "X before and after")
    same(problem.datafit.y, data[1], "y before and after")


def runs_are_repeatable(subject: Trial, case: Case) -> None:
    """Two runs from the same start have the same iterates, bit for bit."""
    problem = draw_problem(subject, case)
    made = [Problem(problem.X.copy(), problem.datafit, problem.penalty) for _ in range(2)]  # nothing kept of X
    runs = [np.stack([s.w for s in islice(iterate(each, subject.solver), STEPS)]) for each in made]
    same(runs[0], runs[1], "iterates of one run, and of another")


def solutions_stay(subject: Trial, case: Case) -> None:
    """Started at a solution of a convex problem, the iterates stay where the objective is minimal."""
    problem = draw_problem(subject, case, CONVEX)
    found = solve(problem, tol=1e-12, throw=False).w
    primal, dual = primal_and_dual(problem, found)
    slack = 1e-6 * abs(primal) + rounding(problem.X.size, primal)
    for number, state in enumerate(islice(iterate(problem, subject.solver, found), STEPS)):
        case.inputs["w"] = state.w
        reached = primal_and_dual(problem, state.w)[0]
        at_most(reached, dual, slack, f"objective of iterate {number} from a solution, and the dual value")


def sets_are_kept(subject: Trial, case: Case) -> None:
    """Every iterate is in the set."""
    problem = draw_problem(subject, case, SETS)
    chosen = problem.penalty.groups
    for number, state in enumerate(islice(iterate(problem, subject.solver), STEPS)):
        case.inputs["w"] = state.w
        same(float(problem.penalty.value(state.w)), 0.0, f"indicator of the set at iterate {number} of {chosen!r}")


def convergence_is_true(subject: Trial, case: Case) -> None:
    """CONVERGED on nonconvex problems means: no group violates stationarity by more than the tolerance."""
    problem = draw_problem(subject, case, NONCONVEX)
    result = solve(problem, subject.solver, tol=1e-6, max_iter=LIMIT, throw=False)
    case.inputs["w"] = result.w
    if result.status is Status.UNSTABLE:
        return  # the solver says itself that its parameters allow divergence
    true(result.status is Status.CONVERGED, f"status is CONVERGED: it is {result.status.name}")
    violation = np.asarray(problem.penalty.violation(result.w, problem.gradient(result.w)))
    scale = float(problem.penalty.groups.norms(problem.gradient_at_zero).max())
    at_most(violation, 1e-6 * scale, rounding(problem.X.size, scale), "violation of each group, and tol * its scale")


def scaling_is_covariant(subject: Trial, case: Case) -> None:
    """y and lam times 4 give the objective times 16."""
    problem = draw_problem(subject, case, CONVEX)
    scaled = Problem(problem.X, LeastSquares(4 * problem.datafit.y), problem.penalty.with_lam(4 * problem.penalty.lam))
    values = [solve(each, subject.solver, tol=TOL, max_iter=LIMIT, throw=False).objective for each in (problem, scaled)]
    slack = 4 * 16 * TOL * max(abs(values[0]), problem.objective(np.zeros(problem.w_shape)))
    close(values[1], 16 * values[0], slack, "objective with y and lam times 4, and 16 times the objective")


def dual_is_rescaled(subject: Trial, case: Case) -> None:
    """Scaled multipliers u follow rho: rho+ u+ = rho (u + x+ - w+), whatever rho+ is."""
    problem = draw_problem(subject, case)
    states = list(islice(iterate(problem, subject.solver), STEPS))
    for old, new in pairwise(states):
        case.inputs |= {"rho": old.rho, "next rho": new.rho}
        expected = old.rho * (old.multiplier + new.x - new.w)
        slack = rounding(len(expected), old.rho * (np.abs(old.multiplier) + np.abs(new.x) + np.abs(new.w)).max())
        close(new.rho * new.multiplier, expected, slack, "rho+ u+ and rho (u + x+ - w+)")


def _needs(kind: str) -> Callable[[Trial], str]:
    def reason(subject: Trial) -> str:
        treated = any(name.startswith(kind) for name in subject.kinds)
        return "" if treated else f"the solver does not treat the {kind}"

    return reason


def _starts_there(subject: Trial) -> str:
    state = next(iterate(next(iter(subject.kinds.values()))(np.random.default_rng(0)), subject.solver))
    return "its states have factors of w, which have to balance first" if hasattr(state, "factored") else ""


def _both(*reasons: Callable[[Trial], str]) -> Callable[[Trial], str]:
    return lambda subject: next(filter(None, (reason(subject) for reason in reasons)), "")


def _multipliers(subject: Trial) -> str:
    problem = next(iter(subject.kinds.values()))(np.random.default_rng(0))
    state = next(iterate(problem, subject.solver))
    missing = [name for name in ("multiplier", "rho", "x") if not hasattr(state, name)]
    return f"its states have no {' and no '.join(missing)}" if missing else ""


PROPERTIES = [
    Property("convex problems are solved", convex_is_solved, _needs(CONVEX), costs=4),
    Property("what is reported is reached", report_is_true, costs=4),
    Property("states are consistent", states_are_consistent, costs=2),
    Property("states and data are not modified", states_are_not_modified, costs=2),
    Property("runs are repeatable", runs_are_repeatable, costs=4),
    Property("solutions are fixed points", solutions_stay, _both(_needs(CONVEX), _starts_there), costs=2),
    Property("iterates are in the set", sets_are_kept, _needs(SETS), costs=2),
    Property("convergence means stationarity", convergence_is_true, _needs(NONCONVEX), costs=4),
    Property("rescaled data have the rescaled solution", scaling_is_covariant, _needs(CONVEX), costs=8),
    Property("the dual is rescaled with rho", dual_is_rescaled, _multipliers, costs=2),
]
"""Properties of solvers."""
