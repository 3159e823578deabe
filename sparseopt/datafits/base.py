"""What a datafit is: the smooth part of a problem, as a function of z = X @ w."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Datafit(Protocol):
    """A convex, differentiable function of z [n], unpenalised parts (an intercept) minimised out.

    n_samples: n.  fit_intercept: whether a constant is minimised out, so that adding one to z changes nothing.
    """

    n_samples: int
    fit_intercept: bool

    def value(self, z: np.ndarray) -> float:
        """Value at z [n]."""

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """Gradient [n] with respect to z [n]."""

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """C d for d [n] or [n, m], with C the Hessian or a matrix that dominates the Hessian everywhere."""

    def intercept(self, z: np.ndarray) -> float:
        """The optimal intercept at z [n]; 0 where the datafit has none."""

    def dual(self, z: np.ndarray, scale_limit: float) -> float:
        """Value of the dual at the best multiple alpha <= scale_limit of the dual point -gradient(z)."""
