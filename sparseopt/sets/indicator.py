"""A set in the place of a penalty."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._array import Array, described, namespace, write
from ..groups import Groups
from .entries import checked_array, euclidean


class Indicator:
    """The penalty that is 0 on a set and inf elsewhere, over coefficients w [p] or [p, T].

    set: any object with `project`, `contains`, `distance`, `support` and `convex`, e.g. `TopGroups(k, groups)`.
    shape: of the coefficients, which must fit the set.  groups: those of the set, else one for each coefficient.
    `prox` is the projection, `conjugate` the support function, so that solvers and duality gaps work as for penalties.
    lam: NaN, a set has no strength.  Raises ValueError for what is no set, and for a shape that does not fit.
    """

    lam = math.nan

    def __init__(self, set: Any, shape: tuple[int, ...]) -> None:
        self.set = checked_set(set)
        groups = getattr(set, "groups", None)
        self.groups = groups if isinstance(groups, Groups) else Groups.uniform(shape[0], 1)
        set.support(np.zeros(shape))

    @property
    def convex(self) -> bool:
        """Whether the set is convex; False for mask sets that keep all entries or none, which allow no duality gap.

        Their support function is 0 or inf, so that they are treated like other mask sets: by stationarity.
        """
        return bool(self.set.convex) and not getattr(self.set, "keeps_entries", False)

    @property
    def weak_convexity(self) -> float:
        """0 for a convex set, else inf."""
        return 0.0 if self.convex else math.inf

    @property
    def slope0(self) -> np.ndarray:
        """Zeros [G]: within the set the penalty is flat."""
        return np.zeros(self.groups.n_groups)

    def value(self, w: Array) -> float:
        """0 in the set (up to rounding for convex sets), inf elsewhere, also where w is not finite."""
        return 0.0 if _finite(w) and self.set.contains(w) else math.inf

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """Projection of v onto the set, whatever the step; NaN where v is not finite, as in a diverging iteration."""
        return self.set.project(v, out=out) if _finite(v) else write(v * math.nan, out)

    def conjugate(self, y: Array) -> float:
        """Support function: max of <w, y> over the set, for convex sets that have it, else ValueError."""
        if not hasattr(self.set, "support_function"):
            raise ValueError(f"{self.set!r} has no support_function, which a duality gap needs: give it one")
        return float(self.set.support_function(y))

    def violation(self, w: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Norms [G] of what moves w in the descent direction -gradient within the set; inf outside of it.

        Mask sets: the projection of -gradient onto the tangent cone, the union of the subspaces that contain w; it is 0
        where no direction in the set descends.  Others: w - project(w - gradient), a lower bound of that.
        """
        if not self.set.contains(w):
            return np.full(self.groups.n_groups, math.inf)
        if not getattr(self.set, "keeps_entries", False):
            return self.groups.norms(w - self.set.project(w - gradient))
        certain = 2 * euclidean(checked_array(gradient)) or 1.0
        free = self.set.support(np.where(w != 0, certain, gradient))
        return self.groups.norms(np.where(free, gradient, 0.0))

    def with_lam(self, lam: float) -> Indicator:
        """Refused: a set has no strength."""
        raise ValueError(f"{self.set!r} has no strength lam: change the set itself, e.g. its radius or k")

    def __repr__(self) -> str:
        return f"Indicator({self.set!r})"


def _finite(v: Array) -> bool:
    xp = namespace(v)
    return bool(xp.all(xp.isfinite(v)))


def is_set(value: Any) -> bool:
    """Whether `value` is an object with what a set has to have."""
    needed = ("project", "contains", "distance", "support")
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in needed)


def checked_set(value: Any) -> Any:
    """`value`; ValueError unless it is a set."""
    if not is_set(value):
        raise ValueError(f"set is {described(value)}: give a set, e.g. sparseopt.sets.TopGroups(3, groups)")
    return value
