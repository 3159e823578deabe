"""Lower bounds of a quadratic plus a concave, finally flat radial penalty over boxes of group norms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..datafits import LeastSquares, Quadratic
from ..penalties import L0, MCP, SCAD, GroupL0, GroupMCP, GroupPenalty, GroupSCAD
from ..penalties import strength as at_strength
from ..problem import Problem

STEPS = 2000
"""Accelerated proximal steps allowed for one relaxation; any point gives a valid bound."""


RIDGE = 0.01
"""Added to a singular free block, relative to the mean diagonal, where groups are only ranked."""


@dataclass(frozen=True)
class Box:
    """A node: lower <= |w_g| <= upper for the groups that are `small`, all others are free.

    small, counted: bool [G]; counted groups are free and pay the full penalty.  lower, upper: [G].
    curvature: known lower bound of the smallest eigenvalue of the free block, 0 where it is singular or unknown.
    """

    small: np.ndarray
    counted: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    curvature: float

    @property
    def undecided(self) -> np.ndarray:
        """Groups that are neither small nor counted."""
        return np.flatnonzero(~self.small & ~self.counted)

    def shrunk(self, g: np.ndarray, lower: float, upper: np.ndarray) -> Box:
        """The box with lower <= |w_g| <= upper for these groups [k]."""
        small, low, high = self.small.copy(), self.lower.copy(), self.upper.copy()
        small[g], low[g], high[g] = True, lower, upper
        return Box(small, self.counted, low, high, self.curvature)

    def paid(self, g: int) -> Box:
        """The box in which group g is free and pays the full penalty."""
        counted = self.counted.copy()
        counted[g] = True
        return Box(self.small, counted, self.lower, self.upper, self.curvature)


class ConcaveModel:
    """c - b'w + w'Hw / 2 + sum_g rho_g(|w_g|), with rho_g concave on [0, flat_g] and constant, `full_g`, beyond.

    H, b, c are enclosed: `errors` bounds |H - true|_2, |b - true|_2 and |c - true|, from the raw data.  floor: a lower
    bound of the quadratic.
    """

    def __init__(self, problem: Problem) -> None:
        from ..certify.evaluation import evaluate, length

        reason = why_not(problem)
        if reason is not None:
            raise ValueError(f"branch and bound cannot treat this problem: {reason}")
        self.problem, self.penalty, self.groups = problem, problem.penalty, problem.penalty.groups
        at_zero = evaluate(problem, np.zeros(problem.n_features))
        hessian = at_zero.hessian_columns(np.arange(problem.n_features))
        self.H = (hessian.mid + hessian.mid.T) / 2
        self.b, self.c, self.floor = -at_zero.gradient.mid, float(at_zero.loss_at_zero.mid), at_zero.infimum
        self.errors = (
            length(hessian.rad) + 4e-16 * length(hessian.mid),
            length(at_zero.gradient.rad),
            float(at_zero.loss_at_zero.rad),
        )
        self.size = float(np.linalg.norm(self.H)) * (1 + 1e-9)
        self.steepest = float(np.linalg.eigvalsh(self.H)[-1]) * (1 + 1e-9) + 1e-300
        self.members = [self.groups.members(g) for g in range(self.groups.n_groups)]
        self.flat = flat_from(self.penalty)
        ends = np.where(np.isfinite(self.flat), self.flat, 0.0)
        self._at_flat = self._formula(ends)
        self.full = self._formula(np.where(np.isfinite(self.flat), self.flat + 1.0, 0.0))
        self.smallest_full = float(self.full[self.full > 0].min(initial=np.inf)) if (self.full > 0).any() else 1e-300

    def value(self, t: np.ndarray) -> np.ndarray:
        """rho_g(t_g) [G]; looked up where every t_g is 0 or flat_g, as it is for most boxes."""
        zero = t == 0
        return np.where(zero, 0.0, self._at_flat) if (zero | (t == self.flat)).all() else self._formula(t)

    def _formula(self, t: np.ndarray) -> np.ndarray:
        return np.asarray(at_strength.value(self.penalty.rho, t, self.penalty.strength))

    def objective(self, w: np.ndarray) -> float:
        """The objective in floats."""
        return self.c - float(self.b @ w) + float(w @ (self.H @ w)) / 2 + float(self.penalty.value(w))

    def root(self) -> Box:
        """Everything: unpenalised groups are counted, groups that are forced out are zero."""
        strength, zero = self.penalty.strength, np.zeros(len(self.flat))
        return Box(np.isinf(strength), strength == 0, zero, zero, 0.0)

    def columns(self, groups: np.ndarray) -> np.ndarray:
        """Coefficients of these groups."""
        return np.concatenate([self.members[g] for g in groups]) if len(groups) else np.zeros(0, dtype=int)

    def inverted(self, box: Box) -> tuple[Box, np.ndarray]:
        """The box with its curvature, and the inverse of its free block [m, m].

        The curvature stays 0 where the block is singular or nothing is shown; RIDGE times its mean diagonal is added to
        it then, so that groups can be ranked.
        """
        from ..certify.evaluation import smallest_eigenvalue

        free = self.columns(np.flatnonzero(~box.small))
        block = self.H[np.ix_(free, free)]
        if len(free) == 0:
            return replace(box, curvature=1.0), block
        if len(free) <= self.rank or box.curvature > 0:
            inverse, curvature = _positive_inverse(block), box.curvature
            if not curvature > 0:
                shown = smallest_eigenvalue(block, guess=1 / float(np.linalg.norm(inverse)))
                curvature = max(shown - self.errors[0], 0.0)
            if curvature > 0:
                return replace(box, curvature=curvature), inverse
        ridge = RIDGE * np.trace(block) / len(free) + 1e-300
        return box, np.linalg.inv(block + ridge * np.eye(len(free)))

    @property
    def rank(self) -> int:
        """Largest size of a block that can be nonsingular."""
        return min(self.problem.X.shape)

    def base(self, box: Box) -> float:
        """What is paid in the box whatever w: full penalties of counted groups, and penalties at the lower ends."""
        return float(self.full[box.counted].sum() + self.value(box.lower)[box.small].sum())

    def bound(self, box: Box, w: np.ndarray) -> float:
        """A rigorous lower bound over the box, from any float w [p] that is zero at groups with upper = 0.

        With g = Hw - b zero on the free groups, q(x) >= c - w'Hw / 2 + g'x for all x, and each small group has its
        minimum of rho_g(t) - |g_g| t at an end of its interval.  A gradient of the free block that is not exactly zero
        is removed by a move of w with energy eta^2 <= |gradient|^2 / curvature, whose effect is bounded.
        """
        if not box.curvature > 0:
            return (self.floor + self.base(box)) - 1e-14 * (abs(self.floor) + self.base(box))
        Hw = self.H @ w
        g = Hw - self.b
        norms = self.groups.norms(g)
        size = float(np.linalg.norm(w)) * (1 + 1e-9)
        rounding = (len(w) + 8) * 2.3e-16
        off = rounding * (self.size * size + float(np.linalg.norm(self.b))) + self.errors[0] * size + self.errors[1]
        eta = (float(np.linalg.norm(norms[~box.small])) * (1 + 1e-9) + off) / np.sqrt(box.curvature)
        reach = norms + (off + np.sqrt(self.steepest + self.errors[0]) * eta) * (1 + 1e-9)
        chosen = box.small
        ends = [self.value(e)[chosen] - reach[chosen] * e[chosen] for e in (box.lower, box.upper)]
        slopes = np.minimum(*ends)
        energy = max(float(w @ Hw), 0.0)
        paid = float(self.full[box.counted].sum())
        slack = eta * (np.sqrt(energy) + self.size**0.5 * 1e-7 * size) + eta * eta + self.errors[2]
        slack += 0.5 * self.errors[0] * size * size
        slack += 4 * rounding * (abs(self.c) + self.size * size * size + paid + float(np.abs(slopes).sum()))
        return self.c - energy / 2 + paid + float(slopes.sum()) - slack * (1 + 1e-6)


def _positive_inverse(A: np.ndarray) -> np.ndarray:
    """The inverse of a positive definite A [m, m], inf where its factorisation fails."""
    from scipy.linalg import lapack

    triangle, failed = lapack.dpotrf(A)
    if failed:
        return np.full_like(A, np.inf)
    inverse = np.triu(lapack.dpotri(triangle)[0])
    return inverse + np.triu(inverse, 1).T


def why_not(problem: Problem) -> str | None:
    """Why a problem has no branch and bound, None where it has; only these classes, whose formulas are known."""
    if type(problem.datafit) not in (LeastSquares, Quadratic):
        return f"{type(problem.datafit).__name__} is neither LeastSquares nor a quadratic"
    radial = type(problem.penalty) in (GroupPenalty, GroupL0, GroupMCP, GroupSCAD)
    if not radial or type(problem.penalty.rho) not in (L0, MCP, SCAD):
        return f"{type(problem.penalty).__name__} is none of GroupL0, GroupMCP and GroupSCAD"
    return None


def flat_from(penalty: Any) -> np.ndarray:
    """Norms [G] from which on the penalty of a group is constant; inf nowhere but for groups forced out (0)."""
    rho, forced = penalty.rho, np.isinf(penalty.strength)
    factor = 0.0 if isinstance(rho, L0) else rho.gamma if isinstance(rho, MCP) else rho.a
    return np.where(forced, np.inf, factor * np.where(forced, 0.0, penalty.strength))


def relax(model: ConcaveModel, box: Box, inverse: np.ndarray, start: np.ndarray, cut: float) -> np.ndarray:
    """A point w [p] of the convex relaxation of the box, whose free block has this inverse.

    Small groups pay the chord of their penalty; stops early when the bound at w reaches `cut`.  Where the box has no
    curvature the bound is trivial, and small groups stay at 0.
    """
    free = model.columns(np.flatnonzero(~box.small))
    small = np.flatnonzero(box.small & (box.upper > 0))
    w = np.zeros(len(model.b))
    if len(small) and box.curvature > 0:
        inside = model.columns(small)
        coupling = model.H[np.ix_(free, inside)]
        M = model.H[np.ix_(inside, inside)] - coupling.T @ (inverse @ coupling)
        target = model.b[inside] - coupling.T @ (inverse @ model.b[free])
        fixed = model.c + float(model.full[box.counted].sum() - model.b[free] @ (inverse @ model.b[free]) / 2)
        w[inside] = _descend(model, box, small, M, target, start[inside], cut - fixed)
        w[free] = inverse @ (model.b[free] - model.H[np.ix_(free, inside)] @ w[inside])
    else:
        w[free] = inverse @ model.b[free]
    return w


def _descend(
    model: ConcaveModel, box: Box, small: np.ndarray, M: np.ndarray, target: np.ndarray, v: np.ndarray, cut: float
) -> np.ndarray:
    """Accelerated proximal gradient on v'Mv / 2 - target'v + chords, until its gap is small beside cut - bound."""
    sizes = np.array([len(model.members[g]) for g in small])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    low, high = box.lower[small], box.upper[small]
    values = [model.value(e)[small] for e in (box.lower, box.upper)]
    chord = (values[1] - values[0]) / (high - low)
    L = model.steepest

    def norms(x: np.ndarray) -> np.ndarray:
        return np.sqrt(np.add.reduceat(x * x, starts))

    point, t = v, 1.0
    for k in range(STEPS):
        moved = point - (M @ point - target) / L
        length = norms(moved)
        kept = np.maximum(np.minimum(length, low), np.minimum(length - chord / L, high))
        new = moved * np.repeat(kept / np.where(length > 0, length, 1.0), sizes)
        if (new - v) @ (point - new) > 0:
            t = 1.0
        following = (1 + (1 + 4 * t * t) ** 0.5) / 2
        point, v, t = new + (t - 1) / following * (new - v), new, following
        if k % 8 == 7:
            Mv = M @ v
            pull = norms(Mv - target)
            dual = -float(v @ Mv) / 2 + float(np.minimum(values[0] - pull * low, values[1] - pull * high).sum())
            primal = float(v @ Mv) / 2 - float(target @ v)
            primal += float((values[0] + chord * np.maximum(norms(v) - low, 0)).sum())
            if dual >= cut or primal - dual <= 0.05 * (cut - dual):
                break
    return v
