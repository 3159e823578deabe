"""The group elastic net: group LASSO plus a ridge."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, floating, namespace, positive_scalar, write
from ..groups import Groups
from .group_lasso import GroupLasso


class GroupElasticNet:
    """lam * sum_g weights[g] |w_g|_2 + l2 / 2 |w|_2^2.  Strongly convex with modulus l2; w [p] or [p, T].

    lam, l2: > 0, finite; lam does not multiply the ridge.  weights: "sqrt", "none" or [G] >= 0 (0: ridge only; inf: the
    group is forced out).

    strength: [G] = lam * weights.  strong_convexity: l2.  lasso: the group LASSO part, from which all else follows.
    Immutable.  Raises ValueError for another lam, l2 or weights.
    Source: Zou and Hastie, Regularization and variable selection via the elastic net (2005), with group norms.
    """

    convex = True
    weak_convexity = 0.0

    def __init__(self, lam: float, groups: Groups, l2: float = 1.0, weights: Any = "sqrt") -> None:
        self.lasso = GroupLasso(lam, groups, weights)
        self.l2 = self.strong_convexity = positive_scalar(l2, "l2")
        self.lam, self.groups = self.lasso.lam, groups
        self.weights, self.strength = self.lasso.weights, self.lasso.strength

    @property
    def slope0(self) -> np.ndarray:
        """Derivative along a group at zero [G]: strength."""
        return self.strength

    @property
    def unpenalised(self) -> np.ndarray:
        """Indices of the groups with weight 0, which only the ridge shrinks, increasing."""
        return self.lasso.unpenalised

    def with_lam(self, lam: float) -> GroupElasticNet:
        """The same penalty at another lam, with the same ridge."""
        return GroupElasticNet(lam, self.groups, self.l2, self.weights)

    def restrict(self, groups: np.ndarray) -> GroupElasticNet:
        """The same penalty on the coefficients of the groups with these increasing indices [k] (`Groups.restrict`)."""
        return GroupElasticNet(self.lam, self.groups.restrict(groups), self.l2, self.weights[groups])

    def with_groups(self, groups: Groups) -> GroupElasticNet:
        """The same penalty, with the same weights, of as many groups of other coefficients; else ValueError."""
        return GroupElasticNet(self.lam, groups, self.l2, self.weights)

    def value(self, w: Array) -> Array:
        """Penalty of w [p] or [p, T]; a scalar array (a NumPy float for NumPy input)."""
        w = floating(w)
        return self.lasso.value(w) + self.l2 / 2 * namespace(w).sum(w * w)

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """argmin over w of |w - v|^2 / 2 + step * penalty(w): the group soft threshold, divided by 1 + step l2.

        v: [p] or [p, T].  step: > 0, a number.  Returns the shape and dtype of v.  Error a few ulp of |v_g|.
        """
        v = floating(v)
        return write(self.lasso.prox(v, step) / (1 + step * self.l2), out)

    def violation(self, w: Array, gradient: Array) -> Array:
        """Distance [G] of -gradient_g to the subdifferential at w [p] or [p, T]; the ridge joins the gradient."""
        w, gradient = floating(w), floating(gradient)
        return self.lasso.violation(w, gradient + self.l2 * w)

    def conjugate(self, c: Array) -> float:
        """sup over w of <c, w> - penalty(w) = sum_g max(|c_g| - strength_g, 0)^2 / (2 l2), for c [p] or [p, T]."""
        c = floating(c)
        norms = np.asarray(self.groups.norms(c), dtype=np.float64)
        return float((np.maximum(norms - self.strength, 0) ** 2).sum() / (2 * self.l2))

    def critical_lam(self, c: Array) -> float:
        """Smallest lam at which 0 is optimal for the gradient -c [p] or [p, T]: max_g |c_g| / weights[g]."""
        c = floating(c)
        return self.lasso.critical_lam(c)

    def critical_lams(self, c: Array) -> np.ndarray:
        """The same for each group alone [G]."""
        return self.lasso.critical_lams(c)

    def dual_limit(self, c: Array) -> float:
        """inf: the conjugate is finite everywhere."""
        return np.inf

    def __repr__(self) -> str:
        return f"GroupElasticNet(lam={self.lam:g}, l2={self.l2:g}, {self.groups!r})"
