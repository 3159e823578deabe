"""OMPR: orthogonal matching pursuit with replacement, also through a nonconvex regulariser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .._array import positive_scalar, real_number
from ..datafits import LeastSquares, Quadratic
from ..deadline import deadline, past, seconds_until
from ..penalties import GroupLasso, InverseSum
from ..penalties.scalar import ScalarPenalty, checked_rho
from ..problem import Problem
from ..solve import State, solve
from .fista import FISTA
from .group_omp import checked_top_groups
from .iht import on_mask

if TYPE_CHECKING:
    from ..certify.lambda_window import LambdaWindow

ACCURACY = 1e-12
"""Relative duality gap of the convex problem of every swap."""

PROVED_TO = 1e-8
"""Relative gap to the global minimum that is certified for the regularised problem of every swap."""


@dataclass(frozen=True, kw_only=True)
class OMPRState(State):
    """State of OMPR; w minimises the loss over the groups `chosen`, a mask [G] with k groups.

    settled: the last swap did not lower the loss and was refused; nothing moves any more.  entering, leaving: the swap
    that led here, -1 at the start.  lam, window: strength of the regulariser at the last swap and the strengths for
    which exactly one group outside is active; NaN and None for ideal steps.  certified: whether its regularised problem
    was proved to be solved globally.  end: time, of time.perf_counter, at which what is solved within a step ends.
    """

    chosen: np.ndarray
    settled: bool = False
    entering: int = -1
    leaving: int = -1
    lam: float = float("nan")
    window: LambdaWindow | None = None
    certified: bool = False
    end: float = np.inf


@dataclass(frozen=True)
class OMPR:
    """Swap the best group outside the k chosen ones for the weakest inside, and minimise the loss over the new ones.

    Ideal step (rho=None): entering i = argmax over groups outside of |gradient_g|, leaving j = argmin inside of |w_g|,
    at w = argmin of the loss over the chosen groups.  With rho, a subadditive scalar penalty q, i is the one group that
    is active outside in the minimiser of loss + lam q^-1(sum over groups outside of q(|w_g|)), the loss minimised over
    the chosen groups: for lam inside the window of `certify.lambda_window` the convex companion has exactly one active
    group and solves this problem (Theorem 1.1), which `certify.global_gap` proves at every swap.

    position: where in the window lam is taken, between 0 and 1.  lam_ratio: instead, lam = lam_ratio * the largest
    gradient norm outside, which may leave the window: from 1 on no group is active and the choice is arbitrary.
    A swap that does not lower the loss is refused, and the run ends.  time_limit: seconds of a run, in which what is
    solved for a swap ends too, the swap then being given up (`solve` sets it).
    For the best w* of s groups and k >= max(s kappa^2, s + kappa), kappa = L_2 / mu_{s+k}: loss(w_{r+1}) - loss(w*) <=
    max(loss(w_r) - loss(w*), 0) (1 - 1 / (s kappa)) (ledger A12).  With rho: least squares and quadratics only.
    Source: SequentialAttention++ (arXiv 2402.17902), Algorithm 2 and Theorem B.3, as corrected in ledger A12.
    """

    rho: ScalarPenalty | None = None
    position: float = 0.5
    lam_ratio: float | None = None
    time_limit: float | None = None

    check_every: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.rho is not None:
            checked_rho(self.rho, "value", "slope", "inverse")
        if not 0 < real_number(self.position) < 1:
            raise ValueError(f"position is {self.position!r}: give a number between 0 and 1, e.g. 0.5")
        if self.lam_ratio is not None:
            positive_scalar(self.lam_ratio, "lam_ratio")
            if self.rho is None:
                raise ValueError("lam_ratio is for the regularised step: give rho too, e.g. penalties.Power(0.5)")

    def init(self, problem: Problem, w0: np.ndarray) -> OMPRState:
        """State at the minimiser over the groups of w0 [p] or [p, T], filled up to k by those of largest gradient."""
        top = checked_top_groups(problem, "OMPR")
        if self.rho is not None and type(problem.datafit) not in (LeastSquares, Quadratic):
            raise ValueError(f"OMPR through a regulariser needs a quadratic loss, not {problem.datafit!r}: use OMPR()")
        norms, gradient = top.groups.norms(w0), top.groups.norms(problem.gradient(w0))
        order = np.lexsort((-gradient, -norms))
        chosen = np.zeros(top.groups.n_groups, dtype=bool)
        chosen[order[: top.k]] = True
        end = deadline(self.time_limit)
        w, z = self._refit(problem, w0, chosen, end)
        return OMPRState(w=w, z=z, passes=2.0, gradient=self._gradient(problem, z), chosen=chosen, end=end)

    def step(self, problem: Problem, state: OMPRState) -> OMPRState:
        """One swap, or the same state, settled, where it does not lower the loss."""
        if state.settled or state.chosen.all():
            return self._settled(state, state.lam, state.window, state.certified)
        groups = problem.penalty.groups
        lam, window, certified = float("nan"), None, False
        if self.rho is None:
            entering = int(np.argmax(np.where(state.chosen, -1.0, groups.norms(state.gradient))))
        else:
            found = self._regularised(problem, state)
            if found is None:
                return state
            entering, lam, window, certified = found
        leaving = int(np.argmin(np.where(state.chosen, groups.norms(state.w), np.inf)))
        chosen = state.chosen.copy()
        chosen[entering], chosen[leaving] = True, False
        w, z = self._refit(problem, state.w, chosen, state.end)
        if past(state.end)():  # the fit may not be one
            return state
        here = problem.datafit.value(state.z)
        if not problem.datafit.value(z) < here - 8 * np.finfo(float).eps * abs(here):
            return self._settled(state, lam, window, certified)
        return OMPRState(
            w=w,
            z=z,
            passes=state.passes + 2.0,
            gradient=self._gradient(problem, z),
            chosen=chosen,
            entering=entering,
            leaving=leaving,
            lam=lam,
            window=window,
            certified=certified,
            end=state.end,
        )

    def violation(self, problem: Problem, state: OMPRState, gradient: np.ndarray) -> float:
        """The largest gradient norm outside the chosen groups while swaps lower the loss, then the largest inside."""
        norms = problem.penalty.groups.norms(gradient)
        return float(norms[state.chosen == state.settled].max(initial=0.0))

    def caution(self, problem: Problem) -> str | None:
        """For lam_ratio >= 1 the sentence with what to use, else None."""
        if self.lam_ratio is None or self.lam_ratio < 1:
            return None
        return (
            f"lam_ratio = {self.lam_ratio:g} is not below 1, so that no group outside is active and the choice is "
            "arbitrary: use lam_ratio=None, which takes lam from the window of every step, or lam_ratio = 0.999"
        )

    @staticmethod
    def _settled(state: OMPRState, lam: float, window: LambdaWindow | None, certified: bool) -> OMPRState:
        return OMPRState(
            w=state.w,
            z=state.z,
            passes=state.passes,
            gradient=state.gradient,
            chosen=state.chosen,
            settled=True,
            lam=lam,
            window=window,
            certified=certified,
            end=state.end,
        )

    @staticmethod
    def _gradient(problem: Problem, z: np.ndarray) -> np.ndarray:
        return problem.transposed_product(problem.datafit.gradient(z))

    @staticmethod
    def _refit(problem: Problem, w: np.ndarray, chosen: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
        kept = chosen[problem.penalty.groups.labels]
        mask = kept if w.ndim == 1 else np.broadcast_to(kept[:, None], w.shape)
        w = np.where(mask, w, 0.0)
        return on_mask(problem, w, problem.X @ w, mask, end)

    def _regularised(self, problem: Problem, state: OMPRState) -> tuple[int, float, LambdaWindow, bool] | None:
        """The entering group, lam, its window, and whether the regularised problem was proved to be solved.

        None where time was up before the window was known.
        """
        from ..certify import global_gap, lambda_window  # certificates use solvers in their turn

        outside = np.flatnonzero(~state.chosen)
        reduced = _minimised_over_chosen(problem, state, outside)
        regulariser = InverseSum(1.0, problem.penalty.groups.restrict(outside), self.rho)  # type: ignore[arg-type]
        companion = reduced.with_penalty(regulariser.companion)
        window = lambda_window(companion, time_limit=seconds_until(state.end))
        if self.lam_ratio is not None:
            lam = self.lam_ratio * regulariser.critical_lam(reduced.gradient_at_zero)
        elif window.empty and past(state.end)():
            return None
        elif window.empty:
            raise ValueError(f"there is no lam for which one group outside is active: {window.reason}; use OMPR()")
        else:
            lam = window.lower + self.position * (window.upper - window.lower)
        limit = seconds_until(state.end)
        found = solve(companion.with_lam(lam), FISTA(), tol=ACCURACY, time_limit=limit, throw=False).w
        nonconvex = reduced.with_penalty(regulariser.with_lam(lam))
        proof = global_gap(nonconvex, found, tol=PROVED_TO, time_limit=seconds_until(state.end))
        gradient = reduced.gradient_at_zero
        if not found.any() and lam < regulariser.critical_lam(gradient):  # not 0, but by less than rounding errors show
            found = gradient
        best = int(np.argmax(regulariser.groups.norms(found)))
        return int(outside[best]), lam, window, proof.proved


def _minimised_over_chosen(problem: Problem, state: OMPRState, outside: np.ndarray) -> Problem:
    """The quadratic in the coefficients outside the chosen groups that is left when the others are minimised out.

    With A, B the columns inside and outside, C the curvature: B~ = B - A (A'CA)^+ A'C B, H = B~' C B~, b = -gradient.
    """
    datafit, groups = problem.datafit, problem.penalty.groups
    out = np.isin(groups.labels, outside)
    X = np.asarray(problem.X.todense() if hasattr(problem.X, "todense") else problem.X, dtype=np.float64)
    A, B = X[:, ~out], X[:, out]
    bent = datafit.curvature(A)
    left = B - A @ (np.linalg.pinv(A.T @ bent, hermitian=True) @ (bent.T @ B))
    H = left.T @ datafit.curvature(left)
    companion = GroupLasso(1.0, groups.restrict(outside), weights="none")
    return Problem.quadratic((H + H.T) / 2, -state.gradient[out], companion)  # type: ignore[index]
