"""Random and real instances that the theorems share: losses with groups, and the generators of ledger section 0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Instance:
    """A quadratic loss L with groups, held by a group-LASSO problem.

    problem: group LASSO of strength tau, the smallest one at which 0 is a solution.  H: [p, p] Hessian of L.
    b: [p] = -gradient of L at 0.  name: the generator or the data set.
    """

    name: str
    problem: so.Problem
    H: np.ndarray
    b: np.ndarray

    @property
    def groups(self) -> so.Groups:
        """The groups of the coefficients."""
        return self.problem.penalty.groups

    @cached_property
    def tau(self) -> np.ndarray:
        """|b_g| / weights[g] for every group [G]; their maximum is lambda_max."""
        return self.groups.norms(self.b) / self.problem.penalty.weights

    @cached_property
    def window(self) -> so.certify.LambdaWindow:
        """The strengths at which exactly one group is guaranteed to be active."""
        return so.certify.lambda_window(self.problem)

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues [p] of H, increasing; absolute error of order p eps |H|."""
        return np.linalg.eigvalsh(self.H)

    @property
    def rounding(self) -> float:
        """64 eps p |H|: below this an eigenvalue counts as 0 (ledger, section 0)."""
        return 64 * EPS * len(self.b) * float(self.eigenvalues[-1])

    @property
    def mu(self) -> float:
        """Strong convexity of L, 0 where it is not above rounding."""
        smallest = float(self.eigenvalues[0]) - self.rounding
        return max(smallest, 0.0)

    def block(self, g: int, h: int) -> np.ndarray:
        """The block of H of the groups g (rows) and h (columns)."""
        return self.H[np.ix_(self.groups.members(g), self.groups.members(h))]


def random_groups(rng: np.random.Generator, n_groups: int, largest: int) -> so.Groups:
    """`n_groups` consecutive groups of random sizes 1 to `largest`."""
    return so.Groups.from_sizes(rng.integers(1, largest + 1, n_groups))


def quadratic(name: str, H: Any, b: Any, groups: so.Groups, weights: Any = "none") -> Instance:
    """The instance w'Hw/2 - b'w; H [p, p] positive semidefinite, b [p]."""
    H, b = np.asarray(H, dtype=float), np.asarray(b, dtype=float)
    return _at_lambda_max(name, so.Problem.quadratic(H, b, so.GroupLasso(1.0, groups, weights)), H, b)


def least_squares(
    name: str, X: np.ndarray, y: np.ndarray, groups: so.Groups, weights: Any = "none", intercept: bool = False
) -> Instance:
    """The instance |y - Xw|^2 / (2n); X [n, p], y [n], both centred where an intercept is fitted."""
    problem = so.Problem(X, so.LeastSquares(y, intercept=intercept), so.GroupLasso(1.0, groups, weights))
    if intercept:
        X, y = X - X.mean(axis=0), y - y.mean()
    return _at_lambda_max(name, problem, X.T @ X / len(y), X.T @ y / len(y))


def _at_lambda_max(name: str, problem: so.Problem, H: np.ndarray, b: np.ndarray) -> Instance:
    return Instance(name, problem.with_lam(so.lambda_max(problem)), (H + H.T) / 2, b)


def conditioned_quadratic(
    rng: np.random.Generator, groups: so.Groups, condition: float, weights: Any = "none"
) -> Instance:
    """Gq: Hessian with eigenvalues spaced geometrically from 1 / condition to 1, b = H x0 + noise."""
    p = groups.n_features
    V = np.linalg.qr(rng.standard_normal((p, p)))[0]
    H = (V * np.geomspace(1 / condition, 1, p)) @ V.T
    H = (H + H.T) / 2
    b = H @ rng.standard_normal(p) + 0.1 * rng.standard_normal(p)
    return quadratic(f"quadratic, condition {condition:.0f}", H, b, groups, weights)


def tied_quadratic(rng: np.random.Generator, groups: so.Groups, condition: float) -> Instance:
    """Gtie: as Gq, with the two largest group norms of b equal to rounding; all groups unweighted."""
    base = conditioned_quadratic(rng, groups, condition)
    first, second = np.argsort(base.tau)[::-1][:2]
    factors = np.ones(groups.n_groups)
    factors[second] = base.tau[first] / base.tau[second]
    return quadratic("tied quadratic", base.H, groups.scale(base.b, factors), groups)


def regression(rng: np.random.Generator, groups: so.Groups, n: int, rank: int, weights: Any = "none") -> Instance:
    """Least squares with a Gaussian design [n, p] of rank at most `rank`; one active group in the truth, and noise."""
    p = groups.n_features
    X = rng.standard_normal((n, p))
    if rank < min(n, p):
        X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p)) / np.sqrt(rank)
    truth = np.where(groups.labels == rng.integers(groups.n_groups), rng.standard_normal(p), 0.0)
    y = X @ truth + 0.5 * rng.standard_normal(n)
    return least_squares(f"regression, rank {min(rank, n, p)} of {p}", X, y, groups, weights)


def coherent_regression(rng: np.random.Generator, groups: so.Groups, n: int, share: float) -> Instance:
    """Gcoh: columns that have a common vector mixed in with weight `share`, which makes the blocks coherent."""
    common = rng.standard_normal((n, 1))
    X = (1 - share) * rng.standard_normal((n, groups.n_features)) + share * common
    truth = np.where(groups.labels == 0, 1.0, 0.0)
    return least_squares("coherent regression", X, X @ truth + 0.3 * rng.standard_normal(n), groups)


def orthonormal_regression(rng: np.random.Generator, groups: so.Groups, n: int, weights: Any = "none") -> Instance:
    """Least squares with X_g' X_g / n = I for every group, the design of the real data; blocks stay correlated."""
    X = rng.standard_normal((n, groups.n_features))
    for g in range(groups.n_groups):
        X[:, groups.members(g)] = np.sqrt(n) * np.linalg.qr(X[:, groups.members(g)])[0]
    truth = np.where(groups.labels == rng.integers(groups.n_groups), 1.0, 0.0)
    return least_squares("orthonormal groups", X, X @ truth + rng.standard_normal(n), groups, weights)


def integer_quadratic(rng: np.random.Generator, p: int) -> tuple[list[list[Fraction]], list[Fraction]]:
    """Gint: H = A'A + I and b with small integer entries, as Fractions; p groups of one coefficient each."""
    A = rng.integers(-2, 3, (p, p))
    H = A.T @ A + np.eye(p, dtype=int)
    b = rng.integers(-9, 10, p)
    return [[Fraction(int(v)) for v in row] for row in H], [Fraction(int(v)) for v in b]


def random_loss(rng: np.random.Generator, weights: Any = "none") -> Instance:
    """One of the generators above, with 2 to 8 groups: strongly convex, rank-deficient and coherent ones."""
    groups = random_groups(rng, int(rng.integers(2, 9)), 3)
    kind = rng.integers(5)
    if kind == 0:
        return conditioned_quadratic(rng, groups, float(10 ** rng.uniform(0, 2)), weights)
    n = groups.n_features + int(rng.integers(5, 30))
    if kind == 1:
        return regression(rng, groups, n, groups.n_features, weights)
    if kind == 2:
        rank = max(int(groups.sizes.max()) + 1, groups.n_features - 2)
        return regression(rng, groups, n, rank, weights)
    if kind == 3 and isinstance(weights, str) and weights == "none":
        return coherent_regression(rng, groups, n, float(rng.uniform(0, 0.5)))
    return orthonormal_regression(rng, groups, n, weights)


def real_data(name: str, weights: Any = "none") -> Instance:
    """Least squares with intercept on a bundled data set ("diabetes", "breast_cancer", "digits").

    Raises ImportError, naming the package to install, without scikit-learn.
    """
    from sparseopt import datasets

    data = getattr(datasets, name)()
    return least_squares(name, data.X, data.y, data.groups, weights, intercept=True)


REAL_DATA = ("diabetes", "breast_cancer", "digits")
