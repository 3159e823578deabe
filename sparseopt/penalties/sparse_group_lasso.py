"""The sparse group LASSO: l_1 norm plus group LASSO."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, clip, floating, namespace, positive_scalar, real_number
from ..groups import Groups
from .group import _checked_groups, _resolve_weights
from .group_lasso import GroupLasso


class SparseGroupLasso:
    """lam * (l1_ratio |w|_1 + (1 - l1_ratio) sum_g weights[g] |w_g|_2).  Convex; w [p] or [p, T].

    l1_ratio: in [0, 1]; 0 is the group LASSO, 1 the LASSO.  lam: > 0, finite.  weights: "sqrt", "none" or [G] >= 0, of
    the group part alone (0: only the l_1 part is left; inf: the group is forced out, whatever l1_ratio).

    strength: [G] = lam (1 - l1_ratio) weights.  l1: lam * l1_ratio.  lasso: the group part, a GroupLasso with lam.
    Everything is that of the group part after a soft threshold, since the l_1 norm is separable.  Immutable.
    Raises ValueError for another lam, l1_ratio or weights.
    Source: Simon, Friedman, Hastie and Tibshirani, A sparse-group lasso (2013).
    """

    convex = True
    weak_convexity = 0.0

    def __init__(self, lam: float, groups: Groups, l1_ratio: float = 0.5, weights: Any = "sqrt") -> None:
        self.lam = positive_scalar(lam, "lam")
        self.groups = _checked_groups(groups)
        self.l1_ratio = _ratio(l1_ratio)
        self.weights = _resolve_weights(weights, groups)
        self.l1 = self.lam * self.l1_ratio
        forced_out = np.isinf(self.weights)
        shares = np.where(forced_out, np.inf, (1 - self.l1_ratio) * np.where(forced_out, 0.0, self.weights))
        self.lasso = GroupLasso(self.lam, groups, shares)
        self.strength = self.lasso.strength

    @property
    def slope0(self) -> np.ndarray:
        """Smallest derivative along a direction of a group at zero [G]: l1 + strength, reached along a coordinate."""
        return self.l1 + self.strength

    @property
    def unpenalised(self) -> np.ndarray:
        """Indices of the groups with neither part of the penalty, increasing."""
        return np.flatnonzero(self.slope0 == 0)

    def with_lam(self, lam: float) -> SparseGroupLasso:
        """The same penalty at another strength."""
        return SparseGroupLasso(lam, self.groups, self.l1_ratio, self.weights)

    def restrict(self, groups: np.ndarray) -> SparseGroupLasso:
        """The same penalty on the coefficients of the groups with these increasing indices [k] (`Groups.restrict`)."""
        return SparseGroupLasso(self.lam, self.groups.restrict(groups), self.l1_ratio, self.weights[groups])

    def value(self, w: Array) -> Array:
        """Penalty of w [p] or [p, T]; a scalar array (a NumPy float for NumPy input)."""
        w = floating(w)
        xp = namespace(w)
        return self.l1 * xp.sum(xp.abs(w)) + self.lasso.value(w)

    def prox(self, v: Array, step: float = 1.0, out: Array | None = None) -> Array:
        """argmin over w of |w - v|^2 / 2 + step * penalty(w): soft threshold of every entry, then of every group.

        v: [p] or [p, T].  step: > 0, a number.  Returns the shape and dtype of v.  Error a few ulp of |v_g|.
        Source: the composition is exact, Friedman, Hastie and Tibshirani (arXiv 1001.0736) in its fixed points.
        """
        v = floating(v)
        return self.lasso.prox(_soft(v, step * self.l1), step, out)

    def violation(self, w: Array, gradient: Array) -> Array:
        """Distance [G] of -gradient_g to the subdifferential of the penalty at w, in units of the gradient.

        w, gradient: [p] or [p, T].  A coordinate at zero takes l1 off its gradient; for a zero group the
        subdifferential is the sum of a box and a ball, so that the soft-thresholded gradient has to fit into the ball.
        """
        w, gradient = floating(w), floating(gradient)
        xp = namespace(w, gradient)
        rest = xp.where(w == 0, _soft(gradient, self.l1), gradient + self.l1 * xp.sign(w))
        return self.lasso.violation(w, rest)

    def critical_lam(self, c: Array) -> float:
        """Smallest lam at which 0 is optimal for the gradient -c [p] or [p, T]: the dual norm for lam = 1.

        max_g of the mu_g with |(|c_g| - l1_ratio mu)_+|_2 = (1 - l1_ratio) weights[g] mu, found exactly: the entries
        above the threshold are a leading part of the sorted ones, and on it the equation is quadratic.  Relative error
        a few ulp.  Source: the epsilon-norm of Burdakov (1988); Ndiaye et al., GAP safe screening for the sparse-group
        lasso (2016).
        """
        return float(self.critical_lams(c).max())

    def critical_lams(self, c: Array) -> np.ndarray:
        """The same for each group alone [G]."""
        c = floating(c)
        groups, ball = self.groups, self.lasso.weights
        c = np.abs(np.asarray(c, dtype=np.float64)).reshape(groups.n_features, -1)
        roots = np.zeros(groups.n_groups)
        for size in np.unique(groups.sizes):
            chosen = np.flatnonzero(groups.sizes == size)
            members = groups.index[groups.offsets[chosen, None] + np.arange(size)]
            rows = c[members].reshape(len(chosen), -1)
            roots[chosen] = _roots(rows, self.l1_ratio, ball[chosen])
        return roots

    def dual_limit(self, c: Array) -> float:
        """Largest alpha such that alpha * c [p] or [p, T] is dual feasible; inf for c = 0."""
        critical = self.critical_lam(c)
        return self.lam / critical if critical > 0 else np.inf

    def __repr__(self) -> str:
        return f"SparseGroupLasso(lam={self.lam:g}, l1_ratio={self.l1_ratio:g}, {self.groups!r})"


def _ratio(value: Any) -> float:
    if 0 <= real_number(value) <= 1:
        return float(value)
    raise ValueError(f"l1_ratio is {value!r}: give a number from 0 (group LASSO) to 1 (LASSO)")


def _soft(v: Array, threshold: float) -> Array:
    """sign(v) max(|v| - threshold, 0) for v [...]."""
    xp = namespace(v)
    return xp.sign(v) * clip(xp.abs(v) - threshold, min=0)


def _roots(c: np.ndarray, box: float, ball: np.ndarray) -> np.ndarray:
    """The mu [B] with |(c - box mu)_+|_2 = ball mu for each row of c [B, m] >= 0; ball: [B] in [0, inf].

    0 for a zero row or an infinite ball, inf for another row where box = ball = 0.
    """
    largest = c.max(axis=1)
    free = (largest > 0) & (box + ball == 0)
    usual = (largest > 0) & (ball < np.inf) & ~free
    scale, ball = np.where(usual, largest, 1.0), np.where(usual, ball, 1.0)[:, None]
    c = -np.sort(-np.where(usual[:, None], c, 1.0) / scale[:, None], axis=1)
    kept = np.arange(c.shape[1]) < (_excess(c, box, ball) <= 0).sum(axis=1, keepdims=True)
    count, total = kept.sum(axis=1, keepdims=True), (kept * c).sum(axis=1, keepdims=True)
    square, spread = ((kept * d**2).sum(axis=1, keepdims=True) for d in (c, c - total / count))
    # sum over the kept entries of (c - box mu)^2 = (ball mu)^2, solved for 1 / mu
    root = np.sqrt(np.maximum(ball**2 * square - box**2 * count * spread, 0))
    inverse = ((box * total + root) / square)[:, 0]
    return np.where(usual, scale / inverse, np.where(free, np.inf, 0.0))


def _excess(c: np.ndarray, box: float, ball: np.ndarray) -> np.ndarray:
    """box^2 (|(c - box mu)_+|^2 - (ball mu)^2) at mu = c_k / box for every k, c [B, m] decreasing in rows; rising in k.

    At most 0 exactly for the entries that are above the threshold at the root (the first always is).  The sums over
    i <= k of (c_i - c_k) and of their squares are built from differences of neighbours: only additions of numbers >= 0.
    """
    drop, counts = -np.diff(c, axis=1), np.arange(1, c.shape[1])
    first = np.cumsum(counts * drop, axis=1)
    second = np.cumsum(2 * drop * (first - counts * drop) + counts * drop**2, axis=1)
    return box**2 * np.concatenate([np.zeros_like(ball), second], axis=1) - (ball * c) ** 2
