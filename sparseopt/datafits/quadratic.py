"""The plain quadratic w' H w / 2 - b' w: the test problem of the theorems."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._array import as_float


class Quadratic:
    """z' H z / 2 - b' z, with z = w (the design is the identity).

    H: [p, p] symmetric, positive semidefinite.  b: [p].  Raises ValueError for wrong shapes, NaN, an H that is not
    symmetric, or one with a negative eigenvalue (beyond rounding).
    """

    fit_intercept = False
    n_outputs: int | None = None
    _accuracy = 0.0  # relative error of H, which may make eigenvalues negative

    def __init__(self, H: Any, b: Any) -> None:
        self.H = as_float(H, "H", ndim=2).astype(np.float64)
        self.b = as_float(b, "b", ndim=1).astype(np.float64)
        self.n_samples = len(self.b)
        if self.H.shape != (self.n_samples, self.n_samples):
            raise ValueError(f"H has shape {self.H.shape} and b {self.b.shape}: H must be [p, p] with p = len(b)")
        if not np.array_equal(self.H, self.H.T):
            raise ValueError("H is not symmetric: give (H + H.T) / 2")
        values, self._vectors = np.linalg.eigh(self.H)
        size = max(abs(values[0]), abs(values[-1]))
        rounding = self.n_samples * np.finfo(float).eps * size
        if values[0] < -max(rounding, self._accuracy * size):
            raise ValueError(f"H has the eigenvalue {values[0]:g}: it must be positive semidefinite")
        self._values = np.where(values > rounding, values, 0.0)
        self.smoothness_bound = float(values[-1])

    def restrict(self, chosen: np.ndarray) -> Quadratic:
        """The same function of the coordinates with these indices [k], the others being 0."""
        return Quadratic(self.H[np.ix_(chosen, chosen)], self.b[chosen])

    def intercept(self, z: np.ndarray) -> float:
        """0: there is none."""
        return 0.0

    def value(self, z: np.ndarray) -> float:
        """z' H z / 2 - b' z for z [p]."""
        return float(0.5 * z @ (self.H @ z) - self.b @ z)

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """H z - b [p]."""
        return self.H @ z - self.b

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """H d for d [p] or [p, m]."""
        return self.H @ d

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """`curvature(d)`: the Hessian is constant."""
        return self.H @ d

    @cached_property
    def bounded(self) -> bool:
        """Whether b is in the range of H, to rounding: else the function has no minimum."""
        miss = np.abs(self.H @ self.minimiser - self.b).max()
        return bool(miss <= 1e-9 * max(np.abs(self.b).max(), np.finfo(float).tiny))

    def root(self) -> tuple[np.ndarray, np.ndarray]:
        """A design A [p, p], column-major, and a target t [p] with |t - A z|^2 / 2 = this function + a constant.

        A'A = H to rounding; A't = b up to the part of b outside the range of H, on which the function is linear.
        """
        scale = np.sqrt(self._values)
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        return np.asfortranarray(scale[:, None] * self._vectors.T), inverse * (self._vectors.T @ self.b)

    @cached_property
    def minimiser(self) -> np.ndarray:
        """The point c [p] of least norm with H c = b (least squares where b is not in the range of H)."""
        inverse = np.divide(1.0, self._values, out=np.zeros_like(self._values), where=self._values > 0)
        return self._vectors @ (inverse * (self._vectors.T @ self.b))

    def conjugate(self, u: np.ndarray) -> float:
        """sup over z of <u, z> - value(z) = (u + b)' H^+ (u + b) / 2; inf where u + b is not in the range of H."""
        coordinates = self._vectors.T @ (u + self.b)
        kernel = self._values == 0
        if (np.abs(coordinates[kernel]) > 1e-9 * (float(np.linalg.norm(u)) + float(np.linalg.norm(self.b)))).any():
            return np.inf
        return 0.5 * float((coordinates[~kernel] ** 2 / self._values[~kernel]).sum())

    def dual(self, z: np.ndarray, scale_limit: float) -> float:
        """max over 0 <= alpha <= scale_limit of -f*(alpha gradient(z)), with f*(v) = m' H m / 2,
        m = alpha z + (1 - alpha) c.

        -inf when b is not in the range of H and alpha = 1 is not allowed: then f* is infinite.
        """
        c = self.minimiser
        if not self.bounded:
            return -0.5 * float(z @ (self.H @ z)) if scale_limit >= 1 else -np.inf
        d = z - c
        dd, dc, cc = (float(u @ (self.H @ v)) for u, v in ((d, d), (d, c), (c, c)))
        alpha = 0.0 if dd == 0 else min(max(-dc / dd, 0.0), scale_limit)
        return -0.5 * (alpha**2 * dd + 2 * alpha * dc + cc)
