"""What a datafit is: the smooth part of a problem, as a function of z = X @ w."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Datafit(Protocol):
    """A convex, differentiable function f of z, unpenalised parts (an intercept) minimised out.

    z is [n], or [n, T] for a datafit with T outputs, of which every array below has the shape.

    n_samples: n.  n_outputs: T, or None where z is [n].  fit_intercept: whether a constant (per output) is minimised
    out, so that adding one to z changes nothing.  smoothness_bound: upper bound of the second derivatives of one
    sample's loss, inf where there is none.
    """

    @property
    def n_samples(self) -> int:
        """n."""

    @property
    def n_outputs(self) -> int | None:
        """T, or None."""

    @property
    def fit_intercept(self) -> bool:
        """Whether a constant is minimised out."""

    @property
    def smoothness_bound(self) -> float:
        """Upper bound of the second derivatives of the loss of one sample."""

    def value(self, z: np.ndarray) -> float:
        """f(z)."""

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """Gradient of f at z."""

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Hessian of f at z times d."""

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """C d for d [n] or [n, m], with C a matrix that dominates the Hessian everywhere (in every output).

        Raises ValueError where there is none.
        """

    def intercept(self, z: np.ndarray) -> Any:
        """The optimal intercept at z, a float or [T]; 0 where the datafit has none."""

    def conjugate(self, u: np.ndarray) -> float:
        """f*(u) = sup over z of <u, z> - f(z), inf outside its domain by more than rounding."""

    def dual(self, z: np.ndarray, scale_limit: float) -> float:
        """max over 0 <= alpha <= scale_limit of -f*(alpha gradient(z))."""
