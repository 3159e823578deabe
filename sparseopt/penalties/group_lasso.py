"""The group LASSO, with non-negative coefficients as an option."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, checked_flag, clip, floating, namespace
from ..groups import Groups
from .group import GroupPenalty
from .linear import Linear


class GroupLasso(GroupPenalty):
    """lam * sum_g weights[g] * |w_g|_2, the group LASSO.  Convex.

    positive: only w >= 0 is allowed; the penalty is inf elsewhere.  Source: Yuan and Lin (2006).
    """

    def __init__(self, lam: float, groups: Groups, weights: Any = "sqrt", positive: bool = False) -> None:
        super().__init__(Linear(), lam, groups, weights)
        self.positive = checked_flag(positive, "positive")

    def value(self, w: Array) -> Array:
        """Penalty of w [p] or [p, T]; inf for a negative entry where positive=True."""
        w = floating(w)
        xp, total = namespace(w), super().value(w)
        if not self.positive:
            return total
        return xp.where(xp.any(w < 0), xp.full_like(total, float("inf")), total)

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """v_g (1 - step strength_g / |v_g|)_+, of the positive part of v if positive=True.  Error a few ulp.

        With the constraint: the minimiser is 0 where v_j <= 0, and there the remaining problem does not see v_j.
        """
        v = floating(v)
        return super().prox(clip(v, min=0) if self.positive else v, step, out)

    def violation(self, w: Array, gradient: Array) -> Array:
        """Distance [G] of -gradient_g to the subdifferential at w; inf at a negative entry where positive=True.

        With the constraint a zero coordinate has the subgradients (-inf, 0], so a positive gradient counts for nothing.
        """
        w, gradient = floating(w), floating(gradient)
        if not self.positive:
            return super().violation(w, gradient)
        xp = namespace(w, gradient)
        distance = super().violation(w, xp.where(w > 0, gradient, clip(gradient, max=0)))
        negative = self.groups.norms(clip(w, max=0)) > 0
        return xp.where(negative, xp.full_like(distance, float("inf")), distance)

    def critical_lams(self, c: Array) -> np.ndarray:
        """Smallest lam at which each group is 0 for the gradient -c [G]: |c_g| / weights[g], of (c)_+ if positive."""
        c = floating(c)
        return super().critical_lams(clip(c, min=0) if self.positive else c)
