"""The smallest strength of the penalty at which the solution is zero, and the path of solutions below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ._array import as_float, checked_seconds, checked_tolerance, real_number
from .datafits import Datafit
from .deadline import deadline, past, seconds_until
from .problem import Problem, checked_problem
from .range import overflow_at_zero
from .recentred import recentred
from .result import NotConverged, Result, Status
from .solution_path import Path, PathNotConverged, deviance_explained
from .solve import solve
from .standardise import GroupStandardisation
from .unpenalised import beyond_rounding, movable, refit, unpenalised_columns

FIT_TOLERANCE = 1e-12
"""Relative gap to which groups with a ridge alone are fitted; unpenalised ones are fitted to rounding."""

LATE = (
    "the time limit was over before the unpenalised groups were fitted, from which lambda_max follows: raise "
    "time_limit, or give lams"
)
"""What is said where no strength is known in time."""


class AnyStrength(ValueError):
    """Every strength has the same solution, so that none is critical."""


def lambda_max(problem: Problem) -> float:
    """Smallest lam for which w = 0 is stationary: max_g |gradient_g(0)| / (weights[g] * rho'(0+)) for radial penalties.

    In general the `critical_lam` of the penalty at -gradient(0); for SparseGroupLasso a root per group.
    Unpenalised groups are fitted first, alone, and lambda_max is the smallest lam at which all other groups stay 0.
    For convex penalties that is the solution exactly for lam >= lambda_max (ledger D2, A11); the lam of the problem's
    penalty plays no role.  Relative error of order n eps; 1e-6 where unpenalised groups are fitted under a ridge or
    with w >= 0.

    Raises ValueError when the gradient vanishes (0 is a solution for every lam, so there is no path) or overflows, when
    rho'(0+) is 0 or infinite (no lam is special then), and when unpenalised groups fit y exactly.
    """
    return _critical(problem, np.inf)


def _critical(problem: Problem, end: float) -> float:
    """`lambda_max`, with the time at which the fit of unpenalised groups is given up."""
    problem, _ = recentred(checked_problem(problem))
    penalty = problem.penalty
    if len(getattr(penalty, "unpenalised", ())) == penalty.groups.n_groups and not hasattr(penalty, "conjugate"):
        raise AnyStrength(
            "every group has weight 0, so no lam changes the solution: give one a weight > 0, or use solve"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = _gradient_of_null_model(problem, end)
    if not np.isfinite(gradient).all():
        raise ValueError(overflow_at_zero(problem))
    if not (penalty.groups.norms(gradient) > 0).any():
        raise AnyStrength(
            "the gradient at 0 vanishes, so 0 solves the problem for every lam: check y, offset and X, "
            "whose columns may all be combinations of unpenalised ones"
        )
    if not hasattr(penalty, "critical_lam"):
        raise ValueError(f"{type(penalty).__name__} has no critical_lam, so no lam is known to be special: choose lam")
    lam = penalty.critical_lam(-gradient)
    if lam == 0:
        raise AnyStrength(
            "0 solves the problem for every lam, so there is no path: every group with a gradient at 0 is forced out "
            "(check the weights), or would become negative where only nonnegative coefficients are allowed"
        )
    return lam


def _gradient_of_null_model(problem: Problem, end: float) -> np.ndarray:
    """Gradient [p] where all but the unpenalised groups are 0 and those are fitted; 0 on the latter."""
    penalty = problem.penalty
    chosen, columns = unpenalised_columns(problem.X, penalty)
    if len(chosen) == 0:
        return problem.gradient_at_zero.copy()
    at_zero = np.zeros((len(chosen), *problem.w_shape[1:]))
    if hasattr(penalty, "conjugate") or not movable(problem.datafit, penalty, at_zero).all():
        # a ridge or w >= 0 acts on these groups
        null = Problem(columns, problem.datafit, penalty.restrict(penalty.unpenalised))
        z = columns @ _fitted_in_time(null, end)
    else:
        z = _exact_fit(problem.datafit, columns, end)
    force = problem.datafit.gradient(z)
    gradient = problem.X.T @ force
    gradient[chosen] = 0.0
    return beyond_rounding(gradient, problem.X, force)


def _fitted_in_time(null: Problem, end: float) -> np.ndarray:
    """Coefficients of the null model, whose unpenalised groups have a ridge or have to be nonnegative."""
    from .solvers import FISTA

    solver = FISTA() if hasattr(null.penalty, "conjugate") else None
    result = solve(null, solver, tol=FIT_TOLERANCE, time_limit=seconds_until(end), throw=False)
    if result.status is Status.TIME_LIMIT:
        raise ValueError(LATE)
    if result.status is not Status.CONVERGED:
        raise NotConverged(result)
    return result.w


def _exact_fit(datafit: Datafit, columns: np.ndarray, end: float) -> np.ndarray:
    """z [n] or [n, T] of the fit of these columns [n, k] alone; ValueError where it is exact, or there is none."""
    shape = columns.shape[:1] if datafit.n_outputs is None else (len(columns), datafit.n_outputs)
    z, fitted = refit(datafit, columns, np.zeros(shape), past(end))
    left, start = (np.abs(datafit.gradient(at)).max() for at in (z, np.zeros(shape)))
    if not fitted and past(end)():
        raise ValueError(LATE)
    if not fitted or left <= 64 * len(z) * np.finfo(float).eps * start:
        raise ValueError(
            "the unpenalised groups alone fit y exactly, or have no finite fit (separable data): penalise them too"
        )
    return z


def solve_path(
    problem: Problem,
    n_lambdas: int = 100,
    ratio: float = 1e-2,
    *,
    tol: float = 1e-6,
    lams: Any = None,
    solver: Any = None,
    max_deviance: float | None = None,
    standardize: str | None = None,
    max_iter: int | None = None,
    time_limit: float | None = None,
    throw: bool = True,
) -> Path:
    """Solutions for decreasing lam, each started at the one before and solved to relative accuracy `tol`.

    lams: strengths > 0, solved in decreasing order; default `lambda_grid(problem, n_lambdas, ratio)`.
    max_deviance: in (0, 1], end the path after the first solution that explains this share of the deviance; default
    None, the whole path.  standardize: "group" solves in orthonormalised groups (`GroupStandardisation`) and maps the
    coefficients back.  solver, tol, max_iter: as for `solve`, for each lam.  time_limit: seconds for the
    whole path, lambda_max included; the strength at hand then ends with TIME_LIMIT, and the rest are `Path.unreached`.

    The working set starts with the groups active before, and what is known of X is kept, so a path costs little more
    than its last solutions.  Every Result has its own gap; nonconvex problems give points as one run does.
    Raises PathNotConverged, which names every lam that fell short and carries the path, unless throw=False;
    ValueError for bad arguments, and where no lambda_max is known (in time) and lams are not given.
    """
    if max_deviance is not None and not 0 < real_number(max_deviance) <= 1:
        raise ValueError(f"max_deviance is {max_deviance!r}: give a share of the deviance in (0, 1], or None")
    end = deadline(checked_seconds(time_limit))
    standardisation = _standardisation(standardize, checked_problem(problem))
    problem = problem if standardisation is None else standardisation.problem
    strengths = _grid(problem, n_lambdas, ratio, end) if lams is None else _checked_strengths(lams)
    options = {"solver": solver, "tol": checked_tolerance(tol), "max_iter": max_iter}
    solutions = _solutions(problem, strengths, end, max_deviance, options)
    results = list(_until_explained(problem, solutions, max_deviance))
    if standardisation is not None:
        results = [standardisation.back(result) for result in results]
    finished = len(results) == len(strengths) or results[-1].status is not Status.TIME_LIMIT
    path = Path(problem, tuple(results), () if finished else tuple(strengths[len(results) :]))
    if throw and path.short:
        raise PathNotConverged(path)
    return path


def lambda_grid(
    problem: Problem, n_lambdas: int = 100, ratio: float = 1e-2, standardize: str | None = None
) -> np.ndarray:
    """lambda_max(problem) * ratio^(k / (n_lambdas - 1)) for k = 0, ..., n_lambdas - 1.

    n_lambdas: integer >= 1.  ratio: in (0, 1).  standardize: as for `solve_path`.
    Raises ValueError for others, and where `lambda_max` does.
    """
    standardisation = _standardisation(standardize, problem)
    return _grid(problem if standardisation is None else standardisation.problem, n_lambdas, ratio, np.inf)


def _grid(problem: Problem, n_lambdas: Any, ratio: Any, end: float) -> np.ndarray:
    """`lambda_grid` without standardisation, with the time at which the fit of unpenalised groups is given up."""
    if not isinstance(n_lambdas, int | np.integer) or n_lambdas < 1:
        raise ValueError(f"n_lambdas is {n_lambdas!r}: give an integer >= 1")
    if not 0 < real_number(ratio) < 1:
        raise ValueError(f"ratio is {ratio!r}: it is the smallest lam relative to lambda_max, between 0 and 1")
    return _critical(problem, end) * np.geomspace(1.0, ratio, int(n_lambdas))


def _checked_strengths(lams: Iterable[float]) -> np.ndarray:
    listed = list(lams) if isinstance(lams, Iterable) and not isinstance(lams, np.ndarray) else lams
    values = as_float(listed, "lams", ndim=1).astype(np.float64)
    if (values <= 0).any():
        raise ValueError(f"lams has the entry {values.min():g}: every strength must be positive")
    return np.sort(values)[::-1]


def _standardisation(standardize: str | None, problem: Problem) -> GroupStandardisation | None:
    if standardize not in (None, "group"):
        raise ValueError(f'standardize is {standardize!r}: allowed are None and "group"')
    return None if standardize is None else GroupStandardisation(problem)


def _solutions(
    problem: Problem,
    strengths: np.ndarray,
    end: float,
    max_deviance: float | None,
    options: dict[str, Any],
) -> Iterator[Result]:
    """Solutions along decreasing strengths, until the time `end`; they may end where max_deviance is explained."""
    _learn_shared(problem, options["solver"])
    before: Result | None = None
    known = _in_one_run(problem, strengths, options, end, max_deviance)
    for lam in strengths:
        result = next(known, None)
        if result is None:
            w0 = before.latent if before is not None and before.latent.any() else None
            at_lam = problem.with_lam(float(lam))
            result = solve(at_lam, w0=w0, time_limit=seconds_until(end), throw=False, **options)
        before = result
        yield result
        if result.status is Status.TIME_LIMIT:
            return


def _in_one_run(
    problem: Problem,
    strengths: np.ndarray,
    options: dict[str, Any],
    end: float,
    max_deviance: float | None,
) -> Iterator[Result | None]:
    """Solutions that share more than the data, where neither the solver nor its iterations are prescribed.

    From the Gram matrix where that pays, or by one run of block descent on small data; None where one fails, and they
    may end early.
    """
    from .solvers import GroupBCD
    from .solvers.descent_path import DescentPath
    from .solvers.gram_matrix import gram_pays
    from .solvers.gram_mode import GramPath

    tol = options["tol"]
    if options["solver"] is not None or options["max_iter"] is not None or not GroupBCD.suits(problem):
        return iter(())
    if gram_pays(problem, len(strengths), tol):
        return GramPath(problem, len(strengths), tol).solutions(strengths, seconds_until(end), max_deviance)
    if DescentPath.treats(problem, several=True):
        return DescentPath(problem, tol, several=True).solutions(strengths, seconds_until(end))
    return iter(())


def _learn_shared(problem: Problem, solver: Any) -> None:
    """What every problem of the path needs to know of the data, computed before they are derived from this one."""
    from .solvers import GroupBCD

    _ = problem.gradient_at_zero
    by_descent = isinstance(solver, GroupBCD) or (solver is None and GroupBCD.suits(problem))
    if problem.smooth and not by_descent:
        _ = problem.smoothness


def _until_explained(problem: Problem, results: Iterable[Result], share: float | None) -> Iterator[Result]:
    for result in results:
        yield result
        if share is not None and deviance_explained(problem, result.latent) >= share:
            return
