"""Cross-validation of the strength of a penalty."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..path import Path, PathNotConverged, solve_path
from ..problem import Problem, checked_problem
from ..result import Result
from .folds import checked_folds
from .resampling import deadline, in_parallel, sample_weights, weighted, within


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` returns.

    lams: [L], decreasing.  losses: [L, K], mean loss of the samples held out in each fold.  fold_weights: [K], their
    total weights.  path: the solutions for all samples.
    """

    lams: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)
    fold_weights: np.ndarray = field(repr=False)
    path: Path

    @property
    def mean(self) -> np.ndarray:
        """Mean loss [L] over the folds, by their weights."""
        return self.losses @ (self.fold_weights / self.fold_weights.sum())

    @property
    def standard_error(self) -> np.ndarray:
        """Standard errors [L] of `mean`: the weighted standard deviation over the K folds / sqrt(K - 1)."""
        share = self.fold_weights / self.fold_weights.sum()
        spread = (self.losses - self.mean[:, None]) ** 2 @ share
        return np.sqrt(spread / (self.losses.shape[1] - 1))

    @property
    def best(self) -> int:
        """Index of the lam with the smallest mean loss, the largest such lam."""
        return int(self.mean.argmin())

    @property
    def one_standard_error(self) -> int:
        """Index of the largest lam whose mean loss is within one standard error (of the best one) of the smallest.

        Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984).
        """
        limit = self.mean[self.best] + self.standard_error[self.best]
        return int(np.argmax(self.mean <= limit))

    @property
    def result(self) -> Result:
        """The solution for all samples at the best lam."""
        return self.path[self.best]

    @property
    def result_one_standard_error(self) -> Result:
        """The solution for all samples by the one-standard-error rule."""
        return self.path[self.one_standard_error]


def cross_validate(
    problem: Problem,
    folds: Any = 5,
    *,
    samples: Any = None,
    rng: Any = 0,
    n_lambdas: int = 100,
    ratio: float = 1e-2,
    lams: Any = None,
    n_jobs: int | None = 1,
    time_limit: float | None = None,
    throw: bool = True,
    **options: Any,
) -> CrossValidation:
    """Loss on held-out samples along the path, fold by fold, and the path of all samples.

    folds: number (default 5), the fold [n] of every sample, or held-out sets (bool [n] or indices).  samples: [n]
    labels whose samples stay in one fold, e.g. patients.  rng: seed or Generator of the folds; the default always gives
    the same.  lams: strengths, the same in every fold; default `lambda_grid` of all samples.  n_jobs: as in joblib.
    time_limit: seconds for the path and all folds; only strengths that all of them reached are kept then.
    options: tol, solver, max_iter, standardize as for `solve_path`.

    The loss is that of the datafit, a weighted mean over held-out samples, with coefficients and intercept of the
    others (Cox: the partial likelihood among the held-out samples).  Folds use X itself with weights 0: no copies.
    Raises PathNotConverged when solutions fell short, for all samples or else in a fold, unless throw=False;
    ValueError for bad arguments and datafits without samples.
    """
    end = deadline(time_limit)
    weights = sample_weights(checked_problem(problem).datafit)
    masks = [mask for mask in checked_folds(folds, len(weights), samples, rng) if weights[mask].any()]
    path = solve_path(problem, n_lambdas, ratio, lams=lams, throw=throw, **within(end), **options)
    tasks = [(problem, mask, path.lams, end, options) for mask in masks]
    outcomes = in_parallel(_fold, tasks, n_jobs)
    short = [fold_path for _, fold_path in outcomes if fold_path is not None]
    if throw and short:
        raise PathNotConverged(short[0])
    totals = np.array([weights[mask].sum() for mask in masks])
    reached = min(len(losses) for losses, _ in outcomes)
    if reached < len(path):
        path = Path(path.problem, path.results[:reached], (*path.lams[reached:].tolist(), *path.unreached))
    return CrossValidation(path.lams, np.stack([losses[:reached] for losses, _ in outcomes], axis=1), totals, path)


def _fold(
    problem: Problem, held_out: np.ndarray, lams: np.ndarray, end: float | None, options: Any
) -> tuple[np.ndarray, Path | None]:
    """Losses [L] of the samples held out, and the path where solutions fell short (its problem has no solver data)."""
    training = problem.with_datafit(weighted(problem.datafit, ~held_out))
    path = solve_path(training, lams=lams, throw=False, **within(end), **options)
    losses = np.array([_held_out_loss(training, result, problem.datafit, held_out) for result in path])
    return losses, path if path.short else None


def _held_out_loss(training: Problem, result: Result, datafit: Any, held_out: np.ndarray) -> float:
    """Mean loss of the samples held out, for the coefficients and the intercept of the others."""
    z = training.X @ _one_latent_choice(training, result.w)
    test = weighted(datafit, held_out, offset=datafit.offset + result.intercept, intercept=False)
    return float(test.value(z))


def _one_latent_choice(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Coefficients for problem.X, which repeats columns of overlapping groups, with the fit of w for X as given."""
    columns = problem.penalty.groups.columns
    if columns is None:
        return w
    latent = np.zeros(problem.w_shape)
    latent[np.unique(columns, return_index=True)[1]] = w
    return latent
