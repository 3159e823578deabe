"""lam * q^{-1}(sum_g q(|w_g|)): the regulariser of Theorem 1.1 of SequentialAttention++."""

from __future__ import annotations

from .._array import Array, floating, namespace, positive_scalar
from ..groups import Groups
from .group import _checked_groups
from .group_lasso import GroupLasso
from .k_support import KSupport
from .scalar import ScalarPenalty, checked_rho
from .square import Square


class InverseSum:
    """R(w) = lam * h(q^{-1}(sum_g q(|w_g|_2))), unweighted, for an increasing scalar penalty q with q(0) = 0.

    lam: > 0, finite.  rho: the scalar penalty q; its `inverse` is the generalised inverse inf{t: q(t) >= y}, so R is
    +inf where a bounded q cannot reach the sum.  outer: h, a nondecreasing scalar penalty such as `Square()`; None is
    the identity.  For subadditive q the regulariser is at least the group LASSO
    lam * sum_g |w_g|_2, with equality for at most one active group (Lemmas 2.4 and 2.5); `certify.global_gap` turns
    that into a certificate of global optimality.  With an outer h the same holds for lam * h(sum_g |w_g|) (ledger A7).

    The penalty does not split over groups and has no prox here: solve `problem.with_penalty(penalty.companion)` and
    certify.  Source: SequentialAttention++ (arXiv 2402.17902), equation (1); generalised inverse: ledger A8.
    """

    convex = False
    weak_convexity = float("inf")

    def __init__(self, lam: float, groups: Groups, rho: ScalarPenalty, outer: ScalarPenalty | None = None) -> None:
        self.lam = positive_scalar(lam, "lam")
        self.groups = _checked_groups(groups)
        self.rho = checked_rho(rho, "value", "slope", "inverse")
        self.outer = None if outer is None else checked_rho(outer, "value", "slope")

    @property
    def companion(self) -> GroupLasso | KSupport:
        """The convex penalty lam h(sum_g |w_g|) of Theorem 1.1: the unweighted group LASSO, for h = t^2 its square.

        Raises ValueError for another outer function.
        """
        if isinstance(self.outer, Square):
            return KSupport(self.lam, self.groups, k=1)
        if self.outer is not None:
            raise ValueError(f"the companion of {self!r} is not known: use outer=None or outer=Square()")
        return GroupLasso(self.lam, self.groups, weights="none")

    def with_lam(self, lam: float) -> InverseSum:
        """The same penalty at another strength."""
        return InverseSum(lam, self.groups, self.rho, self.outer)

    def value(self, w: Array) -> Array:
        """R(w) for w [p] or [p, T]; +inf where q does not reach the sum.  Exactly lam h(|w_g|) for one active group."""
        w = floating(w)
        radius = self._radius(w)
        return self.lam * (radius if self.outer is None else self.outer.value(radius))

    def _radius(self, w: Array) -> Array:
        """q^{-1}(sum_g q(|w_g|)), a scalar array."""
        xp = namespace(w)
        norms = self.groups.norms(w)
        total = xp.sum(self.rho.value(norms))
        largest = xp.max(norms)
        combined = self.rho.inverse(xp.reshape(total, (1,)))[0]
        single = xp.sum(xp.astype(norms > 0, norms.dtype)) <= 1
        return xp.where(single, largest, combined)

    def gradient(self, w: Array) -> Array:
        """Gradient of R at a w [p] or [p, T] whose active groups have finite slope; zero groups get 0.

        lam * h'(r) * q'(|w_g|) / q'(r) * w_g / |w_g| with r = q^{-1}(sum q).  Raises ValueError where R(w) is +inf.
        """
        w = floating(w)
        xp = namespace(w)
        norms = self.groups.norms(w)
        active = norms > 0
        positive = xp.where(active, norms, xp.ones_like(norms))
        slopes = xp.where(active, self.rho.slope(positive), xp.zeros_like(norms))
        radius = xp.reshape(self._radius(w), (1,))
        if float(radius[0]) == float("inf"):
            raise ValueError(f"{self!r} is +inf at this w, out of reach of q: take the gradient at a smaller w")
        outer = self.rho.slope(xp.where(radius > 0, radius, xp.ones_like(radius)))
        if self.outer is not None:
            outer = outer / self.outer.slope(radius)
        return self.lam * self.groups.scale(self.groups.divide(w, positive), slopes / outer)

    def critical_lam(self, c: Array) -> float:
        """Smallest lam at which 0 is stationary along every direction for the gradient -c [p] or [p, T]: max_g |c_g|.

        Along a single group R is lam |w_g|, and no direction is cheaper where rho is subadditive near 0, as it is for
        rho'(0+) > 0.  Raises ValueError for rho'(0+) = 0.
        """
        c = floating(c)
        if not self.rho.slope0 > 0:
            raise ValueError(f"{self.rho!r} has slope 0 at 0 and is not subadditive there: choose lam directly")
        if self.outer is not None:
            raise ValueError(f"with the outer {self.outer!r} no single strength is critical: choose lam directly")
        return self.companion.critical_lam(c)

    def __repr__(self) -> str:
        outer = "" if self.outer is None else f", outer={self.outer!r}"
        return f"InverseSum(lam={self.lam:g}, rho={self.rho!r}, {self.groups!r}{outer})"
