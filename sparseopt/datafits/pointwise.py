"""Weighted means of one convex function per sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import checked_flag
from .one_dimensional import best_multiple, increasing_root
from .samples import centred, checked_offset, checked_weights, ratio

BALANCE = 1e-9
"""Relative size of sum(u) up to which a dual point counts as orthogonal to the intercept (float evaluation only)."""


class Pointwise:
    """sum_i s_i loss_i(z_i + offset_i + b), s = sample_weight / sum(sample_weight), minimised over b with an intercept.

    The losses are those of a subclass, as functions of eta = z + offset + b: `losses`, `slopes`, `bends` (first and
    second derivative), `conjugates`, and `bracket` for the optimal b.  y: [n], checked already.

    smoothness_bound: upper bound of the second derivatives, inf where there is none.  vanishes: whether the infimum
    over the intercept is 0 for every z, and not attained; value and gradient are then exactly 0.
    """

    n_outputs: int | None = None
    smoothness_bound: float = 1.0

    def __init__(self, y: np.ndarray, sample_weight: Any, offset: Any, intercept: bool) -> None:
        self.y = self.target = y
        self.n_samples = len(y)
        self.sample_weight = checked_weights(sample_weight, self.n_samples)
        self.offset = checked_offset(offset, (self.n_samples,))
        self.fit_intercept = checked_flag(intercept, "intercept")
        self.share = self.sample_weight / self.sample_weight.sum()
        self._all_used = bool((self.share > 0).all())
        self.rest, self.centre = self.offset, 0.0
        if self.fit_intercept:
            self.rest, centre = centred(self.offset, self.share)
            self.centre = float(centre)
        self._last: tuple[np.ndarray, tuple[float, np.ndarray, float]] | None = None
        self.vanishes = self.fit_intercept and self.unattained

    @property
    def unattained(self) -> bool:
        """Whether the loss has the infimum 0 over b, which is not attained, whatever z is."""
        return False

    def losses(self, eta: np.ndarray) -> np.ndarray:
        """loss_i(eta_i) [n]."""
        raise NotImplementedError

    def slopes(self, eta: np.ndarray) -> np.ndarray:
        """First derivatives [n]."""
        raise NotImplementedError

    def bends(self, eta: np.ndarray) -> np.ndarray:
        """Second derivatives [n] >= 0."""
        raise NotImplementedError

    def conjugates(self, v: np.ndarray) -> np.ndarray:
        """sup over eta of v eta - loss_i(eta) [n]; inf outside the domain, by more than rounding."""
        raise NotImplementedError

    def bracket(self, eta: np.ndarray) -> tuple[float, float]:
        """Bounds of the optimal b for eta = z + offset [n]; equal where there is none or it is known."""
        raise NotImplementedError

    def intercept(self, z: np.ndarray) -> float:
        """Optimal b at z [n], to rounding; 0 without intercept.  Large but finite where the infimum is not attained."""
        if not self.fit_intercept:
            return 0.0
        mean, _, b = self._fitted(z)
        return b - mean - self.centre

    def predictor(self, z: np.ndarray) -> np.ndarray:
        """eta = z + offset + b [n] at the optimal b; 0 for samples of weight 0, which must not overflow."""
        if self.fit_intercept:
            _, eta, b = self._fitted(z)
            eta = eta + b
        else:
            eta = z + self.offset
        return eta if self._all_used else np.where(self.share > 0, eta, 0.0)

    def _fitted(self, z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """The weighted mean of z, eta for the rest (`_around`), and the optimal b for it.

        Those of the last z are kept: value, gradient and curvature are often wanted at one point.
        """
        last = self._last
        if last is None or not np.array_equal(last[0], z):
            mean, eta = self._around(z)
            self._last = last = z.copy(), (mean, eta, self._balance(eta))
        return last[1]

    def _around(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        """The weighted mean of z, and the rest of z + offset less its mean; 0 for samples of weight 0.

        The intercept is found for the rest, which has no large constant to lose digits to.
        """
        used = z if self._all_used else np.where(self.share > 0, z, 0.0)
        mean = float(self.share @ used)
        mean = mean if np.isfinite(mean) else 0.0
        eta = used - mean + self.rest
        return mean, eta if self._all_used else np.where(self.share > 0, eta, 0.0)

    def _balance(self, eta: np.ndarray) -> float:
        """The b at which the slopes at eta + b sum to 0, or to no more than an ulp of their absolute values."""
        lower, upper = self.bracket(eta)

        def balance(b: float) -> tuple[float, float]:
            at = eta + b
            slopes = self.share * self.slopes(at)
            value, rounding = float(slopes.sum()), np.finfo(float).eps * float(np.abs(slopes).sum())
            return value if abs(value) > rounding else 0.0, float(self.share @ self.bends(at))

        return lower if lower == upper else increasing_root(balance, lower, upper)

    def value(self, z: np.ndarray) -> float:
        """Loss at z [n], minimised over b."""
        return 0.0 if self.vanishes else float(self.share @ self.losses(self.predictor(z)))

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """share * slopes [n] at the optimal b."""
        return 0.0 * self.share if self.vanishes else self.share * self.slopes(self.predictor(z))

    def hessian_weights(self, z: np.ndarray) -> np.ndarray:
        """h [n] >= 0: the Hessian of the loss at z and the optimal b, b held fixed, is diag(h)."""
        return self.share * self.bends(self.predictor(z))

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Hessian at z [n] times d [n]: h * d, less h h'd / sum(h) with an intercept."""
        h = self.hessian_weights(z)
        return h * (d - h @ d / (h.sum() or 1.0)) if self.fit_intercept else h * d

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """smoothness_bound * (diag(share), less share share' with an intercept) times d [n] or [n, m].

        It dominates the Hessian everywhere.  Raises ValueError where second derivatives are not bounded.
        """
        if not np.isfinite(self.smoothness_bound):
            raise ValueError(f"{type(self).__name__} has no bound on its curvature: use a solver with a line search")
        share = self.share if d.ndim == 1 else self.share[:, None]
        return self.smoothness_bound * share * (d - self.share @ d if self.fit_intercept else d)

    def conjugate(self, u: np.ndarray) -> float:
        """sup over z of <u, z> - value(z) for u [n]; inf outside the domain, e.g. sum(u) != 0 with an intercept."""
        rounding = 64 * np.finfo(float).eps * float(self.share @ np.abs(self.target))  # of slopes that cancel it
        if self.fit_intercept and abs(u.sum()) > BALANCE * np.abs(u).sum() + rounding:
            return np.inf
        centre = self.share @ self.offset if self.fit_intercept else 0.0
        constant = float(u @ (self.offset - centre))
        if self._all_used:
            return float(self.share @ self.conjugates(u / self.share)) - constant
        used = self.share > 0
        if u[~used].any():
            return np.inf
        values = self.conjugates(ratio(u, self.share))
        return float(self.share[used] @ values[used]) - constant

    def dual(self, z: np.ndarray, limit: float) -> float:
        """max over 0 <= alpha <= limit of -conjugate(alpha gradient(z))."""
        gradient = self.gradient(z)

        def value(alpha: float) -> float:
            return -self.conjugate(alpha * gradient)

        found = value(best_multiple(value, -float(gradient @ z), limit))
        return found if found > -np.inf else value(0.0)  # tiny gradients may be all rounding errors
