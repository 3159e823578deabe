"""Logistic regression with two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import as_float
from .pointwise import Pointwise
from .special import xlog1py, xlogy

UNATTAINED = 40.0
"""exp(-40) is below the rounding error of 1: the loss at this margin is its infimum in float64."""

DOMAIN = 1e-12
"""Rounding allowance at the ends of the domain of a conjugate."""


class Logistic(Pointwise):
    """sum_i s_i log(1 + exp(-y_i (z_i + offset_i + b))), s = sample_weight / sum(sample_weight): the mean log-loss.

    y: [n] in {-1, 1} or {0, 1}.  sample_weight: [n] >= 0, default all equal.  offset: [n], default 0.
    intercept: whether b is fitted, unpenalised and minimised out; 0 otherwise.  With one class alone the infimum over b
    is not attained: the loss is 0, and b the finite number at which it vanishes to rounding.
    Raises ValueError for other labels, wrong shapes, NaN, infinite or negative weights.

    sign: [n] in {-1, 1}.  Conjugate: with t = -sign u / s in [0, 1], sum s (t log t + (1 - t) log(1 - t)) - u'offset.
    """

    smoothness_bound = 0.25

    def __init__(self, y: Any, sample_weight: Any = None, offset: Any = None, intercept: bool = False) -> None:
        y = as_float(y, "y", ndim=1).astype(np.float64)
        self.sign = _signs(y)
        super().__init__(y, sample_weight, offset, intercept)

    @property
    def unattained(self) -> bool:
        """One class alone."""
        return bool(np.unique(self.sign[self.share > 0]).size == 1)

    def losses(self, eta: np.ndarray) -> np.ndarray:
        """log(1 + exp(-sign eta)) [n], relative error a few ulp for every eta."""
        return np.logaddexp(0.0, -self.sign * eta)

    def slopes(self, eta: np.ndarray) -> np.ndarray:
        """-sign / (1 + exp(sign eta)) [n]."""
        against = -self.sign
        return against * _expit(against * eta)

    def bends(self, eta: np.ndarray) -> np.ndarray:
        """p (1 - p) [n]."""
        return _expit(eta) * _expit(-eta)

    def majorising_weights(self, z: np.ndarray) -> np.ndarray:
        """h [n] with  loss(z + d) <= loss(z) + gradient(z)'d + sum_i h_i d_i^2 / 2  for every d.

        share * tanh(|eta| / 2) / (2 |eta|), which is 1 / 4 at 0 and, unlike p (1 - p), does not vanish exponentially
        (Jaakkola and Jordan, 2000).
        """
        size = np.maximum(np.abs(self.predictor(z)), np.finfo(float).eps)
        return self.share * np.tanh(size / 2) / (2 * size)

    def conjugates(self, v: np.ndarray) -> np.ndarray:
        """t log t + (1 - t) log(1 - t) [n] with t = -sign v, inf for t outside [0, 1]."""
        t = -self.sign * v
        inside = (t >= -DOMAIN) & (t <= 1 + DOMAIN)
        t = np.clip(t, 0.0, 1.0)
        return np.where(inside, xlogy(t, t) + xlog1py(1 - t, -t), np.inf)

    def bracket(self, eta: np.ndarray) -> tuple[float, float]:
        """logit of the share of the class 1, less the largest and the smallest eta."""
        used = self.share > 0
        positive, negative = self.share[self.sign > 0].sum(), self.share[self.sign < 0].sum()
        lowest, highest = float(eta[used].min()), float(eta[used].max())
        if negative == 0 or positive == 0:
            b = UNATTAINED - lowest if negative == 0 else -UNATTAINED - highest
            return b, b
        logit = float(np.log(positive) - np.log(negative))
        return logit - highest, logit - lowest


def _expit(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) [n], relative error a few ulp: that of SciPy takes twice as long."""
    return np.exp(np.minimum(x, 0.0)) / (1.0 + np.exp(-np.abs(x)))


def _signs(y: np.ndarray) -> np.ndarray:
    positive = y > 0
    signs = 2.0 * positive - 1.0  # np.where is slow where signs follow no pattern
    if not ((y == signs).all() or (y == positive).all()):
        values = np.unique(y)
        shown = ", ".join(f"{v:g}" for v in values[:5]) + (", ..." if len(values) > 5 else "")
        raise ValueError(
            f"y has the values {shown}: allowed are -1 and 1, or 0 and 1; give (y == the positive class), "
            "or use Multinomial for more classes"
        )
    return signs
