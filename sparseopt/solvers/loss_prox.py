"""argmin over x of loss(X x) + rho / 2 |x - v|^2: the subproblem of ADMM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from ..datafits import LeastSquares, MultiResponse, Quadratic
from ..problem import Problem

FACTOR_LIMIT = 2000
"""Size of the smaller side of X up to which quadratic losses are treated by one eigenvalue decomposition."""

NEWTON_STEPS = 50
CONJUGATE_STEPS = 500


class LossProx:
    """The prox of a loss as a function of w; `exact` for quadratic losses up to FACTOR_LIMIT, where it costs two
    products with the eigenvectors for any rho; else Newton's method with conjugate gradients, started at the last x.

    Both are accurate to rounding: the gradient of the subproblem is of the size of eps times its terms.
    late: whether time is up, asked within Newton's method, which then ends where it is.
    """

    def __init__(self, problem: Problem, late: Callable[[], bool] = lambda: False) -> None:
        self.problem, self.late = problem, late
        if self.exact and "loss_prox" not in problem.kept:
            problem.kept["loss_prox"] = _decomposition(problem)

    @property
    def exact(self) -> bool:
        """Whether the subproblem is one linear system whose matrix is decomposed once."""
        quadratic = type(self.problem.datafit) in (LeastSquares, MultiResponse, Quadratic)
        return quadratic and min(self.problem.X.shape) <= FACTOR_LIMIT

    def __call__(self, v: np.ndarray, rho: float, start: np.ndarray) -> np.ndarray:
        """The minimiser, of the shape of v [p] or [p, T].  rho: > 0.  start: a guess, used by Newton's method."""
        if not self.exact:
            return _newton(self.problem, v, rho, start, self.late)
        values, vectors = self.problem.kept["loss_prox"]
        x = v
        for _ in range(2):  # the second solve removes the rounding errors of the first
            residual = _gradient(self.problem, x) + rho * (x - v)
            inside = vectors.T @ residual
            scale = (1 / (values + rho) - 1 / rho).reshape(-1, *[1] * (v.ndim - 1))
            x = x - residual / rho - vectors @ (scale * inside)
        return x


def _gradient(problem: Problem, x: np.ndarray) -> np.ndarray:
    return problem.transposed_product(problem.datafit.gradient(problem.X @ x))


def _decomposition(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Nonzero eigenvalues [r] of the Hessian X' C X, and their eigenvectors [p, r]."""
    X, datafit = problem.X, problem.datafit
    if isinstance(datafit, Quadratic):
        values, vectors = np.linalg.eigh(datafit.H)
        return np.maximum(values, 0.0), vectors
    dense = np.asarray(X.todense() if sparse.issparse(X) else X, dtype=np.float64)
    n, p = dense.shape
    if p <= n:
        values, vectors = np.linalg.eigh(dense.T @ datafit.curvature(dense))
        return np.maximum(values, 0.0), vectors
    weights, basis = np.linalg.eigh(datafit.curvature(np.eye(n)))
    root = basis * np.sqrt(np.maximum(weights, 0.0))
    left, singular, right = np.linalg.svd(root.T @ dense, full_matrices=False)
    del left
    return singular**2, right.T


def _newton(problem: Problem, v: np.ndarray, rho: float, x: np.ndarray, late: Callable[[], bool]) -> np.ndarray:
    """Newton's method with step halving; the subproblem is strongly convex with modulus rho."""
    datafit, X = problem.datafit, problem.X
    z, eps = X @ x, np.finfo(float).eps
    for _ in range(NEWTON_STEPS):
        force = X.T @ datafit.gradient(z)
        gradient = force + rho * (x - v)
        size = float(np.linalg.norm(force) + rho * np.linalg.norm(v))
        if np.linalg.norm(gradient) <= 4 * eps * size or late():
            break
        move = _conjugate_gradients(problem, z, rho, gradient, eps * size, late)
        z_move, fraction = X @ move, 1.0
        slope = float(np.vdot(gradient, move))
        here = datafit.value(z) + rho / 2 * float(((x - v) ** 2).sum())
        while fraction > 1e-6:
            there = datafit.value(z - fraction * z_move) + rho / 2 * float(((x - fraction * move - v) ** 2).sum())
            if there <= here - 0.25 * fraction * slope + 8 * eps * abs(here):
                break
            fraction /= 2
        x, z = x - fraction * move, z - fraction * z_move
    return x


def _conjugate_gradients(
    problem: Problem, z: np.ndarray, rho: float, b: np.ndarray, small: float, late: Callable[[], bool]
) -> np.ndarray:
    """Solution d of (X' H(z) X + rho I) d = b, the residual below 0.01 |b| min(1, |b|) or below `small`."""
    datafit, X = problem.datafit, problem.X
    d, r = np.zeros_like(b), b.copy()
    direction, square = r, float(np.vdot(r, r))
    target = max(0.01 * square**0.5 * min(1.0, square**0.5), small)
    for _ in range(CONJUGATE_STEPS):
        if square**0.5 <= target or late():
            break
        bent = X.T @ datafit.hessian(z, X @ direction) + rho * direction
        length = square / float(np.vdot(direction, bent))
        d, r = d + length * direction, r - length * bent
        new = float(np.vdot(r, r))
        direction, square = r + new / square * direction, new
    return d
