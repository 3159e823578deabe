"""Gradient descent on masks and weights, w_g = s_g(m) v_g: how pruning methods minimise their regularisers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .._array import positive_scalar
from ..problem import Problem
from ..result import History
from ..solve import State
from .masks import Mask

ARMIJO = 0.25
"""Part of the predicted fall of the objective that a step must reach."""

GROW = 2.0
MAX_HALVINGS = 80

SHORTEST = float(np.finfo(float).tiny)
"""Steps are not halved below this, so that one can still divide by them where the gradient is huge."""

SAME = 1e-10
"""Relative difference to which a penalty and the one that is equivalent to the mask must agree at test points."""


@dataclass(frozen=True)
class MaskHistory(History):
    """`History` with the objective in the factors and the step of every stopping test, each [tests]."""

    factored: np.ndarray
    step_size: np.ndarray


@dataclass(frozen=True, kw_only=True)
class MaskState(State):
    """State of MaskDescent; w = s(m) v is the effective iterate.

    v: as w.  m: [G] mask parameters.  lam: strength of the decay.  parametrisation: the one of this iteration.
    factored: loss(w) + lam decay(v, m), never below the objective at w.  residual: norm of the gradient in (v, m).
    iteration: 0, 1, ...
    """

    history: ClassVar[type[History]] = MaskHistory

    v: np.ndarray = field(repr=False)
    m: np.ndarray = field(repr=False)
    lam: float
    parametrisation: Any
    factored: float
    residual: float
    step_size: float
    iteration: int


@dataclass(frozen=True)
class MaskDescent:
    """(v, m) <- (v, m) - step * gradient of loss(s(m) v) + lam decay(v, m), with w = s(m) v.

    mask: a parametrisation of `solvers.masks`.  The penalty of the problem must be `mask.equivalent(lam, groups)`, the
    regulariser of w that is left when the decay is minimised over all factors of w; so objectives, gaps and
    stationarity in w are those of the closed form, and `factored` of a state is never below the objective.
    step_size: > 0; by default a line search, with which `factored` never rises while the temperature is constant.
    The product is not convex: limit points are stationary in (v, m), and where a group has v = 0 and m = 0 it stays 0.
    Stationarity is measured in (v, m).  Sources: SequentialAttention++ (arXiv 2402.17902), section 2; SMART (arXiv
    2403.19969); equivalences: ledger A1, A4 to A7, B4.
    """

    mask: Mask
    step_size: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.mask, type) or not hasattr(self.mask, "pull_back"):
            raise ValueError(f"mask is {self.mask!r}: give a parametrisation, e.g. masks.HoffProduct()")
        if self.step_size is not None:
            positive_scalar(self.step_size, "step_size")

    def init(self, problem: Problem, w0: np.ndarray) -> MaskState:
        """State with factors of w0 [p] or [p, T]; ValueError unless the penalty is the equivalent one."""
        mask = self.mask.at(0)
        v, m = mask.start(problem.penalty.groups, w0)
        lam = self.lam(problem)
        step = 1.0 if self.step_size is None else float(self.step_size)
        return _state(problem, v, m, mask, lam, step, 0, 1.0)

    def step(self, problem: Problem, state: MaskState) -> MaskState:
        """One step on v and m together; two passes over X, in a line search one more for every step refused."""
        mask = self.mask.at(state.iteration)
        lam, groups, later = state.lam, problem.penalty.groups, state.iteration + 1
        z = problem.X @ mask.weights(groups, state.v, state.m)
        dv, dm = _gradient(problem, mask, lam, state.v, state.m, z)
        smooth = _smooth(problem, mask, lam, state.v, state.m, z)
        allowance = 4 * np.finfo(float).eps * abs(smooth)
        step = state.step_size if self.step_size is None else float(self.step_size)
        if self.step_size is None and ARMIJO * step * state.residual**2 > allowance:  # else values no longer tell
            step *= GROW
        for _ in range(MAX_HALVINGS):
            v, m = state.v - step * dv, mask.prox(state.m - step * dm, step * lam)
            z_new = problem.X @ mask.weights(groups, v, m)
            moves = float(np.sum((v - state.v) ** 2) + np.sum((m - state.m) ** 2))
            slope = float(np.vdot(dv, v - state.v) + dm @ (m - state.m))
            limit = smooth + slope + (1 - ARMIJO) * moves / step + allowance
            if self.step_size is not None or _smooth(problem, mask, lam, v, m, z_new) <= limit:
                break
            step = max(step / 2, SHORTEST)
        return _state(problem, v, m, self.mask.at(later), lam, step, later, state.passes + 3)

    def violation(self, problem: Problem, state: MaskState, gradient: np.ndarray) -> float:
        """Norm of the gradient in (v, m), of the prox-gradient residual where the decay of m is not smooth."""
        return state.residual

    def lam(self, problem: Problem) -> float:
        """The strength of the decay for which the penalty of the problem is the equivalent one, else ValueError."""
        penalty = problem.penalty
        unit = self.mask.equivalent(1.0, penalty.groups)
        lam = float(penalty.lam / unit.lam)
        if lam > 0 and type(penalty) is type(unit):
            expected = unit.with_lam(penalty.lam)
            probes = np.random.default_rng(0).standard_normal((2, *problem.w_shape))
            values = [(float(expected.value(u)), float(penalty.value(u))) for u in probes]
            if all(abs(a - b) <= SAME * abs(a) for a, b in values):
                return lam
        raise ValueError(
            f"{penalty!r} is not the regulariser that {self.mask!r} stands for: use "
            "problem.with_penalty(mask.equivalent(lam, groups))"
        )


def _gradient(
    problem: Problem, mask: Any, lam: float, v: np.ndarray, m: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of loss + lam decay in v and m, z = X w."""
    groups = problem.penalty.groups
    dv, dm = mask.pull_back(groups, v, m, problem.transposed_product(problem.datafit.gradient(z)))
    _, decay_v, decay_m = mask.decay(groups, v, m)
    return dv + lam * decay_v, dm + lam * decay_m


def _state(
    problem: Problem, v: np.ndarray, m: np.ndarray, mask: Any, lam: float, step: float, iteration: int, passes: float
) -> MaskState:
    w = mask.weights(problem.penalty.groups, v, m)
    z = problem.X @ w
    dv, dm = _gradient(problem, mask, lam, v, m, z)
    along = min(step, 1.0)
    moved = (m - mask.prox(m - along * dm, along * lam)) / along
    return MaskState(
        w=w,
        z=z,
        passes=passes,
        v=v,
        m=m,
        lam=lam,
        parametrisation=mask,
        factored=_smooth(problem, mask, lam, v, m, z) + lam * mask.rest(m),
        residual=float(np.sqrt(np.vdot(dv, dv) + moved @ moved)),
        step_size=step,
        iteration=iteration,
    )


def _smooth(problem: Problem, mask: Any, lam: float, v: np.ndarray, m: np.ndarray, z: np.ndarray) -> float:
    return problem.datafit.value(z) + lam * mask.decay(problem.penalty.groups, v, m)[0]
