"""What the estimators share: validated data, a problem, its solution as attributes."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._array import real_number
from ..groups import Groups
from ..path import AnyStrength, lambda_max
from ..penalties import GroupLasso
from ..problem import Problem
from ..recentred import recentred
from ..result import Result, Status
from ..solve import solve
from ..standardise import GroupStandardisation
from .columns import resolve_groups


class GroupEstimator(BaseEstimator):
    """Linear models with grouped coefficients under a group LASSO; subclasses fit, and may have another penalty.

    The parameters are those of `GroupLassoRegressor`.  Where a constructor has others, it calls this one.
    """

    def __init__(
        self,
        groups: Any = None,
        lam: float | None = None,
        *,
        ratio: float = 0.1,
        weights: Any = "sqrt",
        fit_intercept: bool = True,
        standardize: str | None = None,
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        self.groups = groups
        self.lam = lam
        self.ratio = ratio
        self.weights = weights
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _penalty(self, lam: float, groups: Groups) -> Any:
        return GroupLasso(lam, groups, self.weights)

    def _validated(self, X: Any, y: Any, sample_weight: Any, **options: Any) -> tuple[Any, Any, Any]:
        """X in float32 or float64, y and the weights [n] or None, checked by scikit-learn's rules."""
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], **options)
        self.groups_ = resolve_groups(self.groups, X.shape[1], getattr(self, "feature_names_in_", None))
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return X, y, sample_weight

    def _solved(self, X: Any, datafit: Any) -> Result:
        """The solution at the strength wanted, with w for the columns of X."""
        problem = Problem(X, datafit, self._penalty(1.0 if self.lam is None else self.lam, self.groups_))
        back = None
        if self.standardize is not None:
            standardisation = standardised(self.standardize, problem)
            problem, back = standardisation.problem, standardisation.back
        if self.lam is None:
            problem = problem.with_lam(relative_strength(problem, self.ratio))
        result = solve(problem, tol=self.tol, max_iter=self.max_iter, throw=False)
        self.active_groups_ = problem.penalty.groups.active(result.latent)
        return result if back is None else back(result)

    def _adopt(self, result: Result) -> Self:
        """Attributes from a solution; ConvergenceWarning where it fell short."""
        self.status_, self.dual_gap_, self.lam_ = result.status, result.gap, result.lam
        self.n_iter_ = max(result.n_iter, 1)
        self.coef_, self.intercept_ = result.w.T, result.intercept
        if result.status is not Status.CONVERGED:
            warnings.warn(f"{result.status.name}: {result.status.advice}", ConvergenceWarning, stacklevel=3)
        return self

    def _linear(self, X: Any) -> np.ndarray:
        """X coef_' + intercept_, [n] or [n, T]."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False)
        return X @ self.coef_.T + self.intercept_


def standardised(standardize: str, problem: Problem) -> GroupStandardisation:
    """The standardisation named; ValueError for another name than "group"."""
    if standardize != "group":
        raise ValueError(f'standardize is {standardize!r}: allowed are None and "group"')
    return GroupStandardisation(problem)


def critical_strength(problem: Problem) -> float | None:
    """lambda_max; None where every strength has the same solution, as for a y that is constant up to rounding."""
    moved, _ = recentred(problem)
    gradient = np.abs(moved.gradient_at_zero)
    force = np.abs(moved.datafit.gradient(np.zeros((moved.X.shape[0], *moved.w_shape[1:]))))
    if (gradient <= 8 * np.finfo(float).eps * (np.abs(moved.X).T @ force)).all():
        return None
    try:
        return lambda_max(problem)
    except AnyStrength:
        return None


def relative_strength(problem: Problem, ratio: float) -> float:
    """ratio * lambda_max, or 1 where every strength has the same solution."""
    if not 0 < real_number(ratio) < np.inf:
        raise ValueError(f"ratio is {ratio!r}: it is lam relative to lambda_max, a positive number")
    critical = critical_strength(problem)
    return 1.0 if critical is None else float(ratio) * critical
