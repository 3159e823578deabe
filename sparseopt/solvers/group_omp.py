"""Group orthogonal matching pursuit: greedy selection of groups, the loss minimised over them after each choice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ..datafits import LeastSquares, MultiResponse, Quadratic
from ..deadline import deadline
from ..problem import Problem
from ..sets import TopGroups
from ..solve import State
from .iht import checked_set, on_mask

INDEPENDENT = 1e-10
"""Part of the squared norm of a group's columns that must be left beside the chosen ones for a direction to count."""


@dataclass(frozen=True, kw_only=True)
class OMPState(State):
    """State of GroupOMP; w minimises the loss over the chosen groups.

    chosen: indices of the groups, in the order in which they were chosen.  basis: the factorisation for quadratic
    losses, carried from step to step; only the newest state can be stepped.
    end: time, of time.perf_counter, at which a fit of other losses ends with what it has.
    """

    chosen: tuple[int, ...]
    basis: Any = field(default=None, repr=False)
    end: float = np.inf


@dataclass(frozen=True)
class GroupOMP:
    """Add the group with the largest gradient norm, then minimise the loss over all chosen groups; k times.

    For `TopGroups(k, groups)`, from w0 = 0 or from the groups of w0.  Least squares and quadratics keep a basis of the
    chosen columns that is orthonormal in the curvature, extended group by group: one pass over X for each group.  Other
    losses are refitted by Newton's method.  Then nothing moves any more.
    loss(w_{r+1}) - loss* <= (loss(w_r) - loss*) (1 - mu_{k+r} / (k L_1)) for the best w* with k groups, mu_s and L_s
    the extreme curvatures over s groups (ledger A13); the k true groups are found where blocks are orthonormal and
    their coherence is small (ledger D9).  Ties go to the lowest index.
    time_limit: seconds of a run, in which its fits end too (`solve` sets it).
    Source: Lozano, Swirszcz and Abe, Group orthogonal matching pursuit (2009).
    """

    time_limit: float | None = None

    check_every: ClassVar[int] = 1

    def init(self, problem: Problem, w0: np.ndarray) -> OMPState:
        """State with the groups of w0 [p] or [p, T]; ValueError for other sets than TopGroups."""
        groups = checked_top_groups(problem, "GroupOMP").groups
        chosen = tuple(int(g) for g in groups.active(w0))
        quadratic = type(problem.datafit) in (LeastSquares, MultiResponse, Quadratic)
        basis = Basis(problem) if quadratic else None
        w, z, end = w0, problem.X @ w0, deadline(self.time_limit)
        if chosen and basis is not None:
            for g in chosen:
                basis.add(g, problem)
            w, z = basis.solution()
        elif chosen:
            w, z = on_mask(problem, w, z, _mask(problem, chosen), end)
        return replace(self._state(problem, w, z, 1.0, chosen, basis), end=end)

    def step(self, problem: Problem, state: OMPState) -> OMPState:
        """One more group, unless there are k, or the gradient is 0 outside the chosen ones."""
        if len(state.chosen) >= problem.penalty.set.k:
            return state
        norms = problem.penalty.groups.norms(state.gradient)
        norms[list(state.chosen)] = -1.0
        best = int(np.argmax(norms))
        if not norms[best] > 0:
            return state
        chosen = (*state.chosen, best)
        if state.basis is None:
            w, z = on_mask(problem, state.w, state.z, _mask(problem, chosen), state.end)
        else:
            state.basis.add(best, problem)
            w, z = state.basis.solution()
        return replace(self._state(problem, w, z, state.passes + 1.0, chosen, state.basis), end=state.end)

    def _state(
        self, problem: Problem, w: np.ndarray, z: np.ndarray, passes: float, chosen: tuple[int, ...], basis: Any
    ) -> OMPState:
        gradient = problem.transposed_product(problem.datafit.gradient(z))
        return OMPState(w=w, z=z, passes=passes, gradient=gradient, chosen=chosen, basis=basis)


class Basis:
    """Columns of chosen groups and a basis of their span that is orthonormal in the curvature C of a quadratic loss.

    columns: [n, m].  basis: Q [n, r] with Q' C Q = I.  triangle: R [r, m] with columns = Q R (in the curvature).
    """

    def __init__(self, problem: Problem) -> None:
        self.datafit: Any = problem.datafit
        self.shape = problem.w_shape
        size = min(problem.n_features, 64)
        self.rows: list[np.ndarray] = []
        self.columns = np.empty((problem.X.shape[0], size), order="F")
        self.basis = np.empty((problem.X.shape[0], size), order="F")
        self.bent = np.empty((problem.X.shape[0], size), order="F")  # C Q
        self.triangle = np.zeros((size, size))
        self.m = self.r = 0
        self.start = -problem.datafit.gradient(np.zeros((problem.X.shape[0], *problem.w_shape[1:])))

    def add(self, g: int, problem: Problem) -> None:
        """Extend by the columns of group g."""
        rows = problem.penalty.groups.members(g)
        A = problem.X[:, rows]
        A = np.asarray(A.todense() if hasattr(A, "todense") else A, dtype=np.float64, order="F")
        d = A.shape[1]
        self._grow(self.m + d)
        Q, bent = self.basis[:, : self.r], self.bent[:, : self.r]
        left = A
        for _ in range(2):
            before = np.einsum("ij,ij->j", left, left)
            inside = bent.T @ left
            self.triangle[: self.r, self.m : self.m + d] += inside
            left = left - (inside.T @ Q.T).T  # column by column, as all these arrays lie
            if (np.einsum("ij,ij->j", left, left) > before / 2).all():  # else rounding is removed by a second time
                break
        whole = np.einsum("ij,ij->", A, self.datafit.curvature(A))
        values, vectors = np.linalg.eigh(left.T @ self.datafit.curvature(left))
        free = values > INDEPENDENT * whole
        new = ((vectors[:, free] / np.sqrt(values[free])).T @ left.T).T
        here = slice(self.r, self.r + int(free.sum()))
        self.basis[:, here], self.bent[:, here] = new, self.datafit.curvature(new)
        self.triangle[here, self.m : self.m + d] = np.sqrt(values[free])[:, None] * vectors[:, free].T
        self.columns[:, self.m : self.m + d] = A
        self.rows.append(rows)
        self.m, self.r = self.m + d, here.stop

    def solution(self) -> tuple[np.ndarray, np.ndarray]:
        """The minimiser over the chosen groups, w [p] or [p, T] of least norm, and its z = X w."""
        inside = self.basis[:, : self.r].T @ self.start
        R = self.triangle[: self.r, : self.m]
        found = np.linalg.solve(R, inside) if self.r == self.m else np.linalg.lstsq(R, inside, rcond=None)[0]
        w = np.zeros(self.shape)
        w[np.concatenate(self.rows)] = found
        return w, self.columns[:, : self.m] @ found

    def _grow(self, size: int) -> None:
        if size <= self.columns.shape[1]:
            return
        larger = 2 * size
        for name in ("columns", "basis", "bent"):
            old = getattr(self, name)
            new = np.empty((len(old), larger), order="F")
            new[:, : old.shape[1]] = old
            setattr(self, name, new)
        triangle = np.zeros((larger, larger))
        triangle[: len(self.triangle), : len(self.triangle)] = self.triangle
        self.triangle = triangle


def checked_top_groups(problem: Problem, solver: str) -> TopGroups:
    """The set of the problem; ValueError unless it is a TopGroups with k >= 1."""
    checked_set(problem, solver, mask=True)
    found = problem.penalty.set
    if not isinstance(found, TopGroups):
        raise ValueError(f"{solver} needs sets.TopGroups(k, groups), not {found!r}: use IHT() or ADMM()")
    if found.k < 1:
        raise ValueError(f"{solver} chooses k >= 1 groups, but the set is {found!r}")
    return found


def _mask(problem: Problem, chosen: tuple[int, ...]) -> np.ndarray:
    rows = np.isin(problem.penalty.groups.labels, chosen)
    return rows if len(problem.w_shape) == 1 else np.broadcast_to(rows[:, None], problem.w_shape)
