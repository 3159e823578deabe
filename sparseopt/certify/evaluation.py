"""Enclosures of everything a certificate needs, computed from the raw data alone.

Nothing is taken from a solver or from the float evaluations of the datafit: the formulas of the losses and of their
duals stand here a second time, in ball arithmetic, on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from ..datafits import GramLeastSquares, LeastSquares, Quadratic
from ..problem import Problem
from ..recentred import recentred
from .ball import INFLATION, Ball, gamma, length, of_columns, power_of_two, product, row_norms

EIGEN_LIMIT = 1000
"""Strong convexity is looked for up to this number of coefficients (one eigenvalue decomposition, one Cholesky)."""

QUADRATICS = (Quadratic, GramLeastSquares)
"""Datafits of H, b and a constant alone."""

EVALUATED = (LeastSquares, *QUADRATICS)
"""Datafits with an `Evaluation`."""

EXACT_LIMIT = 16
"""Singular quadratics up to this size are shown to be convex in rational numbers."""


class Evaluation(Protocol):
    """The smooth part f of a problem at a point w, enclosed.  Its Hessian is constant."""

    @property
    def loss(self) -> Ball:
        """f(w)."""

    @property
    def loss_at_zero(self) -> Ball:
        """f(0)."""

    @property
    def zero_at_zero(self) -> bool:
        """Whether f(0) is exactly 0."""

    @property
    def infimum(self) -> float:
        """A lower bound of f."""

    @property
    def gradient(self) -> Ball:
        """Gradient of f at w [p]."""

    @property
    def curvatures(self) -> np.ndarray:
        """Upper bounds [p] of the diagonal of the Hessian."""

    def hessian_columns(self, columns: np.ndarray) -> Ball:
        """Columns of the Hessian [p, len(columns)]."""

    def dual(self, limit: float) -> Ball:
        """Lower enclosure of the dual at a feasible multiple |alpha| <= limit of -gradient; -inf when there is none."""

    def dual_ceiling(self, limit: float) -> float:
        """Upper bound of the dual over the multiples |alpha| <= limit of -gradient."""


def evaluate(problem: Problem, w: np.ndarray) -> Evaluation:
    """Enclosures at w [p] for the datafits that have them, else ValueError."""
    datafit: Any = problem.datafit
    if type(datafit) is LeastSquares:
        return LeastSquaresEvaluation.at(recentred(problem)[0].X, datafit, w)
    if type(datafit) in QUADRATICS:
        return QuadraticEvaluation.at(datafit, w)
    raise ValueError(f"{type(datafit).__name__} is not treated: allowed are LeastSquares, Quadratic and from_gram")


@dataclass(frozen=True)
class LeastSquaresEvaluation:
    """sum_i s_i r_i^2 / 2, s = sample weights / their sum, r = y - offset - X w, centred if there is an intercept."""

    X: Any
    share: Ball
    residual: Ball
    target: Ball
    gradient: Ball
    curvatures: np.ndarray
    centred: bool
    zero_at_zero: bool
    infimum: float = 0.0

    @classmethod
    def at(cls, X: Any, datafit: LeastSquares, w: np.ndarray) -> LeastSquaresEvaluation:
        """The evaluation at w [p], from the raw data."""
        weight = Ball.exact(datafit.sample_weight / power_of_two(datafit.sample_weight.max()))
        share = weight / weight.sum()
        support = np.flatnonzero(w)
        columns = X[:, support]
        fit = of_columns(columns, Ball.exact(w[support]))
        used = datafit.sample_weight > 0
        target, offset = (Ball.exact(np.where(used, values, 0.0)) for values in (datafit.y, datafit.offset))
        if datafit.fit_intercept:  # large means of either cancel exactly
            target = target - Ball.exact(np.where(used, np.median(target.mid[used]), 0.0))
            offset = offset - Ball.exact(np.where(used, np.median(offset.mid[used]), 0.0))
        target = target - offset
        residual = target - fit
        vanishes = not (target.mid.any() or target.rad.any())
        if datafit.fit_intercept:
            target, residual = target - share.dot(target), residual - share.dot(residual)
        norms = row_norms(X.T)
        gradient = -product(X.T, share * residual, norms)
        trace = norms**2 * float(share.upper.max()) * INFLATION
        return cls(X, share, residual, target, gradient, trace, datafit.fit_intercept, vanishes)

    @property
    def loss(self) -> Ball:
        """sum_i s_i r_i^2 / 2 at w."""
        return self.share.dot(self.residual * self.residual).times(0.5)

    @property
    def loss_at_zero(self) -> Ball:
        """The same at w = 0."""
        return self.share.dot(self.target * self.target).times(0.5)

    def dual(self, limit: float) -> Ball:
        """alpha <s r, target> - alpha^2 <s r, r> / 2 at the best float alpha within the limit."""
        return self._dual(limit)[0]

    def dual_ceiling(self, limit: float) -> float:
        """The value at a float alpha, plus slope^2 / (2 square) unless the slope points out of the limit there."""
        value, slope, square, alpha = self._dual(limit)
        if (alpha == limit and slope.lower >= 0) or (alpha == -limit and slope.upper <= 0):
            return float(value.upper)
        steepest = abs(slope).upper
        excess = steepest / square.lower * steepest * INFLATION / 2 if square.lower > 0 else np.inf
        return float((value + Ball.exact(excess)).upper)

    def _dual(self, limit: float) -> tuple[Ball, Ball, Ball, float]:
        """(dual at alpha, its slope there, minus its curvature, alpha), alpha the best float within the limit."""
        force = self.share * self.residual
        linear, square = force.dot(self.target), force.dot(self.residual)
        alpha = float(np.clip(linear.mid / square.mid, -limit, limit)) if square.mid > 0 else 0.0
        bent = square * Ball.exact(alpha)
        return (linear - bent.times(0.5)) * Ball.exact(alpha), linear - bent, square, alpha

    def hessian_columns(self, columns: np.ndarray) -> Ball:
        """X' diag(s) X_c, of centred columns with an intercept."""
        return weighted_gram(self.X, self.share.mid, columns, self.centred, np.sqrt(self.curvatures))


@dataclass(frozen=True)
class QuadraticEvaluation:
    """w' H w / 2 - b' w + constant, the constant of `Problem.from_gram`."""

    datafit: Quadratic
    w: np.ndarray
    gradient: Ball
    fitted: Ball
    loss_at_zero: Ball

    @classmethod
    def at(cls, datafit: Quadratic, w: np.ndarray) -> QuadraticEvaluation:
        """The evaluation at w [p], from H and b."""
        fitted = product(datafit.H, Ball.exact(w), row_norms(datafit.H))
        constant = Ball.exact(getattr(datafit, "constant", 0.0))
        return cls(datafit, w, fitted - Ball.exact(datafit.b), fitted, constant)

    @property
    def zero_at_zero(self) -> bool:
        """Whether the constant is 0."""
        return not self.loss_at_zero.mid.any()

    @property
    def curvatures(self) -> np.ndarray:
        """Diagonal of H [p]."""
        return np.diag(self.datafit.H)

    @property
    def loss(self) -> Ball:
        """w' H w / 2 - b' w + constant at w."""
        w = Ball.exact(self.w)
        return w.dot(self.fitted).times(0.5) - Ball.exact(self.datafit.b).dot(w) + self.loss_at_zero

    @property
    def infimum(self) -> float:
        """A lower bound of the loss over all w; -inf where there is none."""
        return float((self.loss_at_zero - self._conjugate(0.0)).lower)

    def dual(self, limit: float) -> Ball:
        """constant - f*(alpha gradient), f without the constant, at the best float alpha within the limit, or at 1.

        alpha = 1 needs no inverse of H, but its gap is of first order in the error of w; the best one's is of second.
        """
        d = self.w - self.datafit.minimiser
        curvature = float(d @ (self.datafit.H @ d))
        best = -float(d @ (self.datafit.H @ self.datafit.minimiser)) / curvature if curvature > 0 else 0.0
        dual = self.loss_at_zero - self._conjugate(float(np.clip(best, -limit, limit)))
        if limit >= 1 and positive_semidefinite(self.datafit.H):
            plain = self.loss_at_zero - Ball.exact(self.w).dot(self.fitted).times(0.5)
            return plain if plain.lower > dual.lower else dual
        return dual

    def dual_ceiling(self, limit: float) -> float:
        """The upper end of the enclosure of `dual`, to second order in the rounding error of its multiple."""
        return float(self.dual(limit).upper)

    def _conjugate(self, alpha: float) -> Ball:
        """Enclosure from above of f*(alpha gradient) = v' H^-1 v / 2 with v = alpha H w + (1 - alpha) b.

        For any m: v' H^-1 v / 2 <= v' m - m' H m / 2 + |v - H m|^2 / (2 mu); m is close to H^-1 v.
        """
        m = alpha * self.w + (1 - alpha) * self.datafit.minimiser
        v = self.fitted.times(alpha) + Ball.exact(self.datafit.b) * (Ball.exact(1.0) - Ball.exact(alpha))
        Hm = product(self.datafit.H, Ball.exact(m), row_norms(self.datafit.H))
        miss = v - Hm
        mu = strong_convexity(self)
        excess = miss.dot(miss).upper / (2 * mu) * INFLATION if mu > 0 else np.inf
        value = v.dot(Ball.exact(m)) - Ball.exact(m).dot(Hm).times(0.5)
        return Ball(value.mid, value.rad + excess)

    def hessian_columns(self, columns: np.ndarray) -> Ball:
        """Columns of H, exactly."""
        return Ball.exact(self.datafit.H[:, columns])


def weighted_gram(X: Any, weights: np.ndarray, columns: np.ndarray, centred: bool, lengths: np.ndarray) -> Ball:
    """X' diag(s) X_c [p, len(columns)] for weights s [n] >= 0, less X's s'X_c / sum s if centred.

    lengths: [p], at least the lengths |x_j|_s of the columns; entry (j, l) is within 8 gamma |x_j|_s |x_l|_s.
    """
    chosen = _dense(X[:, columns])
    mid = _dense(X.T @ (weights[:, None] * chosen))
    if centred:
        mid = mid - np.outer(X.T @ weights, weights @ chosen) / weights.sum()
    return Ball.rounded(mid, 8 * gamma(len(weights) + 8) * np.outer(lengths, lengths[columns]))


def strong_convexity(evaluation: Evaluation) -> float:
    """A lower bound >= 0 of the smallest eigenvalue of the Hessian; 0 beyond EIGEN_LIMIT coefficients."""
    p = len(evaluation.curvatures)
    return block_eigenvalue(evaluation.hessian_columns(np.arange(p))) if p <= EIGEN_LIMIT else 0.0


def block_eigenvalue(block: Ball) -> float:
    """A lower bound >= 0 of the smallest eigenvalue of a symmetric matrix enclosed by a ball [k, k]."""
    slack = length(block.rad)
    return max(smallest_eigenvalue((block.mid + block.mid.T) / 2) - slack, 0.0)


def spectral_norm(block: Ball) -> float:
    """An upper bound of the spectral norm of a matrix enclosed by a ball [m, k], at any scale."""
    if not np.isfinite(block.mid).all():
        return float("inf")
    m, k = block.mid.shape
    unit = float(power_of_two(np.abs(block.mid).max(initial=0.0)))
    mid = block.mid / unit
    gram = mid.T @ mid if m >= k else mid @ mid.T
    total = length(mid) ** 2
    error = 2 * gamma(m + k + 4) * total
    bound = float(np.linalg.eigvalsh(gram)[-1]) + error + 16 * gamma(len(gram) + 4) * len(gram) * total
    shown = smallest_eigenvalue(bound * np.eye(len(gram)) - (gram + gram.T) / 2) > 0
    return (float(np.sqrt(bound + error if shown else total)) * unit + length(block.rad)) * INFLATION


def _dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.todense() if sparse.issparse(matrix) else matrix, dtype=np.float64)


def smallest_eigenvalue(A: np.ndarray, guess: float | None = None) -> float:
    """A rigorous lower bound of the smallest eigenvalue of a symmetric float matrix A [p, p]; 0 if not shown positive.

    A Cholesky factorisation of A - c I that runs through shows lambda_min(A) >= c - 2 gamma_{p+2} trace(A): its
    backward error is at most gamma_{p+1} / (1 - gamma_{p+1}) times the trace (Higham, theorem 10.3; Rump, 2006).
    guess: tried first as the bound, the computed eigenvalue where it is None.
    """
    if not np.isfinite(A).all():
        return 0.0
    unit = float(power_of_two(np.abs(A).max()))
    A = A / unit
    p, trace = len(A), float(np.trace(A))
    slack = 2 * gamma(p + 2) * trace
    shift = (float(np.linalg.eigvalsh(A)[0]) if guess is None else guess / unit) - 2 * slack
    for _ in range(4):
        if shift <= slack:
            return 0.0
        try:
            np.linalg.cholesky(A - shift * np.eye(p))
        except np.linalg.LinAlgError:
            shift -= 4 * slack
        else:
            return (shift - slack) / INFLATION * unit
    return 0.0


def positive_semidefinite(A: np.ndarray) -> bool:
    """Whether the symmetric float matrix A [p, p] is shown to be positive semidefinite.

    By `smallest_eigenvalue`, or for a diagonal or small singular A by an exact factorisation in rational numbers.
    """
    if np.count_nonzero(A) == np.count_nonzero(np.diag(A)):
        return bool((np.diag(A) >= 0).all())
    return smallest_eigenvalue(A) > 0 or (len(A) <= EXACT_LIMIT and _exactly_semidefinite(A))


def _exactly_semidefinite(A: np.ndarray) -> bool:
    """LDL' with diagonal pivoting in Fractions: all pivots are >= 0, and a zero pivot leaves nothing behind."""
    rest = [[Fraction(float(a)) for a in row] for row in A]
    while rest:
        k = max(range(len(rest)), key=lambda i: rest[i][i])
        pivot = rest[k][k]
        if pivot <= 0:
            return not any(any(row) for row in rest)
        kept = [i for i in range(len(rest)) if i != k]
        rest = [[rest[i][j] - rest[i][k] * rest[k][j] / pivot for j in kept] for i in kept]
    return True
