"""Orthonormal groups: a change of coordinates in which every group has X_g' X_g / n = I."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from .groups import Groups
from .problem import Problem
from .result import Result

RANK = 1e-10
"""Directions of a group this much shorter than its longest one are collinear columns, and dropped."""

ROUNDING = 1e-13
"""Relative size, before centring, of columns that are constant up to rounding."""


class GroupStandardisation:
    """The problem in coordinates v with w_g = T_g v_g in which the columns of every group are orthonormal.

    X_g T_g has mean-square 1 columns, orthogonal to each other, weighted by the samples and after centring when the
    datafit has an intercept (X itself is not shifted, so the intercept stays what it was).  In the old coordinates
    the penalty is that of |X_g w_g|_2 / sqrt(n), which does not depend on the units or the basis of a group; weights
    stay those of the groups as given.  Collinear columns share their coefficient: w_g is the shortest solution.

    problem: radial penalty (GroupLasso without positive, GroupElasticNet, GroupMCP, ...) and dense X, else ValueError.
    .problem: the standardised Problem, a dense copy of X.  .back(result): the Result with w in the old coordinates.
    Source: Simon and Tibshirani, Standardization and the group lasso penalty (2012).
    """

    def __init__(self, problem: Problem) -> None:
        if sparse.issparse(problem.X):
            raise ValueError('standardize="group" makes X dense: give X.toarray(), or scale the columns beforehand')
        if not hasattr(problem.penalty, "with_groups") or getattr(problem.penalty, "positive", False):
            raise ValueError(
                f'{problem.penalty!r} depends on the basis within groups: standardize="group" is not for it'
            )
        groups = problem.penalty.groups
        share = getattr(problem.datafit, "share", np.full(problem.X.shape[0], 1 / problem.X.shape[0]))
        self.original = problem
        self.maps = [
            _orthonormal_map(problem.X[:, groups.members(g)], share, problem.datafit.fit_intercept)
            for g in range(groups.n_groups)
        ]
        X = np.empty((problem.X.shape[0], sum(T.shape[1] for T in self.maps)), order="F")
        sizes = [T.shape[1] for T in self.maps]
        self.groups = Groups(np.repeat(np.arange(len(sizes)), sizes), groups.names)
        for g, T in enumerate(self.maps):
            X[:, self.groups.members(g)] = problem.X[:, groups.members(g)] @ T
        self.problem = Problem(X, problem.datafit, problem.penalty.with_groups(self.groups))

    def coefficients(self, v: np.ndarray) -> np.ndarray:
        """w [p] or [p, T] in the coordinates of the original problem, for v in those of `problem`."""
        w = np.zeros((self.original.n_features, *v.shape[1:]))
        for g, T in enumerate(self.maps):
            w[self.original.penalty.groups.members(g)] = T @ v[self.groups.members(g)]
        return w

    def back(self, result: Result) -> Result:
        """The Result with .w for the columns of X as given; .latent, gap and certificates stay those of `problem`."""
        return replace(result, w=self.original.collapse(self.coefficients(result.latent)))


def _orthonormal_map(block: np.ndarray, share: np.ndarray, centre: bool) -> np.ndarray:
    """T [m, r] with (B T)' S (B T) = I for the block B [n, m], centred if asked; [m, 1] zeros where B vanishes."""
    block = block.astype(np.float64)
    size = np.linalg.norm(block)
    if centre:
        block = block - share @ block
    values, right = np.linalg.svd(np.sqrt(share)[:, None] * block, full_matrices=False)[1:]
    kept = (values > RANK * values[0]) & (values > ROUNDING * size / np.sqrt(len(block)))
    if not kept.any():
        return np.zeros((block.shape[1], 1))
    return right[kept].T / values[kept]
