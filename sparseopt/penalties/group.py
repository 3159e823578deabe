"""Radial group penalties: a scalar penalty of every group's norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, as_float, is_numpy, namespace, positive_scalar, safe_divide, write
from ..groups import Groups
from .exp_mask import ExpMask
from .linear import Linear
from .log import Log
from .power import Power
from .scalar import ScalarPenalty


class GroupPenalty:
    """sum_g lam * weights[g] * rho(|w_g|_2), with |w_g|_2 the norm of a group (Frobenius norm for w [p, T]).

    rho: scalar penalty at unit strength.  lam: > 0, finite.  weights: "sqrt" (square root of the number of
    coefficients in the group's rows), "none" (all 1) or an array [G] of positive, finite numbers.

    strength: [G] = lam * weights.  Immutable.  Raises ValueError for another lam or weights.
    """

    def __init__(self, rho: ScalarPenalty, lam: float, groups: Groups, weights: Any = "sqrt") -> None:
        self.rho = rho
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
        return 0.0 if self.convex else float(self.strength.max() * self.rho.weak_convexity)

    @property
    def slope0(self) -> np.ndarray:
        """Derivative along a group at zero [G]; inf where the penalty has infinite slope."""
        return self.strength * self.rho.slope0

    def with_lam(self, lam: float) -> GroupPenalty:
        """The same penalty at another strength."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"lam": positive_scalar(lam, "lam")}
        other.strength = other.lam * other.weights
        return other

    def value(self, w: Array) -> Array:
        """Penalty of w [p] or [p, T]; a scalar array (a NumPy float for NumPy input)."""
        xp = namespace(w)
        return xp.sum(self._strengths(w) * self.rho.value(self.groups.norms(w)))

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """argmin over w of |w - v|^2 / 2 + step * penalty(w), a global minimiser also where rho is not convex.

        v: [p] or [p, T].  step: > 0, a number.  Returns the shape and dtype of v.  Each group keeps its direction:
        w_g = v_g * rho.prox(|v_g|, step * strength_g) / |v_g|.  Error a few ulp of |v_g|.
        """
        norms = self.groups.norms(v)
        shrunk = self.rho.prox(norms, step * self._strengths(v))
        return write(self.groups.scale(v, safe_divide(shrunk, norms)) + 0.0, out)  # + 0.0 turns -0.0 into 0.0

    def violation(self, w: Array, gradient: Array) -> Array:
        """Distance of -gradient_g to the subdifferential of the penalty at w, for every group.

        w, gradient: [p] or [p, T], gradient of the smooth part at w.  Returns [G] >= 0, in units of the gradient;
        0 at a zero group whose slope is infinite, where every gradient is a subgradient.
        """
        xp = namespace(w, gradient)
        strengths, norms = self._strengths(w), self.groups.norms(w)
        zero = norms == 0
        positive = xp.where(zero, xp.ones_like(norms), norms)
        pull = strengths * self.rho.slope(positive)
        moved = self.groups.norms(gradient + self.groups.scale(self.groups.divide(w, positive), pull))
        at_zero = xp.clip(self.groups.norms(gradient) - strengths * self.rho.slope0, min=0)
        return xp.where(zero, at_zero, moved)

    def _strengths(self, w: Array) -> Array:
        xp = namespace(w)
        if is_numpy(xp):
            return self.strength.astype(w.dtype, copy=False)
        return xp.asarray(self.strength.copy(), dtype=w.dtype, device=getattr(w, "device", None))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lam={self.lam:g}, rho={self.rho!r}, {self.groups!r})"


class GroupLasso(GroupPenalty):
    """lam * sum_g weights[g] * |w_g|_2, the group LASSO.  Convex.  Source: Yuan and Lin (2006)."""

    def __init__(self, lam: float, groups: Groups, weights: Any = "sqrt") -> None:
        super().__init__(Linear(), lam, groups, weights)


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


def _checked_groups(groups: Any) -> Groups:
    if not isinstance(groups, Groups):
        raise ValueError(
            f"groups is a {type(groups).__name__}: give a sparseopt.Groups, e.g. Groups.from_sizes([3, 2])"
        )
    return groups


def _resolve_weights(weights: Any, groups: Groups) -> np.ndarray:
    if isinstance(weights, str):
        if weights not in ("sqrt", "none"):
            raise ValueError(f'weights is {weights!r}: allowed are "sqrt", "none" or an array [{groups.n_groups}]')
        return np.sqrt(groups.sizes) if weights == "sqrt" else np.ones(groups.n_groups)
    array = as_float(weights, "weights", ndim=1).astype(np.float64)
    if len(array) != groups.n_groups:
        raise ValueError(f"weights has {len(array)} entries, but there are {groups.n_groups} groups")
    if (array <= 0).any():
        g = int(np.argmax(array <= 0))
        raise ValueError(f"weights[{g}] is {array[g]}: weights must be positive")
    return array
