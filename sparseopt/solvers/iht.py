"""Iterative hard thresholding: projected gradient descent on sparse sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array import checked_flag, positive_scalar
from ..deadline import deadline, past
from ..problem import Problem
from ..sets import Indicator
from ..unpenalised import refit
from .proximal_gradient import SteppedState, caution_on_step, resolve_step

SHORTER = 0.5
"""Factor between the steps that are tried when the support changes."""

MAX_TRIALS = 60

FRACTION = 0.99
"""A normalised step that changes the support is at most this part of |d|^2 / curvature(d), d the move."""


@dataclass(frozen=True, kw_only=True)
class IHTState(SteppedState):
    """State of IHT.

    end: time, of time.perf_counter, at which a fit on a mask ends with what it has.
    """

    end: float = np.inf


@dataclass(frozen=True)
class IHT:
    """w <- project(w - step * gradient(w)), and with debiasing the minimiser on the mask that was kept.

    For sets; with steps below 1/L, L the smoothness, the loss falls at every step and the limit points are fixed points
    of the map.  Above 1/L (2/L on convex sets) the iterates may cycle, which is reported as UNSTABLE.
    step_size: > 0, default 1/L.  normalised: the step |g|^2 / curvature(g) with g the gradient on the mask, exact for
    the mask kept; where the mask changes it is halved until the loss must fall (Blumensath and Davies, 2010).  Needs no
    L.  debias: after every projection the loss is minimised over the mask that was kept (hard thresholding pursuit;
    Foucart, 2011): the limit is least squares on the mask.  normalised and debias: mask sets only.
    time_limit: seconds of a run, in which such fits end too (`solve` sets it).
    Restricted isometry delta_3s < 0.618 makes steps of 1 contract to the true w (ledger D8; needs X'X/n near I).
    Source: Blumensath and Davies, Normalized iterative hard thresholding (2010).
    """

    step_size: float | None = None
    normalised: bool = False
    debias: bool = False
    time_limit: float | None = None

    def __post_init__(self) -> None:
        checked_flag(self.normalised, "normalised")
        checked_flag(self.debias, "debias")
        if self.normalised and self.step_size is not None:
            raise ValueError(f"step_size is {self.step_size!r} and normalised is True: give one of the two")
        if self.step_size is not None:
            positive_scalar(self.step_size, "step_size")

    def init(self, problem: Problem, w0: np.ndarray) -> IHTState:
        """State at w0 [p] or [p, T]; ValueError for problems whose penalty is no (mask) set."""
        checked_set(problem, "IHT", mask=self.normalised or self.debias)
        z = problem.X @ w0
        step = 1.0 if self.normalised else resolve_step(self.step_size, problem, z)
        return IHTState(w=w0, z=z, passes=1.0, step_size=step, end=deadline(self.time_limit))

    def step(self, problem: Problem, state: IHTState) -> IHTState:
        """One projected gradient step; two passes over X, normalised one more for every step tried."""
        gradient = problem.transposed_product(problem.datafit.gradient(state.z))
        if self.normalised:
            w, step, passes = _normalised(problem, state, gradient)
        else:
            step, passes = state.step_size, 2.0
            w = problem.penalty.prox(state.w - step * gradient)
        z = problem.X @ w
        if self.debias:
            w, z = on_mask(problem, w, z, kept_mask(problem, state.w - step * gradient), state.end)
        return IHTState(w=w, z=z, passes=state.passes + passes, step_size=step, end=state.end)

    def violation(self, problem: Problem, state: SteppedState, gradient: np.ndarray) -> float:
        """max_g |w - project(w - step gradient)|_g / step: 0 at the fixed points of the map."""
        return fixed_point_residual(problem, state.w, gradient, state.step_size)

    def caution(self, problem: Problem) -> str | None:
        """For steps above 1/L (2/L on convex sets) the sentence with the step to use, else None."""
        return caution_on_step(problem, self.step_size, 2.0 if problem.convex else 1.0)


def fixed_point_residual(problem: Problem, w: np.ndarray, gradient: np.ndarray, step: float) -> float:
    """max_g |w - prox(w - step gradient)|_g / step, units of the gradient.

    0 exactly at the fixed points of this step, which on convex sets are the stationary points; on others a longer step
    has fewer of them (ledger C4).
    """
    moved = problem.penalty.prox(w - step * gradient, step)
    return float(problem.penalty.groups.norms((w - moved) / step).max())


def checked_set(problem: Problem, solver: str, *, mask: bool) -> None:
    """ValueError unless the penalty of the problem is a set, for mask=True one that keeps entries."""
    penalty = problem.penalty
    if not isinstance(penalty, Indicator):
        raise ValueError(
            f"{solver} needs a set, e.g. Problem(X, datafit, sets.TopGroups(k, groups)), not {penalty!r}: use "
            "ProximalGradient()"
        )
    if mask and not getattr(penalty.set, "keeps_entries", False):
        raise ValueError(f"{solver} needs a set of masks here, not {penalty.set!r}: use ADMM() or ProximalGradient()")


def kept_mask(problem: Problem, v: np.ndarray) -> np.ndarray:
    """Mask, of the shape of v [p] or [p, T], of the entries that the projection of v keeps; all where v diverged."""
    if not np.isfinite(v).all():
        return np.ones(v.shape, dtype=bool)
    return np.asarray(problem.penalty.set.support(v))


def on_mask(
    problem: Problem, w: np.ndarray, z: np.ndarray, mask: np.ndarray, end: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """The minimiser of the loss among the points with this mask, as w [p] or [p, T] and z = X w, from w and its z.

    end: time, of time.perf_counter, from which on it is what Newton's method has reached.
    """
    if w.ndim == 2 and not (mask == mask[:, :1]).all():
        raise ValueError("debiasing needs whole rows in a mask for several outputs: use debias=False")
    rows = np.flatnonzero(mask if mask.ndim == 1 else mask[:, 0])
    columns = problem.X[:, rows]
    dense = np.asarray(columns.todense() if hasattr(columns, "todense") else columns, dtype=np.float64)
    fitted, _ = refit(problem.datafit, dense, z, past(end))
    moved = w.copy()
    moved[rows] += np.linalg.lstsq(dense, fitted - z, rcond=None)[0]
    return moved, problem.X @ moved


def _normalised(problem: Problem, state: SteppedState, gradient: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The next point, its step, and the passes over X."""
    point = state.w if state.w.any() else gradient
    inside = np.where(kept_mask(problem, point), gradient, 0.0)
    step, passes = _exact_step(problem, state.z, inside, state.step_size), 3.0
    mask = kept_mask(problem, point)
    for _ in range(MAX_TRIALS):
        v = state.w - step * gradient
        w = problem.penalty.prox(v)
        if np.array_equal(kept_mask(problem, v), mask):
            break
        move = w - state.w
        longest = _exact_step(problem, state.z, move, np.inf)
        passes += 1
        if step <= FRACTION * longest:
            break
        step *= SHORTER
    return w, step, passes


def _exact_step(problem: Problem, z: np.ndarray, d: np.ndarray, flat: float) -> float:
    """|d|^2 / d' H d with the Hessian H at z; `flat` where the loss is flat along d."""
    largest = float(np.abs(d).max())
    d = d / largest if 0 < largest < np.inf else d  # no square under- or overflows that need not
    z_d = problem.X @ d
    curvature = float(np.vdot(z_d, problem.datafit.hessian(z, z_d)))
    return float(np.vdot(d, d)) / curvature if curvature > 0 else flat
