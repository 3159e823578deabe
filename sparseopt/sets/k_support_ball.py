"""The ball of the k-support norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._array import Array, host, namespace, write
from ..k_support import norm
from .capped_simplex import capped_threshold
from .convex import ConvexSet
from .entries import checked_array, checked_count, checked_radius, double, euclidean, like

STEPS = 200
"""Steps allowed to the search for the multiplier; a dozen are usual, one in four halves the bracket."""


class KSupportBall(ConvexSet):
    """Arrays [...] of k-support norm <= radius: the convex hull of the k-sparse arrays with |w|_2 <= radius.

    radius: >= 0, finite.  k: integer >= 1; k = 1 is the l1 ball, k of the number of entries (or more) the l2 ball.
    The squared norm is min over theta of sum w_i^2 / theta_i, 0 <= theta <= 1, sum theta = k.  The projection for the
    multiplier mu of the bound is v_i theta_i / (theta_i + mu), theta_i = clip(alpha |v_i| - mu, 0, 1), with mu from the
    sum; alpha is found by regula falsi.  Source of the norm: Argyriou, Foygel and Srebro (2012).
    """

    def __init__(self, radius: float, k: int) -> None:
        self.radius = self.scale = checked_radius(radius)
        self.k = checked_count(k, "k", 1)

    def project(self, v: Any, out: Array | None = None) -> Array:
        """Nearest point of the ball; v itself, bitwise, where it is in the ball (up to one eps).

        Relative error some ulp of |v|.  Returns an array like v (float64 for integers), or `out`, which may be v.
        Raises ValueError for entries that are NaN or infinite.
        """
        v = checked_array(v)
        xp = namespace(v)
        if self.excess(v) <= float(xp.finfo(v.dtype).eps):
            return write(xp.asarray(v, copy=True), out)
        x = host(double(v)).ravel()
        p = self._outside(x / np.abs(x).max(), self.radius / float(np.abs(x).max()))
        return write(xp.astype(xp.reshape(like(p * float(np.abs(x).max()), v), tuple(v.shape)), v.dtype), out)

    def _outside(self, x: np.ndarray, radius: float) -> np.ndarray:
        """Projection of x [n] with max |x| = 1, which is outside the ball."""
        a = np.abs(x)
        order = np.argsort(-a, kind="stable")
        if radius == 0 or np.count_nonzero(a) <= self.k:
            return x * (radius / euclidean(a))
        head = np.where(np.isin(np.arange(len(a)), order[: self.k]), x, 0.0)
        last, following, size = a[order[self.k - 1]], a[order[self.k]], euclidean(head)
        if radius * last <= size * (last - following):  # (1 + mu) / last <= mu / following, mu = size / radius - 1
            return head * (radius / size)
        p = self._on_the_sphere(a, float(last), max(radius, 2.0**-200))  # below, the direction does not change any more
        return np.sign(x) * p * (radius / norm(p, self.k))

    def _on_the_sphere(self, a: np.ndarray, pivot: float, radius: float) -> np.ndarray:
        """The shrunk a [n] of norm radius: log norm is a decreasing function of log alpha, solved by regula falsi."""

        def excess(exponent: float) -> tuple[float, np.ndarray]:
            p = _shrunk(a, pivot, 2.0**exponent, self.k)
            return (math.log(norm(p, self.k) / radius) if p is not None else math.inf), a if p is None else p

        low, high = -60.0, 60.0 + abs(math.log2(radius))
        (at_low, _), (at_high, p) = excess(low), excess(high)
        for step in range(STEPS):
            linear = math.isfinite(at_low) and step % 4 < 3
            middle = high - (high - low) * at_high / (at_high - at_low) if linear else (low + high) / 2
            if not low < middle < high or at_high == 0:
                break
            value, p = excess(middle)
            if abs(value) <= 4 * np.finfo(float).eps:
                break
            if value > 0:
                low, at_low, at_high = middle, value, at_high / (2 if linear else 1)
            else:
                high, at_high, at_low = middle, value, at_low / (2 if linear else 1)
        return p

    def excess(self, v: Any) -> float:
        """Relative excess of the norm over the radius; <= 0 inside."""
        x = host(double(checked_array(v))).ravel()
        largest = float(np.abs(x).max())
        if self.radius == 0 or largest == 0:
            return np.inf if largest > 0 else -1.0
        with np.errstate(over="ignore"):
            return float(norm(np.abs(x / largest), self.k) * np.divide(largest, self.radius)) - 1.0

    def support_function(self, y: Any) -> float:
        """max of <w, y> over the ball: radius times the Euclidean norm of the k largest magnitudes of y."""
        y = np.abs(host(double(checked_array(y)))).ravel()
        return self.radius * euclidean(-np.sort(-y)[: self.k])

    def example_shape(self, rng: np.random.Generator) -> tuple[int, ...]:
        """(n,) or (2, n) with n from 1 to k + 6, drawn by rng."""
        n = int(rng.integers(1, self.k + 7))
        return (n,) if rng.random() < 0.5 else (2, n)

    def __repr__(self) -> str:
        return f"KSupportBall({self.radius:g}, {self.k})"


def _shrunk(a: np.ndarray, pivot: float, alpha: float, k: int) -> np.ndarray | None:
    """a theta / (theta + mu) for a [n] >= 0, where theta is the projection of alpha a onto the capped simplex.

    pivot: k-th largest entry of a.  mu is the threshold of that projection; None where it would be negative.  All is
    relative to alpha * pivot, near which the threshold is, so that nothing cancels however large alpha is.
    """
    near = np.clip(alpha * (a - pivot), -2.0, 2.0)
    shift, theta = capped_threshold(near, float(k))
    mu = alpha * pivot + float(shift[0])
    if mu < 0:
        return None
    return np.where(theta > 0, a * theta / np.where(theta > 0, theta + mu, 1.0), 0.0)
