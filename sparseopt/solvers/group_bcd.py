"""Group block coordinate descent: working sets, exact block updates, Anderson extrapolation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .._array import real_number
from ..datafits import Cox, LeastSquares, Multinomial, MultiResponse, Quadratic
from ..datafits.pointwise import Pointwise
from ..problem import Problem
from ..solve import State
from .block_penalty import scalar_part, separable
from .columns import as_least_squares
from .descent import GroupDescent

MOST_EXTRAPOLATED = 10
"""Iterates that the compiled loops can hold for an extrapolation (SO_ANDERSON)."""


@dataclass(frozen=True, kw_only=True)
class DescentState(State):
    """State of `GroupBCD` after a round.

    descent: the working arrays, carried from round to round; only the newest state can be stepped.
    """

    descent: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class GroupBCD:
    """Rounds of block coordinate descent on a working set of groups, then one pass over all of X.

    Every block is minimised exactly, in the eigenbasis of its curvature, by a one-dimensional Newton iteration on its
    norm; for nonconvex penalties the candidates {0, the largest stationary norm, a prox step} are compared by value, so
    the objective never rises.  Sweeps over the active groups are extrapolated (Anderson) under an objective guard.
    Losses other than least squares are treated by prox-Newton steps with a line search.

    Penalties: a scalar penalty of each group's norm, compiled or written in Python (any object with value, slope, prox
    and slope0, called from the compiled loops), GroupElasticNet, SparseGroupLasso and nonnegative coefficients, whose
    block problems are solved on the support by Newton's method.  Any other sum over groups (an object with groups,
    value, prox, violation and restrict) is treated more slowly, in Python, blocks by prox steps; so is everything where
    the compiled core was not built.  Penalties that couple the groups are left to FISTA and ProximalGradient.
    working_set: smallest number of groups a round adds.  anderson: iterates extrapolated, 0 to 10.  threads: for
    those passes over X that are long enough.  accuracy: relative gap that is wanted in the end, so that no round does
    much more (`solve` sets it, and time_limit).  Convex problems converge to the minimum, nonconvex ones to stationary
    points from which no zero group would leave 0 by a prox step of length 1 / L_g, L_g the bound of the largest
    curvature of its block: at such a point groups that are better off elsewhere leave first, and the run goes on
    (`leaps.py`).  For the scalar penalties of norms and `solve`, to rounding; where curvatures are not bounded
    (Poisson), L_g is the one at that point.  Nothing is promised about several groups that move together.
    Where 0 is always stationary (GroupL0, GroupLq) and no w0 is given, runs begin at the best group alone.
    """

    working_set: int = 128
    anderson: int = 5
    threads: int = 1
    accuracy: float | None = None
    time_limit: float | None = None

    check_every: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name, least, most in (
            ("working_set", 1, np.inf),
            ("anderson", 0, MOST_EXTRAPOLATED),
            ("threads", 1, np.inf),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
                upper = "" if most == np.inf else f" and at most {most}"
                raise ValueError(f"{name} is {value!r}: give an integer of at least {least}{upper}")
        for name in ("accuracy", "time_limit"):
            value = getattr(self, name)
            if value is not None and not real_number(value) >= 0:
                raise ValueError(f"{name} is {value!r}: give a number >= 0, or None for that of the run")
            object.__setattr__(self, name, None if value is None else float(value))  # what the compiled loops take

    @staticmethod
    def treats(problem: Problem) -> bool:
        """Whether the loss and the penalty of the problem have a block descent."""
        return why_not(problem) is None

    @staticmethod
    def suits(problem: Problem) -> bool:
        """Whether it is the default: it treats the problem, and the penalty is one of norms.

        Other blocks are lowered by prox steps one at a time, which costs more than FISTA, where all move together.
        """
        return why_not(problem) is None and scalar_part(problem.penalty) is not None

    def start(self, problem: Problem) -> np.ndarray:
        """Where to begin when nothing is known, [p] or [p, T]: 0, or `first_groups` where that is always stationary."""
        from .first_group import everything_stays, first_groups

        if not (self.treats(problem) and everything_stays(problem.penalty)):
            return np.zeros(problem.w_shape)
        return first_groups(problem, self)

    def init(self, problem: Problem, w0: np.ndarray) -> DescentState:
        """State at w0 [p] or [p, T]; ValueError when the loss or the penalty has no block descent."""
        reason = why_not(problem)
        if reason is not None:
            raise ValueError(
                f"GroupBCD cannot treat this problem: {reason}; use FISTA() (convex) or ProximalGradient()"
            )
        return _state(problem, GroupDescent(as_least_squares(problem), w0, self))

    def step(self, problem: Problem, state: DescentState) -> DescentState:
        """One round: choose the working set, descend on it, pass over X."""
        state.descent.round()
        return _state(problem, state.descent)


def _state(problem: Problem, run: GroupDescent) -> DescentState:
    of_quadratic = isinstance(problem.datafit, Quadratic)
    return DescentState(
        w=run.w,
        z=run.w if of_quadratic else run.seen_z,
        passes=run.passes,
        gradient=run.gradient,
        gap=None if of_quadratic else run.gap,
        measures=None if of_quadratic else run.measures,
        descent=run,
    )


def why_not(problem: Problem) -> str | None:
    """The sentence on why block descent cannot treat a problem, or None where it can."""
    penalty, datafit = problem.penalty, problem.datafit
    if scalar_part(penalty) is None and not separable(penalty):
        return f"{penalty!r} is not a sum over groups that it can be restricted to (groups, value, prox and restrict)"
    if not isinstance(datafit, LeastSquares | Quadratic | MultiResponse | Pointwise | Multinomial | Cox):
        return f"{type(datafit).__name__} has no block descent"
    if isinstance(datafit, Quadratic) and not datafit.bounded:
        return "the quadratic is not bounded below"
    return None
