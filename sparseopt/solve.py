"""The only loop over iterations: `iterate` yields every state of a solver, `solve` adds the stopping test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np

from ._array import checked_seconds, checked_tolerance, described
from .advice import advice_on
from .deadline import deadline, seconds_until
from .finer_fit import cancels
from .penalties import GroupPenalty
from .problem import Problem, checked_problem
from .range import confirmed_gap, loss_at_zero, objective_scale, rounding_may_decide, trusted
from .recentred import recentred
from .result import History, NotConverged, Result, Status, result_of

CHECK_EVERY = 10
"""Iterations between two stopping tests."""

MAX_ITER = 100_000
"""Iterations allowed where the caller sets no limit."""

GRACE = 0.5
"""Seconds after the time limit in which what makes the work so far count, a pass over X or a measurement, is ended."""

STALL_CHECKS = 200
"""Stopping tests in a row without a better gap (violation) or objective after which a run counts as stalled."""


@dataclass(frozen=True)
class Measures:
    """What the stopping test wants of an iterate: its objective, violation and number of groups that are not zero."""

    objective: float
    violation: float
    n_active: int


@dataclass(frozen=True, kw_only=True)
class State:
    """One iterate of a solver.  Solvers subclass it for what else they carry.

    w: [p] or [p, T], the iterate.  z: [n] or [n, T] = X w.  passes: columns of X read so far / p.
    gradient: as w, of the datafit at w, where the solver knows it; None costs the stopping test a pass over X.
    gap: `Problem.gap_from` of these, where the solver knows it.  measures: of these, where the solver knows them.
    history: the class of Result.history, a `History` with a field for each attribute that is recorded besides.
    """

    history: ClassVar[type[History]]

    w: np.ndarray
    z: np.ndarray
    passes: float
    gradient: np.ndarray | None = None
    gap: float | None = None
    measures: Measures | None = None


class Solver(Protocol):
    """An algorithm: a first state, and the step from one state to the next.

    Optional: check_every, iterations between two stopping tests.  starts_outside, whether w0 is taken as it is where
    the penalty is that of a set, and not projected onto it.  start(problem), where to begin when no w0 is given,
    instead of 0.  violation(problem, state, gradient), the measure of stationarity where it is not `problem.violation`,
    units of the gradient.  caution(problem), None or one sentence on parameters that allow divergence, with the number
    to use instead; the status is then UNSTABLE.
    """

    def init(self, problem: Problem, w0: np.ndarray) -> Any:
        """First state, at w0 [p].  Raises ValueError when the solver cannot treat the problem."""

    def step(self, problem: Problem, state: Any) -> Any:
        """Next state; the old one is not modified."""


State.history = History


def iterate(problem: Problem, solver: Solver | None = None, w0: Any = None) -> Iterator[Any]:
    """Yield the states of `solver`, endlessly, the first one at w0 [p] (default 0), or at its projection onto a set.

    Stop by breaking out of the loop.  Raises ValueError when the solver cannot treat the problem.
    """
    treated, shift = recentred(checked_problem(problem))
    for state in _states(treated, solver, w0):
        yield _of_given_columns(state, shift)


def _states(problem: Problem, solver: Solver | None, w0: Any) -> Iterator[Any]:
    """`iterate` for a problem whose columns are not far from 0."""
    solver = _checked_solver(problem, solver)
    if w0 is None:
        start = solver.start(problem) if hasattr(solver, "start") else np.zeros(problem.w_shape)
    else:
        start = problem.check_coefficients(w0, "w0").copy()
    with np.errstate(over="ignore", invalid="ignore"):
        state = solver.init(problem, start if getattr(solver, "starts_outside", False) else problem.feasible(start))
    while True:
        yield state
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging iterate is reported as a status
            state = solver.step(problem, state)


def _of_given_columns(state: Any, shift: np.ndarray) -> Any:
    """The state with z = X w for the columns as they were given, if `shift` [p] was taken off them."""
    return replace(state, z=state.z + shift @ state.w) if shift.any() else state


def solve(
    problem: Problem,
    solver: Solver | None = None,
    *,
    tol: float = 1e-6,
    w0: Any = None,
    max_iter: int | None = None,
    time_limit: float | None = None,
    callback: Callable[[Any], object] | None = None,
    verbose: bool = False,
    throw: bool = True,
) -> Result:
    """Minimise the objective of `problem`, from w0 [p] (default 0, or what the solver knows), to accuracy `tol`.

    solver: default GroupBCD where it treats the problem, else FISTA for convex problems and ProximalGradient for
    others.  Convex problems stop when the relative duality gap is at most tol: the objective is then within tol * scale
    of the minimum.  Nonconvex ones stop when the violation of stationarity is at most tol times the violation scale
    max_g |gradient_g(0)|: a stationary point (`GroupBCD` promises more).  max_iter: steps of the solver, those
    of GroupBCD being rounds of many sweeps; default 100000.  time_limit: seconds.  callback: called with every state;
    returning True stops nothing, raising passes through.  verbose: a progress bar (needs tqdm).  Parameters of the
    solver that allow divergence give the status UNSTABLE, also where the stopping test is met, which then raises
    nothing; Result.advice has the number to use.

    Raises NotConverged, which carries the result, unless throw=False; ValueError for bad arguments.
    """
    limit = _positive_integer(max_iter, "max_iter", MAX_ITER)
    tol, end = checked_tolerance(tol), deadline(checked_seconds(time_limit))
    problem, shift = recentred(checked_problem(problem))
    passes = 1.0  # that which found that X is finite
    if solver is w0 is max_iter is callback is None and not verbose and not shift.any():
        result, begun = _solved_at_once(problem, tol, end)
        if result is not None:
            return result
        if begun is not None:
            w0, passes = begun.latent, begun.passes
    monitor = _Monitor(problem, tol, seconds_until(end), passes)
    status = Status.MAX_ITER
    solver = _tuned(_checked_solver(problem, solver), monitor.tol, monitor.time_limit)
    monitor.follow(solver)
    every = getattr(solver, "check_every", CHECK_EVERY)
    for n_iter, state in enumerate(_with_progress(_states(problem, solver, w0), verbose)):
        if callback is not None:
            callback(_of_given_columns(state, shift))
        due = n_iter % every == 0 or n_iter == limit or monitor.out_of_time()
        found = monitor.check(n_iter, state) if due else None
        if found is not None or n_iter == limit:
            status = found or Status.MAX_ITER
            break
    result = monitor.result(status, shift)
    if throw and status is not Status.CONVERGED:  # also of an unstable solver the test may be met
        raise NotConverged(result)
    return result


def _solved_at_once(problem: Problem, tol: float, end: float) -> tuple[Result | None, Result | None]:
    """The solution of a problem of some size, without a state for every round; or where it was given up, or neither."""
    from .solvers.descent_path import DescentPath

    if not DescentPath.treats(problem, several=False):
        return None, None
    path = DescentPath(problem, tol, several=False)
    result = next(path.solutions(np.array([problem.penalty.lam]), seconds_until(end)), None)
    begun = path.given_up
    if begun is None or not np.isfinite(begun.latent).all():
        return result, None
    return result, begun if problem.objective(begun.latent) < loss_at_zero(problem) else None


class _Monitor:
    """Measures states, remembers the best one and decides when a run ends."""

    def __init__(self, problem: Problem, tol: float, time_limit: float | None, passes: float) -> None:
        self.problem, self.tol, self.time_limit = problem, tol, time_limit
        loss = loss_at_zero(problem)
        self.doubtful = problem.convex and rounding_may_decide(problem, tol)
        self.start = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            of_norms = isinstance(problem.penalty, GroupPenalty)  # and so 0 at 0
            penalty = 0.0 if of_norms else float(problem.penalty.value(np.zeros(problem.w_shape)))
            self.at_zero = loss + (penalty if penalty < np.inf else 0.0)  # 0 is not in every set
            norms = None if problem.convex else problem.penalty.groups.norms(problem.gradient_at_zero)
            self.violation_scale = 0.0 if norms is None else float(norms.max())  # of runs that do not end by the gap
        self.rows: list[tuple[float, ...]] = []
        self.extras: list[tuple[float, ...]] = []
        self.best: tuple[float, Any, tuple[float, ...]] | None = None
        self.lowest, self.since_progress, self.own_passes = np.inf, 0, passes

    def follow(self, solver: Any) -> None:
        """Take over how the solver measures stationarity and what it says of its parameters, where it does."""
        self.measured_by = getattr(solver, "violation", None)
        caution = getattr(solver, "caution", lambda problem: None)
        self.caution: str | None = caution(self.problem)

    def out_of_time(self) -> bool:
        """Whether the time limit has passed."""
        return self.time_limit is not None and time.perf_counter() - self.start > self.time_limit

    def _late(self) -> bool:
        """Whether it has passed by more than the last measurement is given."""
        return self.time_limit is not None and time.perf_counter() - self.start > self.time_limit + GRACE

    def check(self, n_iter: int, state: Any) -> Status | None:
        """Measure `state`; the status if the run is over, else None."""
        with np.errstate(all="ignore"):
            row = self._measure(n_iter, state)
        if row is None:
            return Status.NONFINITE
        self.rows.append(row)
        self.extras.append(tuple(float(getattr(state, name)) for name in _extra_names(state.history)))
        objective, merit = row[1], row[2] if self.problem.convex else row[3] / (self.violation_scale or 1.0)
        if self.problem.convex and (self.doubtful or cancels(self.problem, state.w, state.z)):
            merit = confirmed_gap(self.problem, state.w, merit, self.tol, objective_scale(objective, self.at_zero))
            self.rows[-1] = row = (*row[:2], merit, *row[3:])
        best = np.inf if self.best is None else self.best[0]
        tied = merit == best or not min(merit, best) < np.inf  # no dual point is better than 0, or is known
        better = merit < best or (tied and objective < self.lowest)
        self.since_progress = 0 if better or objective < self.lowest else self.since_progress + 1
        self.lowest = min(self.lowest, objective)
        if better:
            self.best = (merit, state, row)
        if merit <= self.tol:
            return Status.CONVERGED
        if self.out_of_time():
            return Status.TIME_LIMIT
        return Status.STALLED if self.since_progress >= STALL_CHECKS else None

    def _measure(self, n_iter: int, state: Any) -> tuple[float, ...] | None:
        problem = self.problem
        gradient = state.gradient
        if gradient is None:
            gradient = problem.transposed_product(problem.datafit.gradient(state.z))
            self.own_passes += 1
        if not (np.isfinite(gradient).all() and np.isfinite(state.w).all()):
            return None
        known = state.measures or self._measures(state, gradient)
        objective = known.objective
        if not np.isfinite(objective):
            return None
        gap = np.nan
        if problem.convex:
            gap = problem.gap_from(state.w, state.z, gradient, self._late) if state.gap is None else state.gap
            gap = trusted(gap / objective_scale(objective, self.at_zero), self.tol)
        passes, seconds = state.passes + self.own_passes, time.perf_counter() - self.start
        return n_iter, objective, gap, known.violation, seconds, passes, known.n_active

    def _measures(self, state: Any, gradient: np.ndarray) -> Measures:
        penalty = self.problem.penalty
        objective = self.problem.datafit.value(state.z) + float(penalty.value(state.w))
        if self.measured_by is None:
            violation = self.problem.violation_from(state.w, gradient)
        else:
            violation = float(self.measured_by(self.problem, state, gradient))
        return Measures(objective, violation, len(penalty.groups.active(state.w)))

    def result(self, status: Status, shift: np.ndarray) -> Result:
        """The best state seen, with the history; shift: what was taken off the columns [p]."""
        if self.best is None:
            raise ValueError(
                "the starting point gives a NaN or infinite objective: rescale the data, or choose another w0"
            )
        _, state, row = self.best
        latent, datafit = np.array(state.w), self.problem.datafit
        seen = [row + extra for row, extra in zip(self.rows, self.extras, strict=True)]
        if self.caution is not None and status is not Status.NONFINITE:
            status = Status.UNSTABLE
        stuck = status in (Status.STALLED, Status.MAX_ITER, Status.TIME_LIMIT)
        said = advice_on(self.problem, latent, state.z, self.tol, self._late) if stuck else None
        return result_of(
            self.problem,
            latent,
            datafit.intercept(state.z) - (shift @ latent if datafit.fit_intercept else 0.0),
            seen,
            reached=row,
            status=status,
            history=type(state).history,
            advice="; ".join(sentence for sentence in (status.advice, self.caution, said) if sentence),
        )


@cache
def _extra_names(history: Any) -> list[str]:
    """The attributes of a state that a class of histories has besides the common ones."""
    return [f.name for f in fields(history)][len(fields(History)) :]


def _default_solver(problem: Problem) -> Solver:
    from .solvers import FISTA, GroupBCD, ProximalGradient

    if GroupBCD.suits(problem):
        return GroupBCD()
    return FISTA() if problem.convex else ProximalGradient()


def _checked_solver(problem: Problem, solver: Any) -> Solver:
    """The solver, by default the one for the problem; ValueError unless it is an instance with `init` and `step`."""
    if solver is None:
        return _default_solver(problem)
    if isinstance(solver, type) or not all(callable(getattr(solver, name, None)) for name in ("init", "step")):
        raise ValueError(f"solver is {described(solver)}: give an instance, e.g. sparseopt.solvers.FISTA(), or None")
    return solver


def _tuned(solver: Any, tol: float, time_limit: float | None) -> Any:
    """The solver with the accuracy and the time limit of this run, where it has such fields and they are not set."""
    wanted = {"accuracy": tol, "time_limit": time_limit}
    unset = {name: value for name, value in wanted.items() if getattr(solver, name, ...) is None}
    return replace(solver, **unset) if unset else solver


def _with_progress(states: Iterator[Any], verbose: bool) -> Iterator[Any]:
    if not verbose:
        return states
    from tqdm import tqdm

    return iter(tqdm(states, unit=" iterations"))


def _positive_integer(value: Any, name: str, default: int) -> int:
    value = default if value is None else value
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise ValueError(f"{name} is {value!r}: give a positive integer")
