"""SR-STE: sparse-refined straight-through gradient descent on a dense vector whose projection is the iterate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .._array import positive_scalar, real_number
from ..problem import Problem
from ..result import History
from ..solve import State
from .iht import checked_set, kept_mask

MARGIN = 1.1
"""The default pull is this much above the largest curvature of the loss."""


@dataclass(frozen=True)
class SRSTEHistory(History):
    """`History` with the entries that entered or left the mask at the last step, [number of stopping tests]."""

    flips: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SRSTEState(State):
    """State of SR-STE; w is the projection of dense.  mask: as w, bool, the entries kept.

    flips: entries of the mask that changed in this step.  pull: lam.  step_size: gamma.
    """

    history: ClassVar[type[History]] = SRSTEHistory

    dense: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    flips: int
    pull: float
    step_size: float


@dataclass(frozen=True)
class SRSTE:
    """v <- v - step (gradient(P(v)) + pull (1 - mask) v), with P(v) = mask v the projection on a mask set; w = P(v).

    The gradient is taken at P(v) and passed straight through to all of v; the second term draws the entries outside
    the mask to 0.  Fixed points are those of ADMM with rho = pull and of IHT with a step of 1/pull: least squares on
    the mask, v = -gradient / pull outside it, and pull min_on |v| >= max_off |gradient| (ledger C4).
    pull: >= 0, default 1.1 times the largest curvature L of the loss; a small one lets masks oscillate (0 is the plain
    straight-through estimator), a large one freezes suboptimal masks.  step_size: > 0, default 1 / max(L, pull); from
    2 / max(L, pull) on it may diverge, which is reported as UNSTABLE.
    Source: as summarised for ADMM pattern pruning (arXiv 2407.08334); fixed points: ledger C4.
    """

    pull: float | None = None
    step_size: float | None = None

    starts_outside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.pull is not None and not 0 <= real_number(self.pull) < np.inf:
            raise ValueError(f"pull is {self.pull!r}: give a finite number >= 0")
        if self.step_size is not None:
            positive_scalar(self.step_size, "step_size")

    def init(self, problem: Problem, w0: np.ndarray) -> SRSTEState:
        """State with the dense vector w0 [p] or [p, T]; ValueError for problems without a mask set."""
        checked_set(problem, "SRSTE", mask=True)
        if not problem.smooth and (self.pull is None or self.step_size is None):
            raise ValueError(f"{type(problem.datafit).__name__} has no largest curvature: give pull and step_size")
        pull = MARGIN * problem.smoothness if self.pull is None else float(self.pull)
        step = 1 / max(problem.smoothness, pull) if self.step_size is None else float(self.step_size)
        mask = kept_mask(problem, w0)
        w = np.where(mask, w0, 0.0)
        return SRSTEState(w=w, z=problem.X @ w, passes=1.0, dense=w0, mask=mask, flips=0, pull=pull, step_size=step)

    def step(self, problem: Problem, state: SRSTEState) -> SRSTEState:
        """One step: two passes over X."""
        gradient = problem.transposed_product(problem.datafit.gradient(state.z))
        off = np.where(state.mask, 0.0, state.dense)
        dense = state.dense - state.step_size * (gradient + state.pull * off)
        mask = kept_mask(problem, dense)
        w = np.where(mask, dense, 0.0)
        return SRSTEState(
            w=w,
            z=problem.X @ w,
            passes=state.passes + 2.0,
            dense=dense,
            mask=mask,
            flips=int((mask != state.mask).sum()),
            pull=state.pull,
            step_size=state.step_size,
        )

    def violation(self, problem: Problem, state: SRSTEState, gradient: np.ndarray) -> float:
        """max_g |gradient + pull (1 - mask) v|_g: 0 at the fixed points."""
        off = np.where(state.mask, 0.0, state.dense)
        return float(problem.penalty.groups.norms(gradient + state.pull * off).max())

    def caution(self, problem: Problem) -> str | None:
        """For steps from 2 / max(L, pull) on the sentence with the step to use, else None."""
        if not problem.smooth or self.step_size is None:
            return None
        steepest = max(problem.smoothness, MARGIN * problem.smoothness if self.pull is None else self.pull)
        if self.step_size * steepest < 2:
            return None
        return (
            f"step_size = {self.step_size:g} is not below 2 / max(smoothness, pull) = {2 / steepest:g}, so the "
            f"iterates may diverge: use step_size = {1 / steepest:g}"
        )
