"""Least-squares estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from ..datafits import LeastSquares
from ..groups import Groups
from ..penalties import GroupLasso, GroupMCP, GroupSCAD, SparseGroupLasso
from .base import GroupEstimator
from .validated import CrossValidated


class LeastSquaresEstimator(RegressorMixin, GroupEstimator):
    """fit and predict for 1/(2n) |y - b - X w|^2 + penalty; subclasses give the penalty."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for X [n, p], dense or sparse, y [n] and sample_weight [n] >= 0.  Returns self."""
        X, y, sample_weight = self._validated(X, y, sample_weight, y_numeric=True)
        return self._adopt(self._solved(X, LeastSquares(y, sample_weight, intercept=self.fit_intercept)))

    def predict(self, X: Any) -> np.ndarray:
        """X coef_ + intercept_ [n]."""
        return self._linear(X)


class GroupLassoRegressor(LeastSquaresEstimator):
    """min over w, b of 1/(2n) |y - b - X w|_2^2 + lam sum_g weights[g] |w_g|_2.

    With sample weights s the loss is sum s_i r_i^2 / (2 sum s).  The intercept is never penalised.

    groups: None (each column a group), a sparseopt.Groups, a label for every column, a list of lists of columns, or a
    dict {name: columns}; columns by index or, for a DataFrame, by name.  lam: > 0; None: ratio * lambda_max.
    ratio: > 0.  weights: "sqrt" (of the group's size), "none" (1) or [G].  positive: only w >= 0.
    standardize: None, or "group": orthonormalise every group before the fit; coef_ is for X as given.
    tol: relative duality gap.  max_iter: rounds of the solver, None for its default.

    coef_: [p].  intercept_: number.  n_iter_.  dual_gap_: relative duality gap.  status_: sparseopt.Status; a
    ConvergenceWarning is given unless CONVERGED.  active_groups_: indices.  lam_.  groups_: sparseopt.Groups.
    """

    def __init__(
        self,
        groups: Any = None,
        lam: float | None = None,
        *,
        ratio: float = 0.1,
        weights: Any = "sqrt",
        positive: bool = False,
        fit_intercept: bool = True,
        standardize: str | None = None,
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        shared = {"weights": weights, "fit_intercept": fit_intercept, "standardize": standardize}
        super().__init__(groups, lam, ratio=ratio, tol=tol, max_iter=max_iter, **shared)
        self.positive = positive

    def _penalty(self, lam: float, groups: Groups) -> GroupLasso:
        return GroupLasso(lam, groups, self.weights, self.positive)


class SparseGroupLassoRegressor(LeastSquaresEstimator):
    """min over w, b of 1/(2n) |y - b - X w|_2^2 + lam (l1_ratio |w|_1 + (1 - l1_ratio) sum_g weights[g] |w_g|_2).

    l1_ratio: in [0, 1]; 0 is the group LASSO, 1 the LASSO.  Other parameters and attributes: `GroupLassoRegressor`.
    """

    def __init__(
        self,
        groups: Any = None,
        lam: float | None = None,
        *,
        l1_ratio: float = 0.5,
        ratio: float = 0.1,
        weights: Any = "sqrt",
        fit_intercept: bool = True,
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        shared = {"weights": weights, "fit_intercept": fit_intercept}
        super().__init__(groups, lam, ratio=ratio, tol=tol, max_iter=max_iter, **shared)
        self.l1_ratio = l1_ratio

    def _penalty(self, lam: float, groups: Groups) -> SparseGroupLasso:
        return SparseGroupLasso(lam, groups, self.l1_ratio, self.weights)


class GroupMCPRegressor(LeastSquaresEstimator):
    """A stationary point of 1/(2n) |y - b - X w|_2^2 + sum_g s_g^2 MCP_gamma(|w_g|_2 / s_g), s_g = lam weights[g].

    Each term is s t - t^2 / (2 gamma) for t = |w_g| <= gamma s, and gamma s^2 / 2 beyond.  Nonconvex: reached from 0;
    tol is the relative violation of stationarity, and dual_gap_ is NaN.  gamma: > 0.
    Other parameters and attributes: `GroupLassoRegressor`.
    """

    def __init__(
        self,
        groups: Any = None,
        lam: float | None = None,
        *,
        gamma: float = 3.0,
        ratio: float = 0.1,
        weights: Any = "sqrt",
        fit_intercept: bool = True,
        standardize: str | None = None,
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        shared = {"weights": weights, "fit_intercept": fit_intercept, "standardize": standardize}
        super().__init__(groups, lam, ratio=ratio, tol=tol, max_iter=max_iter, **shared)
        self.gamma = gamma

    def _penalty(self, lam: float, groups: Groups) -> GroupMCP:
        return GroupMCP(lam, groups, self.gamma, self.weights)


class GroupSCADRegressor(LeastSquaresEstimator):
    """A stationary point of 1/(2n) |y - b - X w|_2^2 + sum_g s_g^2 SCAD_a(|w_g|_2 / s_g), s_g = lam weights[g].

    Each term has the slope s up to t = |w_g| = s, (a s - t) / (a - 1) up to a s, and 0 beyond.  Nonconvex: reached from
    0; tol is the relative violation of stationarity, and dual_gap_ is NaN.  a: > 1.
    Other parameters and attributes: `GroupLassoRegressor`.
    """

    def __init__(
        self,
        groups: Any = None,
        lam: float | None = None,
        *,
        a: float = 3.7,
        ratio: float = 0.1,
        weights: Any = "sqrt",
        fit_intercept: bool = True,
        standardize: str | None = None,
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        shared = {"weights": weights, "fit_intercept": fit_intercept, "standardize": standardize}
        super().__init__(groups, lam, ratio=ratio, tol=tol, max_iter=max_iter, **shared)
        self.a = a

    def _penalty(self, lam: float, groups: Groups) -> GroupSCAD:
        return GroupSCAD(lam, groups, self.a, self.weights)


class GroupLassoRegressorCV(CrossValidated, RegressorMixin, GroupEstimator):
    """`GroupLassoRegressor` with lam chosen by the mean squared error / 2 on held-out samples.

    Solutions of 1/(2n) |y - b - X w|_2^2 + lam sum_g weights[g] |w_g|_2 along a path of lam, in every fold and for all
    samples; the loss of each fold counts by its weight.

    n_lambdas, ratio: the path goes from lambda_max down to ratio * lambda_max; lams: strengths instead.  cv: as in
    scikit-learn (number, splitter, splits whose training samples are all others).  one_standard_error: the largest lam
    within one standard error of the best.  n_jobs: folds in parallel, by joblib.
    lams_: [L].  cv_losses_: [L, folds].  path_: coefficients [L, p].  lam_: the choice.
    Other parameters and attributes: `GroupLassoRegressor`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, sample_groups: Any = None) -> Self:
        """Fit X [n, p], y [n]; sample_groups [n] are labels for a group-aware cv.  Returns self."""
        X, y, sample_weight = self._validated(X, y, sample_weight, y_numeric=True)
        datafit = LeastSquares(y, sample_weight, intercept=self.fit_intercept)
        return self._adopt(self._validated_choice(X, datafit, self._held_out(X, y, sample_groups)))

    def predict(self, X: Any) -> np.ndarray:
        """X coef_ + intercept_ [n]."""
        return self._linear(X)
