"""Poisson regression with the logarithmic link."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float
from .logistic import UNATTAINED
from .pointwise import Pointwise
from .special import xlogy


class Poisson(Pointwise):
    """sum_i s_i (exp(eta_i) - y_i eta_i), eta = z + offset + b, s = sample_weight / sum(sample_weight); no constant.

    y: [n] >= 0, counts (other numbers >= 0, e.g. rates, are allowed).  sample_weight: [n] >= 0, default all equal.
    offset: [n], default 0: the logarithm of the exposure.  intercept: whether b is fitted, unpenalised and minimised
    out in closed form; 0 otherwise.  Where every y is 0 the infimum over b is not attained: the loss is 0, b finite.
    Raises ValueError for y < 0, wrong shapes, NaN, infinite or negative weights.

    There is no global curvature bound: ProximalGradient and FISTA use a line search.
    Conjugate: with m = y + u / s >= 0, sum s (m log m - m) - u'offset.
    """

    smoothness_bound = np.inf

    def __init__(self, y: Any, sample_weight: Any = None, offset: Any = None, intercept: bool = False) -> None:
        y = as_float(y, "y", ndim=1).astype(np.float64)
        if (y < 0).any():
            i = int(np.argmax(y < 0))
            raise ValueError(
                f"y[{i}] is {y[i]:g}: counts must not be negative; for other data use LeastSquares or Huber"
            )
        super().__init__(y, sample_weight, offset, intercept)

    @property
    def unattained(self) -> bool:
        """No count at all."""
        return not self.y[self.share > 0].any()

    def losses(self, eta: np.ndarray) -> np.ndarray:
        """exp(eta) - y eta [n]; inf where exp overflows."""
        with np.errstate(over="ignore"):
            return np.exp(eta) - self.y * eta

    def slopes(self, eta: np.ndarray) -> np.ndarray:
        """exp(eta) - y [n]."""
        with np.errstate(over="ignore"):
            return np.exp(eta) - self.y

    def bends(self, eta: np.ndarray) -> np.ndarray:
        """exp(eta) [n]."""
        with np.errstate(over="ignore"):
            return np.exp(eta)

    def conjugates(self, v: np.ndarray) -> np.ndarray:
        """m log m - m [n] with m = y + v, inf for m < 0."""
        m = self.y + v
        inside = m >= -1e-12 * (self.y + np.abs(v))
        m = np.maximum(m, 0.0)
        return np.where(inside, xlogy(m, m) - m, np.inf)

    def bracket(self, eta: np.ndarray) -> tuple[float, float]:
        """The optimum itself, twice: log(sum s y) - log(sum s exp(eta))."""
        used = self.share > 0
        mean = float(self.share @ self.y)
        if mean == 0:
            b = -UNATTAINED - float(eta[used].max())
        else:
            top = eta[used].max()
            b = float(np.log(mean) - top - np.log(self.share[used] @ np.exp(eta[used] - top)))
        return b, b
