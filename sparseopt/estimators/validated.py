"""The choice of lam by cross-validation, for the estimators that end in CV."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv

from ..problem import Problem
from ..result import Result
from ..selection import cross_validate
from .base import critical_strength


class CrossValidated:
    """Mixin before `GroupEstimator`: the parameters of `GroupLassoRegressorCV`, and its choice."""

    def __init__(
        self,
        groups: Any = None,
        *,
        n_lambdas: int = 100,
        ratio: float = 1e-2,
        lams: Any = None,
        cv: Any = None,
        one_standard_error: bool = False,
        weights: Any = "sqrt",
        fit_intercept: bool = True,
        standardize: str | None = None,
        tol: float = 1e-10,
        max_iter: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.groups = groups
        self.n_lambdas = n_lambdas
        self.ratio = ratio
        self.lams = lams
        self.cv = cv
        self.one_standard_error = one_standard_error
        self.weights = weights
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs

    def _held_out(self, X: Any, y: np.ndarray, sample_groups: Any) -> list[np.ndarray]:
        """Indices of the samples held out in every fold.

        ValueError where cv cannot split these samples, and where a fold trains on other than all the rest.
        """
        me: Any = self
        cv = check_cv(me.cv, y, classifier=is_classifier(me))
        try:
            splits = list(cv.split(X, y, sample_groups))
        except ValueError as reason:
            labels = "" if sample_groups is None else f" with {len(np.unique(sample_groups))} different sample_groups"
            raise ValueError(
                f"cv is {cv!r}, which cannot split {X.shape[0]} samples{labels} ({reason}): each fold needs samples or "
                "labels of sample_groups, of its own; give fewer folds, and sample_groups where cv asks for groups"
            ) from reason
        for training, test in splits:
            if len(training) + len(test) != X.shape[0] or np.intersect1d(training, test).size:
                raise ValueError(
                    "cv leaves samples out of a fold or repeats them: each fold must train on all samples that are not "
                    "held out, as KFold, StratifiedKFold and GroupKFold do"
                )
        return [test for _, test in splits]

    def _validated_choice(self, X: Any, datafit: Any, folds: list[np.ndarray]) -> Result:
        """The solution for all samples at the lam chosen; the path and the losses become attributes."""
        me: Any = self
        problem = Problem(X, datafit, me._penalty(1.0, me.groups_))
        lams = me.lams
        if lams is None and critical_strength(problem) is None:
            lams = [1.0]  # every strength has the same solution
        options = {
            "tol": me.tol,
            "max_iter": me.max_iter,
            "standardize": me.standardize,
        }
        grid = {"n_lambdas": me.n_lambdas, "ratio": me.ratio, "lams": lams}
        found = cross_validate(problem, folds, n_jobs=me.n_jobs, throw=False, **grid, **options)
        self.lams_, self.cv_losses_, self.path_ = found.lams, found.losses, found.path.coefficients
        if found.path.short:
            text = ", ".join(f"{lam:.6g}" for lam in found.path.short)
            warnings.warn(f"solutions fell short of tol at lam = {text}", ConvergenceWarning, stacklevel=3)
        result = found.result_one_standard_error if me.one_standard_error else found.result
        me.active_groups_ = found.path.problem.penalty.groups.active(result.latent)
        return result
