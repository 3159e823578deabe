"""Radial group penalties: a scalar penalty of every group's norm."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .._array import (
    Array,
    as_float,
    clip,
    described,
    floating,
    is_numpy,
    namespace,
    positive_scalar,
    safe_divide,
    write,
)
from ..groups import Groups
from . import strength as at_strength
from .exp_mask import ExpMask
from .l0 import L0
from .log import Log
from .mcp import MCP
from .power import Power
from .scad import SCAD
from .scalar import ScalarPenalty, checked_rho


class GroupPenalty:
    """sum_g lam * weights[g] * rho(|w_g|_2), with |w_g|_2 the norm of a group (Frobenius norm for w [p, T]).

    rho: scalar penalty at unit strength; where it scales its argument (MCP, SCAD) the sum is that of
    s_g^2 rho(|w_g| / s_g), s_g = lam * weights[g].  lam: > 0, finite.  weights: "sqrt" (square root of the number of
    coefficients in the group's rows), "none" (all 1) or an array [G] of numbers >= 0: 0 leaves a group unpenalised, inf
    forces it out (penalty 0 at 0, inf elsewhere).

    strength: [G] = lam * weights.  Immutable.  Raises ValueError for another rho, lam or weights.
    """

    def __init__(self, rho: ScalarPenalty, lam: float, groups: Groups, weights: Any = "sqrt") -> None:
        self.rho = checked_rho(rho, "value", "slope", "prox")
        self.lam = positive_scalar(lam, "lam")
        self.groups = _checked_groups(groups)
        self.weights = _resolve_weights(weights, groups)
        self.strength = self.lam * self.weights

    @property
    def convex(self) -> bool:
        """Whether the penalty is a convex function of w."""
        return bool(self.rho.convex)

    @property
    def weak_convexity(self) -> float:
        """Smallest kappa such that the penalty plus kappa |w|^2 / 2 is convex; inf when there is none."""
        regular = self.strength[(self.strength > 0) & (self.strength < np.inf)]
        if self.convex or len(regular) == 0:
            return 0.0
        return float((1.0 if at_strength.scales_argument(self.rho) else regular.max()) * self.rho.weak_convexity)

    @property
    def slope0(self) -> np.ndarray:
        """Derivative along a group at zero [G]; inf where the penalty has infinite slope."""
        slope = float(getattr(self.rho, "slope0", np.nan))
        if 0 < slope < np.inf:  # also where the argument is scaled
            return slope * self.strength
        return at_strength.slope(self.rho, np.zeros(len(self.strength)), self.strength)

    @property
    def unpenalised(self) -> np.ndarray:
        """Indices of the groups with weight 0, increasing."""
        return np.flatnonzero(self.weights == 0)

    def with_lam(self, lam: float) -> Self:
        """The same penalty at another strength."""
        lam = positive_scalar(lam, "lam")
        return self._replace(lam=lam, strength=lam * self.weights)

    def restrict(self, groups: np.ndarray) -> Self:
        """The same penalty on the coefficients of the groups with these increasing indices [k] (`Groups.restrict`)."""
        return self._replace(
            groups=self.groups.restrict(groups), weights=self.weights[groups], strength=self.strength[groups]
        )

    def with_groups(self, groups: Groups) -> Self:
        """The same penalty, with the same weights, of as many groups of other coefficients; else ValueError."""
        if groups.n_groups != self.groups.n_groups:
            raise ValueError(f"there are {groups.n_groups} groups, but weights for {self.groups.n_groups}")
        return self._replace(groups=groups)

    def value(self, w: Array) -> Array:
        """Penalty of w [p] or [p, T]; a scalar array (a NumPy float for NumPy input)."""
        w = floating(w)
        return namespace(w).sum(at_strength.value(self.rho, self.groups.norms(w), self._strengths(w)))

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """argmin over w of |w - v|^2 / 2 + step * penalty(w), a global minimiser also where rho is not convex.

        v: [p] or [p, T].  step: >= 0, a number.  Returns the shape and dtype of v, float64 for integers.  Each group
        keeps its direction: w_g = v_g * rho.prox(|v_g|, step * strength_g) / |v_g|.  Error a few ulp of |v_g|.
        Raises ValueError for step < 0 and for an `out` of another shape or dtype.
        """
        v = floating(v)
        norms = self.groups.norms(v)
        shrunk = at_strength.prox(self.rho, norms, self._strengths(v), step)
        return write(self.groups.scale(v, safe_divide(shrunk, norms)) + 0.0, out)  # + 0.0 turns -0.0 into 0.0

    def violation(self, w: Array, gradient: Array) -> Array:
        """Distance of -gradient_g to the subdifferential of the penalty at w, for every group.

        w, gradient: [p] or [p, T], gradient of the smooth part at w.  Returns [G] >= 0, in units of the gradient;
        0 at a zero group whose slope is infinite, where every gradient is a subgradient; inf at a group that is forced
        out and is not zero.
        """
        w, gradient = floating(w), floating(gradient)
        xp = namespace(w, gradient)
        strengths, norms = self._strengths(w), self.groups.norms(w)
        zero = norms == 0
        slope0 = at_strength.slope(self.rho, xp.zeros_like(norms), strengths)
        if is_numpy(xp) and 4 * np.count_nonzero(norms) < len(norms):
            distance = np.clip(self.groups.norms(gradient) - slope0, 0, None)
            return self._with_active(distance, ~zero, w, gradient)
        moved = self._distance_where_active(w, gradient, norms)
        return xp.where(zero, clip(self.groups.norms(gradient) - slope0, min=0), moved)

    def _with_active(self, distance: np.ndarray, active: np.ndarray, w: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """`distance` [G] with the entries of the active groups (bool [G]) replaced by theirs."""
        if active.any():
            rows, few = np.flatnonzero(active[self.groups.labels]), self.restrict(np.flatnonzero(active))
            norms = few.groups.norms(w[rows])
            distance[active] = GroupPenalty._distance_where_active(few, w[rows], gradient[rows], norms)
        return distance

    def _distance_where_active(self, w: Array, gradient: Array, norms: Array) -> Array:
        """|gradient_g + slope w_g / |w_g|| [G] for the groups of these norms [G]; anything where a norm is 0."""
        xp = namespace(w, gradient)
        positive = xp.where(norms == 0, xp.ones_like(norms), norms)
        pull = at_strength.slope(self.rho, positive, self._strengths(w))
        out_of_domain = pull == float("inf")
        finite = xp.where(out_of_domain, xp.zeros_like(pull), pull)
        direction = self.groups.divide(w, positive)
        moved = self.groups.norms(gradient + self.groups.scale(direction, finite))
        return xp.where(out_of_domain, pull, moved)

    def critical_lam(self, c: Array) -> float:
        """Smallest lam at which 0 is stationary for the gradient -c: max_g |c_g| / (weights[g] * rho'(0+)).

        c: [p] or [p, T].  Unpenalised groups count as inf unless c_g = 0.  For convex penalties this is the dual norm
        (gauge) of the penalty with lam = 1.  Relative error a few ulp.  Raises ValueError when rho'(0+) is 0 or inf.
        """
        slope = float(self.rho.slope0)
        if not 0 < slope < np.inf:
            reason = "0 is never a solution" if slope == 0 else "0 is stationary for every lam"
            raise ValueError(f"{type(self).__name__} has slope {slope:g} at 0, so {reason}: choose lam directly")
        return float(self.critical_lams(c).max())

    def critical_lams(self, c: Array) -> np.ndarray:
        """`critical_lam` of each group alone [G]; rho'(0+) has to be positive and finite."""
        norms = np.asarray(self.groups.norms(floating(c)), dtype=np.float64)
        with np.errstate(divide="ignore"):
            ratios = np.where(norms > 0, norms / np.where(norms > 0, self.weights, 1.0), 0.0)
        return ratios / float(self.rho.slope0)

    def dual_limit(self, c: Array) -> float:
        """Largest alpha such that alpha * c is in the domain of the conjugate: |alpha c_g| <= strength_g rho'(0+).

        c: [p] or [p, T].  inf for c = 0; 0 where an unpenalised group has c_g != 0.  For convex rho.
        """
        critical = self.critical_lam(c)
        return self.lam / critical if critical > 0 else np.inf

    def _strengths(self, w: Array) -> Array:
        xp = namespace(w)
        if is_numpy(xp):
            return self.strength.astype(w.dtype, copy=False)
        return xp.asarray(self.strength.copy(), dtype=w.dtype, device=getattr(w, "device", None))

    def _replace(self, **changes: Any) -> Self:
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | changes
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lam={self.lam:g}, rho={self.rho!r}, {self.groups!r})"


class GroupLq(GroupPenalty):
    """lam * sum_g weights[g] * |w_g|_2^q with 0 < q < 1.  Nonconvex, zero is always locally optimal."""

    def __init__(self, lam: float, groups: Groups, q: float = 0.5, weights: Any = "sqrt") -> None:
        super().__init__(Power(q), lam, groups, weights)


class GroupLogSum(GroupPenalty):
    """lam * sum_g weights[g] * log(1 + |w_g|_2 / eps), eps > 0.  Nonconvex, weak convexity max strength / eps^2."""

    def __init__(self, lam: float, groups: Groups, eps: float = 1.0, weights: Any = "sqrt") -> None:
        super().__init__(Log(eps), lam, groups, weights)


class GroupExpMask(GroupPenalty):
    """lam * sum_g weights[g] * q(|w_g|_2) with the Lambert penalty q (`ExpMask`).  Nonconvex, never sparse."""

    def __init__(self, lam: float, groups: Groups, weights: Any = "sqrt") -> None:
        super().__init__(ExpMask(), lam, groups, weights)


class GroupMCP(GroupPenalty):
    """sum_g s_g^2 rho(|w_g|_2 / s_g) with s_g = lam * weights[g] and rho = `MCP(gamma)`.  Nonconvex.

    With norms t: s t - t^2 / (2 gamma) up to gamma s, gamma s^2 / 2 beyond; weak convexity 1 / gamma for every lam.
    Source: Breheny and Huang, Group descent algorithms for nonconvex penalized regression (2015).
    """

    def __init__(self, lam: float, groups: Groups, gamma: float = 3.0, weights: Any = "sqrt") -> None:
        super().__init__(MCP(gamma), lam, groups, weights)


class GroupSCAD(GroupPenalty):
    """sum_g s_g^2 rho(|w_g|_2 / s_g) with s_g = lam * weights[g] and rho = `SCAD(a)`.  Nonconvex, flat beyond a * s_g.

    Weak convexity 1 / (a - 1) for every lam.  Source: Breheny and Huang (2015), as for GroupMCP.
    """

    def __init__(self, lam: float, groups: Groups, a: float = 3.7, weights: Any = "sqrt") -> None:
        super().__init__(SCAD(a), lam, groups, weights)


class GroupL0(GroupPenalty):
    """lam * sum of weights[g] over the groups with w_g != 0.  Nonconvex and discontinuous; default weights "sqrt"."""

    def __init__(self, lam: float, groups: Groups, weights: Any = "sqrt") -> None:
        super().__init__(L0(), lam, groups, weights)


def _checked_groups(groups: Any) -> Groups:
    if not isinstance(groups, Groups):
        raise ValueError(f"groups is {described(groups)}: give a sparseopt.Groups, e.g. Groups.from_sizes([3, 2])")
    return groups


def _resolve_weights(weights: Any, groups: Groups) -> np.ndarray:
    if isinstance(weights, str):
        if weights not in ("sqrt", "none"):
            raise ValueError(f'weights is {weights!r}: allowed are "sqrt", "none" or an array [{groups.n_groups}]')
        return np.sqrt(groups.sizes) if weights == "sqrt" else np.ones(groups.n_groups)
    array = as_float(weights, "weights", ndim=1, finite=False).astype(np.float64)
    if len(array) != groups.n_groups:
        raise ValueError(f"weights has {len(array)} entries, but there are {groups.n_groups} groups")
    if not (array >= 0).all():
        g = int(np.argmin(array >= 0))
        raise ValueError(
            f"weights[{g}] is {array[g]}: weights are >= 0; 0 leaves a group unpenalised, inf forces it out"
        )
    return array
