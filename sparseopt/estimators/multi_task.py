"""Least squares with several responses."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from ..datafits import MultiResponse
from .base import GroupEstimator


class MultiTaskGroupLassoRegressor(RegressorMixin, GroupEstimator):
    """min over W, b of 1/(2n) |Y - 1 b' - X W|_F^2 + lam sum_g weights[g] |W_g|_F, W_g the rows of a group.

    coef_: [T, p] = W'.  intercept_: [T].  With groups=None the multi-task LASSO of scikit-learn, alpha = lam.
    Other parameters and attributes: `GroupLassoRegressor`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for X [n, p], dense or sparse, y [n, T] and sample_weight [n] >= 0.  Returns self."""
        X, y, sample_weight = self._validated(X, y, sample_weight, y_numeric=True, multi_output=True)
        if y.ndim == 1:
            raise ValueError(f"y has shape {y.shape}: give [n, T], or use GroupLassoRegressor for one response")
        return self._adopt(self._solved(X, MultiResponse(y, sample_weight, intercept=self.fit_intercept)))

    def predict(self, X: Any) -> np.ndarray:
        """X coef_' + intercept_ [n, T]."""
        return self._linear(X)
