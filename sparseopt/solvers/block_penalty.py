"""Group penalties as the block descent takes them: a scalar penalty of each norm, and a penalty of single entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._native import radial_twin
from .._native.bcd import ASKED, LINEAR, BlockPenalty
from ..penalties import GroupElasticNet, GroupLasso, GroupPenalty, Linear, SparseGroupLasso
from ..penalties import strength as at_strength

SMALLEST_STRENGTH = 1e-140
"""Strengths above this, and ten digits of them, have squares that do not underflow."""

VALUE, SLOPE = 0, 1
"""Questions of the compiled loops (SO_ASK_VALUE, SO_ASK_SLOPE); the other one is the prox."""


def scalar_part(penalty: Any) -> Any:
    """The scalar penalty of the norms of a group penalty that the descent treats, None for other penalties.

    A subclass with a prox of its own is another penalty.
    """
    if type(penalty) in (SparseGroupLasso, GroupElasticNet):
        return penalty.lasso.rho
    if type(penalty) is GroupLasso or (isinstance(penalty, GroupPenalty) and type(penalty).prox is GroupPenalty.prox):
        return penalty.rho
    return None


def separable(penalty: Any) -> bool:
    """Whether a penalty that is no scalar one of the norms is a sum over groups, and can be restricted to each."""
    return all(hasattr(penalty, name) for name in ("value", "prox", "violation", "restrict"))


def as_block_penalty(penalty: Any) -> BlockPenalty:
    """The penalty for the descent, with its C++ twin where there is one, else asked in Python; see `BlockPenalty`."""
    rho = scalar_part(penalty)
    if rho is None:
        return BlockPenalty(kind=ASKED, parameter=0.0, strength=strengths(penalty), own=_blocks_of(penalty))
    kind, parameter = radial_twin(rho) or (LINEAR if type(rho) is Linear else ASKED, float(rho.slope0))
    return BlockPenalty(
        kind=kind,
        parameter=parameter,
        strength=penalty.strength,
        l1=getattr(penalty, "l1", 0.0),
        l2=getattr(penalty, "l2", 0.0),
        positive=getattr(penalty, "positive", False),
        asked=asked_in_python(rho),
    )


def entrywise(penalty: Any) -> bool:
    """Whether single entries matter to the penalty: `BlockPenalty.entrywise` of `as_block_penalty`."""
    return scalar_part(penalty) is None or getattr(penalty, "l1", 0.0) > 0 or getattr(penalty, "positive", False)


def strengths(penalty: Any) -> np.ndarray:
    """Strength of each group [G], 0 where it is free; 1 elsewhere where the penalty is no scalar one of the norms."""
    if scalar_part(penalty) is not None:
        return penalty.strength
    out = np.ones(penalty.groups.n_groups)
    out[getattr(penalty, "unpenalised", [])] = 0.0
    return out


def _blocks_of(penalty: Any) -> Callable[[int], Any]:
    """group -> the penalty on its coefficients alone, made once."""
    made: dict[int, Any] = {}

    def block(g: int) -> Any:
        if g not in made:
            made[g] = penalty.restrict(np.array([g]))
        return made[g]

    return block


def asked_in_python(rho: Any) -> Callable[[int, float, float, float], float]:
    """Value, slope and block prox of rho for single numbers; whatever rho raises passes through."""

    def answer(question: int, t: float, strength: float, curvature: float) -> float:
        norm, s = np.array([t]), np.array([strength])
        if question == VALUE:
            return float(at_strength.value(rho, norm, s)[0])
        if question == SLOPE:
            return float(at_strength.slope(rho, norm, s)[0])
        return float(at_strength.prox(rho, norm, s, 1 / curvature)[0])

    return answer


def penalty_value(penalty: Any, by_position: np.ndarray, norms: np.ndarray) -> float:
    """Penalty of the coefficients [p, outputs] by position with these norms of groups [G]."""
    total = float(np.sum(at_strength.value(scalar_part(penalty), norms, penalty.strength)))
    if getattr(penalty, "positive", False) and (by_position < 0).any():
        return np.inf
    l1, l2 = getattr(penalty, "l1", 0.0), getattr(penalty, "l2", 0.0)
    if l1 > 0:
        total += l1 * float(np.abs(by_position).sum())
    return total + l2 / 2 * float(np.vdot(by_position, by_position)) if l2 > 0 else total


def norms_decide(penalty: Any) -> bool:
    """Whether scores, gap and violation follow from the norms of the groups of w and of the gradient.

    A scalar penalty of each norm with a finite slope at 0 and no free group; the squares of the strengths are far from
    underflow, so that of norms whose squares are not nothing matters.
    """
    if not isinstance(penalty, GroupPenalty) or entrywise(penalty):
        return False
    slope = float(penalty.rho.slope0)
    return 0 < slope < np.inf and bool(penalty.strength.min() * min(slope, 1.0) > SMALLEST_STRENGTH)


def largest_violation(
    penalty: Any, slope0: np.ndarray, w: np.ndarray, norms: np.ndarray, gradient: np.ndarray, slopes: np.ndarray
) -> float:
    """`Problem.violation_from` for a penalty of `norms_decide`, from arrays by position.

    slope0: [G] of the penalty.  w, gradient: [p, outputs].  norms, slopes: [G], their norms in each group.
    """
    active = norms > 0
    worst = max(float(np.where(active, -np.inf, slopes - slope0).max()), 0.0)
    few = np.flatnonzero(active)
    if len(few) == 0:
        return worst
    sizes, rows = penalty.groups.sizes[few], np.flatnonzero(np.repeat(active, penalty.groups.sizes))
    slope = at_strength.slope(penalty.rho, norms[few], penalty.strength[few])
    distance = gradient[rows] + np.repeat(slope / norms[few], sizes)[:, None] * w[rows]
    squares = np.add.reduceat(np.einsum("ij,ij->i", distance, distance), np.cumsum(sizes) - sizes)
    return max(worst, float(np.sqrt(squares.max())))


def scores(penalty: Any, gradient: np.ndarray, step: Callable[[], float]) -> np.ndarray:
    """How close each zero group is to becoming active [G]: > 1 where it violates stationarity; inf for free groups.

    The lam at which the group becomes zero over the lam there is; where the slope at 0 is 0, infinite or different in
    different directions, whether there is a gradient or a prox-gradient step of length step() leaves 0.
    gradient: [p] or [p, T] of the datafit.
    """
    rho = scalar_part(penalty)
    slope = np.inf if rho is None else float(rho.slope0)
    if 0 < slope < np.inf:
        return penalty.critical_lams(-gradient) / penalty.lam
    norms = penalty.groups.norms(gradient)
    if slope == 0:
        return np.where((norms > 0) & (strengths(penalty) < np.inf), np.inf, 0.0)
    length = step()
    if rho is None:
        leaves = penalty.groups.norms(np.asarray(penalty.prox(-length * gradient, length))) > 0
    else:
        leaves = at_strength.prox(rho, norms * length, penalty.strength, length) > 0
    share = norms / (norms.max() or 1.0)
    ratio = np.where(norms > 0, np.inf, 0.0)
    return np.where(strengths(penalty) > 0, np.where(leaves, 1 + share, 0.5 * share), ratio)
