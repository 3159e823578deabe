"""Logistic and multinomial estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from ..datafits import Logistic, Multinomial
from ..result import Result
from .base import GroupEstimator
from .validated import CrossValidated


class LogisticEstimator(ClassifierMixin, GroupEstimator):
    """Labels, probabilities and decisions of linear classifiers; subclasses fit."""

    def _encoded(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, np.ndarray]:
        """X, the datafit and the codes 0..K-1 of y [n]."""
        X, y, sample_weight = self._validated(X, y, sample_weight)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        K = len(self.classes_)
        if K < 2:
            raise ValueError(f"y has one class only, {self.classes_[0]!r}: a classifier needs at least two classes")
        if K == 2:
            return X, Logistic(codes, sample_weight, intercept=self.fit_intercept), codes
        return X, Multinomial(codes, sample_weight, intercept=self.fit_intercept, n_classes=K), codes

    def _adopt(self, result: Result) -> Self:
        super()._adopt(result)
        self.coef_, self.intercept_ = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """X coef_' + intercept_: [n] for two classes (positive: the second), else [n, K]."""
        scores = self._linear(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, K] of the classes."""
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        return np.column_stack([expit(-scores), expit(scores)])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities [n, K]."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every sample [n]."""
        scores = self.decision_function(X)
        chosen = (scores > 0).astype(np.int64) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[chosen]


class GroupLassoClassifier(LogisticEstimator):
    """min over w, b of the mean log-loss + lam sum_g weights[g] |w_g|_2.

    Two classes: 1/n sum_i log(1 + exp(-s_i (x_i'w + b))) with s_i = 1 for the second class, -1 for the first.  More:
    1/n sum_i (log sum_k exp(x_i'w_k + b_k) - (x_i'w_{y_i} + b_{y_i})), symmetric in the classes, and |w_g|_2 is the
    Frobenius norm of the rows of a group, over all classes.  With sample weights a weighted mean.

    coef_: [1, p] or [K, p].  intercept_: [1] or [K].  classes_: [K].
    Other parameters and attributes: `GroupLassoRegressor`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for X [n, p], dense or sparse, labels y [n] and sample_weight [n] >= 0.  Returns self."""
        X, datafit, _ = self._encoded(X, y, sample_weight)
        return self._adopt(self._solved(X, datafit))


class GroupLassoClassifierCV(CrossValidated, LogisticEstimator):
    """`GroupLassoClassifier` with lam chosen by the mean log-loss on held-out samples.

    Solutions of the mean log-loss + lam sum_g weights[g] |w_g|_2 along a path of lam.  Folds are stratified where cv is
    a number.  Other parameters and attributes: `GroupLassoRegressorCV`, `GroupLassoClassifier`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, sample_groups: Any = None) -> Self:
        """Fit X [n, p], labels y [n]; sample_groups [n] are labels for a group-aware cv.  Returns self."""
        X, datafit, codes = self._encoded(X, y, sample_weight)
        return self._adopt(self._validated_choice(X, datafit, self._held_out(X, codes, sample_groups)))
