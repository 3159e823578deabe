"""Poisson regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

from ..datafits import Poisson
from .base import GroupEstimator


class GroupPoissonRegressor(RegressorMixin, GroupEstimator):
    """min over w, b of 1/n sum_i (exp(eta_i) - y_i eta_i) + lam sum_g weights[g] |w_g|_2, eta = X w + b.

    y: counts (or rates, with the exposures as sample weights) >= 0.  predict is exp(eta), score the share of the
    Poisson deviance explained.  Other parameters and attributes: `GroupLassoRegressor`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for X [n, p], dense or sparse, y [n] >= 0 and sample_weight [n] >= 0.  Returns self."""
        X, y, sample_weight = self._validated(X, y, sample_weight, y_numeric=True)
        return self._adopt(self._solved(X, Poisson(y, sample_weight, intercept=self.fit_intercept)))

    def predict(self, X: Any) -> np.ndarray:
        """exp(X coef_ + intercept_) [n]."""
        return np.exp(self._linear(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """1 - deviance / deviance of the mean of y; for a constant y 1 where the deviance is 0 too, else 0."""
        predicted = self.predict(X)
        try:
            return float(d2_tweedie_score(y, predicted, sample_weight=sample_weight, power=1))
        except ZeroDivisionError:  # as r2_score has it
            return float(mean_poisson_deviance(y, predicted, sample_weight=sample_weight) == 0)
