"""Iteratively reweighted group LASSO, for concave radial penalties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .._array import positive_scalar
from ..deadline import deadline, seconds_until
from ..penalties import GroupLasso, GroupPenalty
from ..penalties import strength as at_strength
from ..penalties.scalar import ScalarPenalty
from ..problem import Problem
from ..solve import State, solve


@dataclass(frozen=True, kw_only=True)
class ReweightedState(State):
    """State of the reweighted group LASSO.

    slopes: [G], rho_g'(|w_g|), the strengths of the next convex problem.  objective: of the nonconvex problem at w.
    end: time, of time.perf_counter, at which the convex problems end.
    """

    slopes: np.ndarray = field(repr=False)
    objective: float
    end: float = np.inf


@dataclass(frozen=True)
class ReweightedGroupLasso:
    """w_{k+1} = argmin datafit(X w) + sum_g rho_g'(|w_k,g|) |w_g|: majorisation of concave penalties by their tangents.

    Radial penalties that are concave in the norm, such as GroupMCP, GroupSCAD, GroupLogSum, GroupLq; the objective
    never rises, and a fixed point is stationary.  Where the slope at 0 is infinite (GroupLq), a group at zero stays
    there; so start from a dense w0, e.g. a group LASSO solution.  Not for GroupL0, whose slope is 0.
    accuracy: relative duality gap of every convex problem, > 0; a step that does not lower the objective by rounding is
    refused and the old point kept.  time_limit: seconds of a run, in which its convex problems end too (`solve` sets
    it).
    Source: Candes, Wakin and Boyd, Enhancing sparsity by reweighted l1 minimization (2008), section 2.
    """

    accuracy: float = 1e-12
    time_limit: float | None = None

    check_every: ClassVar[int] = 1

    def __post_init__(self) -> None:
        positive_scalar(self.accuracy, "accuracy")

    def init(self, problem: Problem, w0: np.ndarray) -> ReweightedState:
        """State at w0 [p] or [p, T]; ValueError for penalties not concave in the norms, and where 0 would stay 0."""
        penalty = problem.penalty
        if not isinstance(penalty, GroupPenalty) or getattr(penalty, "positive", False) or not _concave(penalty.rho):
            raise ValueError(
                f"ReweightedGroupLasso needs a penalty concave in each norm, such as GroupLogSum or GroupMCP, "
                f"not {penalty!r}: use ProximalGradient()"
            )
        if not w0.any() and np.isinf(penalty.slope0[np.isfinite(penalty.strength)]).any():
            raise ValueError(
                f"under {penalty!r} every group that is 0 stays 0 here: give a dense w0, e.g. a group LASSO solution, "
                "or use GroupBCD()"
            )
        return self._state(problem, w0, problem.X @ w0, 1.0, deadline(self.time_limit))

    def step(self, problem: Problem, state: ReweightedState) -> ReweightedState:
        """Solve the group LASSO with the tangent slopes as strengths, from the last point."""
        groups = problem.penalty.groups
        convex = problem.with_penalty(GroupLasso(1.0, groups, weights=state.slopes))
        limit = seconds_until(state.end)
        result = solve(convex, tol=self.accuracy, w0=state.w, time_limit=limit, throw=False)
        passes = state.passes + result.passes
        found = self._state(problem, result.latent, problem.X @ result.latent, passes, state.end)
        lower = found.objective <= state.objective
        return found if lower else self._state(problem, state.w, state.z, passes, state.end)

    def _state(self, problem: Problem, w: np.ndarray, z: np.ndarray, passes: float, end: float) -> ReweightedState:
        penalty = problem.penalty
        slopes = np.asarray(at_strength.slope(penalty.rho, penalty.groups.norms(w), penalty.strength))
        objective = problem.datafit.value(z) + float(penalty.value(w))
        return ReweightedState(w=w, z=z, passes=passes, slopes=slopes, objective=objective, end=end)


def _concave(rho: ScalarPenalty) -> bool:
    """Whether the slopes fall on a grid, from a positive one next to 0 (an infinite one at 0 is allowed)."""
    slopes = np.asarray(rho.slope(np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 61)])))
    return bool(slopes[1] > 0 and slopes[0] >= slopes[1] and (np.diff(slopes[1:]) <= 1e-15 * slopes[1:-1]).all())
