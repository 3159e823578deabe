"""Information criteria along a path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from .._array import real_number
from ..datafits import LeastSquares, MultiResponse
from ..path import Path
from ..penalties import GroupElasticNet, GroupLasso, SparseGroupLasso
from ..problem import Problem


@dataclass(frozen=True)
class InformationCriteria:
    """AIC, BIC and EBIC [L] along a path; `path[criteria.bic.argmin()]` is the solution that BIC chooses.

    degrees_of_freedom: [L].  n_active: [L] active groups that are penalised.  fit: [L], -2 log likelihood + a constant.
    """

    lams: np.ndarray
    degrees_of_freedom: np.ndarray
    n_active: np.ndarray
    fit: np.ndarray
    aic: np.ndarray
    bic: np.ndarray
    ebic: np.ndarray = field(repr=False)


def information_criteria(path: Path, *, gamma: float = 1.0, variance: float | None = None) -> InformationCriteria:
    """fit + 2 df (AIC), fit + log(n) df (BIC), BIC + 2 gamma log binomial(G, active groups) (EBIC) for each solution.

    n: sum of the sample weights.  fit: n T log(residual sum of squares / (n T)) for least squares with T outputs and
    unknown variance, 2 n loss for the other losses, and for least squares 2 n loss / variance where it is given.
    df: `degrees_of_freedom`.  gamma: in [0, 1], 0 is BIC.  G counts the penalised groups.
    Raises ValueError for other arguments, datafits without samples, and an exact fit of unknown variance.
    Source: Akaike (1974); Schwarz (1978); Chen and Chen, Extended Bayesian information criteria (2008), with groups.
    """
    if not 0 <= real_number(gamma) <= 1:
        raise ValueError(f"gamma is {gamma!r}: give a number from 0 (BIC) to 1")
    problem, penalty = path.problem, path.problem.penalty
    weights = getattr(penalty, "weights", np.ones(penalty.groups.n_groups))
    n = float(_total_weight(problem))
    fit = np.array([_fit_term(problem, result.latent, n, variance) for result in path])
    df = np.array([degrees_of_freedom(problem.with_lam(result.lam), result.latent) for result in path])
    penalised = (weights > 0) & (weights < np.inf)
    k, G = path.active[:, penalised].sum(axis=1), int(penalised.sum())
    from scipy.special import gammaln  # doubles the time of `import sparseopt`

    models = gammaln(G + 1) - gammaln(k + 1) - gammaln(G - k + 1)
    bic = fit + np.log(n) * df
    return InformationCriteria(path.lams, df, k, fit, fit + 2 * df, bic, bic + 2 * gamma * models)


def degrees_of_freedom(problem: Problem, w: np.ndarray) -> float:
    """Degrees of freedom of the solution w [p] or [p, T] of `problem`, the intercept (one for each output) included.

    Group LASSO, sparse group LASSO, group elastic net: trace of (H + R)^+ H over the non-zero part A of w, with
    H = X_A' (Hessian of the loss) X_A and R the Hessian of the penalty, strength_g / |w_g| (I - u_g u_g') for every
    group with direction u_g (and l2 I).  With a full-rank X_A this is the unbiased estimate for Gaussian least squares;
    other losses use their quadratic model.  A is the active groups; for the sparse group LASSO non-zero entries.
    Other penalties: the number of coefficients of the active groups, that of an unbiased fit on the support, which
    group MCP and SCAD approach beyond their flat points.
    Costs |A| products with the Hessian and |A|^3.
    Source: Vaiter, Deledalle, Peyre, Fadili and Dossal, The degrees of freedom of the group lasso (2012).
    """
    w = problem.check_coefficients(w)
    penalty, outputs = problem.penalty, problem.datafit.n_outputs or 1
    own = outputs if problem.datafit.fit_intercept else 0
    own += getattr(problem.datafit, "means", None) is not None
    active = np.isin(penalty.groups.labels, penalty.groups.active(w))
    if not isinstance(penalty, GroupLasso | SparseGroupLasso | GroupElasticNet):
        return float(own + active.sum() * outputs)
    entries = np.repeat(active[:, None], outputs, axis=1)
    if isinstance(penalty, SparseGroupLasso) or getattr(penalty, "positive", False):
        entries &= w.reshape(entries.shape) != 0
    if not entries.any():
        return float(own)
    H = _loss_hessian(problem, w, entries)
    R = _penalty_hessian(penalty, w.reshape(entries.shape), entries)
    return own + float(np.trace(np.linalg.pinv(H + R, hermitian=True) @ H))


def _loss_hessian(problem: Problem, w: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Hessian of the loss over the chosen entries, bool [p, T], ordered by row and then by output."""
    z, columns = problem.X @ w, _dense_columns(problem.X, np.asarray(entries.any(axis=1)))
    place = np.cumsum(entries.any(axis=1)) - 1
    pairs = [(place[j], t) for j, t in np.argwhere(entries)]
    H = np.empty((len(pairs), len(pairs)))
    for i, (j, t) in enumerate(pairs):
        d = np.zeros((len(z), entries.shape[1]))
        d[:, t] = columns[:, j]
        Hd = problem.datafit.hessian(z, d if z.ndim == 2 else d[:, 0]).reshape(len(z), -1)
        slope = columns.T @ Hd
        H[:, i] = [slope[k, s] for k, s in pairs]
    return (H + H.T) / 2


def _penalty_hessian(penalty: Any, w: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Hessian of the penalty at w [p, T] over the chosen entries, bool [p, T]."""
    norms = penalty.groups.norms(w)
    labels = np.repeat(penalty.groups.labels[:, None], w.shape[1], axis=1)[entries]
    values = w[entries] / norms[labels]
    same = labels[:, None] == labels[None, :]
    bend = (penalty.strength / np.where(norms > 0, norms, 1.0))[labels]
    R = bend[:, None] * np.where(same, np.eye(len(labels)) - np.outer(values, values), 0.0)
    return R + getattr(penalty, "l2", 0.0) * np.eye(len(labels))


def _dense_columns(X: Any, chosen: np.ndarray) -> np.ndarray:
    columns = X[:, np.flatnonzero(chosen)]
    return np.asarray(columns.todense() if sparse.issparse(columns) else columns, dtype=np.float64)


def _total_weight(problem: Problem) -> float:
    datafit: Any = problem.datafit
    if hasattr(datafit, "sample_weight"):
        return float(datafit.sample_weight.sum())
    if hasattr(datafit, "n_rows"):
        return float(datafit.n_rows)
    raise ValueError(f"{type(datafit).__name__} has no samples, so there are no information criteria")


def _fit_term(problem: Problem, w: np.ndarray, n: float, variance: float | None) -> float:
    loss = problem.datafit.value(problem.X @ w)
    gaussian = isinstance(problem.datafit, LeastSquares | MultiResponse) or hasattr(problem.datafit, "n_rows")
    if variance is not None:
        if not gaussian or not real_number(variance) > 0:
            raise ValueError(f"variance is {variance!r}: give a positive number, for least squares only")
        return 2 * n * loss / variance
    if not gaussian:
        return 2 * n * loss
    outputs = problem.datafit.n_outputs or 1
    if loss <= 0:
        raise ValueError("a solution fits y exactly, so the variance cannot be estimated: give variance")
    return n * outputs * float(np.log(2 * loss / outputs))
