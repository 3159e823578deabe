"""A loss of 0 for every z: over the intercept of one class, no count or one sample alone, or of one sample at risk."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...datafits import Cox, Huber, LeastSquares, Logistic, Multinomial, MultiResponse, Poisson
from ..arithmetic import Numbers


class VanishingLoss:
    """L = 0."""

    rows = np.arange(1)
    outputs: np.ndarray | None
    separate = True
    reference = False
    largest_multiple = 1.0

    def __init__(self, datafit: Any, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        self.outputs = None if datafit.n_outputs is None else np.arange(datafit.n_outputs)

    @staticmethod
    def fits(datafit: Any) -> bool:
        """Whether an intercept takes the loss to its infimum 0, whatever z is, or one sample of weight 1 is at risk."""
        if isinstance(datafit, Cox):
            weight, dies = datafit.sample_weight, datafit.event & (datafit.sample_weight > 0)
            at_risk = (weight > 0) & (datafit.time >= datafit.time[dies].min())
            return bool(at_risk.sum() == 1 and weight[at_risk][0] == 1)
        if not datafit.fit_intercept:
            return False
        if isinstance(datafit, LeastSquares | MultiResponse | Huber):
            return int((datafit.sample_weight > 0).sum()) == 1
        if not isinstance(datafit, Logistic | Multinomial | Poisson):
            return False
        y = datafit.y[datafit.sample_weight > 0]
        return bool((y == 0).all() if isinstance(datafit, Poisson) else (y == y[0]).all())

    def value(self, eta: Numbers) -> Numbers:
        """0."""
        return self.arithmetic.number(0.0)

    def force(self, eta: Numbers) -> Numbers:
        """0."""
        return self.arithmetic.number(np.zeros(eta.shape))

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """0."""
        return self.force(eta)

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """0."""
        return self.arithmetic.number(0.0)

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """0."""
        return np.zeros(X.shape[1])

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """0: there is none."""
        return np.zeros(len(self.rows))
