"""What a run returns: how it ended, what was seen on the way, and the coefficients."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from .problem import Problem


class Status(Enum):
    """How a run ended; `.advice` is one sentence on what to do."""

    CONVERGED = "the stopping test is met"
    MAX_ITER = "the iteration limit was reached: raise max_iter, loosen tol, or start from a better w0"
    TIME_LIMIT = "the time limit was reached: raise time_limit, loosen tol, or start from a better w0"
    STALLED = (
        "no progress at floating-point precision: tol is below what this problem's conditioning allows; "
        "loosen it, or rescale the columns of X"
    )
    NONFINITE = "an iterate became NaN or infinite: use the solver's default step, and rescale the columns of X"
    UNSTABLE = "the solver's parameters allow divergence: use the values it reports"

    @property
    def advice(self) -> str:
        """One sentence on what happened and what to do."""
        return self.value


CONVERGED = Status.CONVERGED.advice


@dataclass(frozen=True)
class History:
    """Arrays [number of stopping tests]: what was seen at each of them.

    iteration; objective; gap (relative; NaN for nonconvex problems); violation; seconds since the start; passes;
    n_active, the number of groups that are not zero.
    """

    iteration: np.ndarray
    objective: np.ndarray
    gap: np.ndarray
    violation: np.ndarray
    seconds: np.ndarray
    passes: np.ndarray
    n_active: np.ndarray


@dataclass(frozen=True)
class Result:
    """What `solve` returns.

    w: [p] or [p, T].  intercept: number or [T].  status: Status.  gap: duality gap / max(|P(w)|, |P(w) - P(0)|), NaN
    for nonconvex problems.  violation: distance to stationarity, units of the gradient.  objective: P(w).
    n_iter: iterations.  passes: columns of X read / p.  lam: strength of the penalty.
    latent: w itself; for overlapping groups the latent coefficients, with which `Problem` and `certify` work, while w
    is [n_columns], one coefficient for each column of X as given.
    advice: one sentence on the status; for UNSTABLE with the numbers to use instead.  seen: of the history, as rows.
    """

    w: np.ndarray
    intercept: Any
    status: Status
    gap: float
    violation: float
    objective: float
    n_iter: int
    passes: float
    lam: float
    seen: tuple[Any, list[tuple[float, ...]]] = field(repr=False)
    latent: np.ndarray = field(repr=False)
    advice: str = field(repr=False)

    @cached_property
    def history(self) -> Any:
        """What was seen at each stopping test: a `History`, or one of the solver's own that adds columns."""
        kind, rows = self.seen
        return kind(*map(np.array, zip(*rows, strict=True)))


def result_of(
    problem: Problem,
    latent: np.ndarray,
    intercept: Any,
    rows: list[tuple[float, ...]],
    *,
    reached: tuple[float, ...] | None = None,
    status: Status = Status.CONVERGED,
    history: Any = History,
    advice: str = CONVERGED,
    lam: float | None = None,
) -> Result:
    """The result of a run that ended at `latent` [p] or [p, T], which it keeps.

    rows: of the history, one for each stopping test.  reached: that of `latent`, default the last.  lam: default that
    of the problem.
    """
    last = rows[-1]
    _, objective, gap, violation, *_ = reached or last
    result = object.__new__(Result)  # a frozen class sets each field in its own call, which short paths would feel
    result.__dict__.update(
        w=problem.collapse(latent),
        intercept=intercept,
        status=status,
        gap=float(gap),
        violation=violation,
        objective=objective,
        n_iter=int(last[0]),
        passes=float(last[5]),
        lam=problem.penalty.lam if lam is None else lam,
        seen=(history, rows),
        latent=latent,
        advice=advice,
    )
    return result


class NotConverged(RuntimeError):
    """Raised by `solve` when the stopping test is not met; `.result` holds what was reached."""

    def __init__(self, result: Result) -> None:
        self.result = result
        reached = f"gap {result.gap:.1e}, violation {result.violation:.1e} after {result.n_iter} iterations"
        super().__init__(f"{result.status.name}: {result.advice} ({reached}); throw=False returns the result")

    def __reduce__(self) -> tuple[Any, ...]:
        return NotConverged, (self.result,)
