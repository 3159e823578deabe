"""lam * q^{-1}(sum_g q(|w_g|)): the regulariser of Theorem 1.1 of SequentialAttention++."""

from __future__ import annotations

from .._array import Array, floating, namespace, positive_scalar
from ..groups import Groups
from .group import _checked_groups
from .group_lasso import GroupLasso
from .scalar import ScalarPenalty, checked_rho


class InverseSum:
    """R(w) = lam * q^{-1}(sum_g q(|w_g|_2)), unweighted, for an increasing scalar penalty q with q(0) = 0.

    lam: > 0, finite.  rho: the scalar penalty q; its `inverse` is the generalised inverse inf{t: q(t) >= y}, so R is
    +inf where a bounded q cannot reach the sum.  For subadditive q the regulariser is at least the group LASSO
    lam * sum_g |w_g|_2, with equality for at most one active group (Lemmas 2.4 and 2.5); `certify.global_gap` turns
    that into a certificate of global optimality.

    The penalty does not split over groups and has no prox here: solve `problem.with_penalty(penalty.companion)` and
    certify.  Source: SequentialAttention++ (arXiv 2402.17902), equation (1); generalised inverse: ledger A8.
    """

    convex = False
    weak_convexity = float("inf")

    def __init__(self, lam: float, groups: Groups, rho: ScalarPenalty) -> None:
        self.lam = positive_scalar(lam, "lam")
        self.groups = _checked_groups(groups)
        self.rho = checked_rho(rho, "value", "slope", "inverse")

    @property
    def companion(self) -> GroupLasso:
        """The unweighted group LASSO with the same lam, of which Theorem 1.1 speaks."""
        return GroupLasso(self.lam, self.groups, weights="none")

    def with_lam(self, lam: float) -> InverseSum:
        """The same penalty at another strength."""
        return InverseSum(lam, self.groups, self.rho)

    def value(self, w: Array) -> Array:
        """R(w) for w [p] or [p, T]; +inf where q does not reach the sum.  Exactly lam |w_g| with one active group."""
        w = floating(w)
        xp = namespace(w)
        norms = self.groups.norms(w)
        total = xp.sum(self.rho.value(norms))
        largest = xp.max(norms)
        combined = self.rho.inverse(xp.reshape(total, (1,)))[0]
        single = xp.sum(xp.astype(norms > 0, norms.dtype)) <= 1
        return self.lam * xp.where(single, largest, combined)

    def gradient(self, w: Array) -> Array:
        """Gradient of R at a w [p] or [p, T] whose active groups have finite slope; zero groups get 0.

        lam * q'(|w_g|) / q'(r) * w_g / |w_g| with r = R(w) / lam.  Raises ValueError where R(w) is +inf.
        """
        w = floating(w)
        xp = namespace(w)
        norms = self.groups.norms(w)
        active = norms > 0
        positive = xp.where(active, norms, xp.ones_like(norms))
        slopes = xp.where(active, self.rho.slope(positive), xp.zeros_like(norms))
        radius = xp.reshape(self.value(w) / self.lam, (1,))
        if float(radius[0]) == float("inf"):
            raise ValueError(f"{self!r} is +inf at this w, out of reach of q: take the gradient at a smaller w")
        outer = self.rho.slope(xp.where(radius > 0, radius, xp.ones_like(radius)))
        return self.lam * self.groups.scale(self.groups.divide(w, positive), slopes / outer)

    def critical_lam(self, c: Array) -> float:
        """Smallest lam at which 0 is stationary along every direction for the gradient -c [p] or [p, T]: max_g |c_g|.

        Along a single group R is lam |w_g|, and no direction is cheaper where rho is subadditive near 0, as it is for
        rho'(0+) > 0.  Raises ValueError for rho'(0+) = 0.
        """
        c = floating(c)
        if not self.rho.slope0 > 0:
            raise ValueError(f"{self.rho!r} has slope 0 at 0 and is not subadditive there: choose lam directly")
        return self.companion.critical_lam(c)

    def __repr__(self) -> str:
        return f"InverseSum(lam={self.lam:g}, rho={self.rho!r}, {self.groups!r})"
