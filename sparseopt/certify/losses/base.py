"""What every rigorous loss can do."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import numpy as np

from ..arithmetic import Numbers, Outside, Undecided
from ..ball import INFLATION, weighted_squares

LARGEST_MULTIPLE = 2.0**20
"""Dual points are not multiplied by more: only far from a solution would it help."""


class Loss(Protocol):
    """A mean loss L of eta = z + offset + b over the samples `rows`, enclosed; arrays are [m] or [m, K] for m rows.

    rows: [m] indices of the samples that matter.  outputs: indices of the outputs that matter, None where eta is [m].
    separate: whether the Hessian is one diagonal matrix for every output.  reference: whether adding a constant to all
    outputs changes nothing, so that the last one can be left out of a projection.  largest_multiple: of the dual point.

    Optional, for losses some of whose forces tend to 0 as eta goes to infinity: saturated(eta, size), where the force
    is at most `size` of a share and a dual point may have 0 in its place (bool, as eta); live, bool as eta, where
    force and Hessian are not replaced by 0 (see `muted`), None for everywhere.
    """

    rows: np.ndarray
    outputs: np.ndarray | None
    separate: bool
    reference: bool
    largest_multiple: float

    def value(self, eta: Numbers) -> Numbers:
        """L(eta)."""

    def force(self, eta: Numbers) -> Numbers:
        """Gradient of L."""

    def hessian(self, eta: Numbers, d: Numbers) -> Numbers:
        """Hessian of L, or another positive semidefinite matrix, times d."""

    def slack(self, eta: Numbers, d: Numbers | None, alpha: float) -> Numbers:
        """L(eta) + L*(u) - <u, eta> >= 0 for u = alpha (force - hessian d); Undecided unless u is shown
        to be in the domain of L*, Outside where it is shown not to be.

        d = None is 0.
        """

    def traces(self, X: Any, eta: Numbers, gap: float) -> np.ndarray:
        """Floats t [p] with |X_g'(force(eta) - force(eta*))|^2 <= 2 gap sum_{j in g} t_j for the columns X_g [m, |g|]
        of any group, and every eta* with L(eta) - L(eta*) - <force(eta*), eta - eta*> <= gap.

        Where the forces of the samples, divided by their shares s, are Lipschitz with constants c_i on the way, that is
        Cauchy-Schwarz with sum_i |force_i(eta) - force_i(eta*)|^2 / (s_i c_i) <= 2 gap: t_j = sum_i s_i c_i x_ij^2.
        """

    def stiffness(self, eta: Numbers, gap: float) -> np.ndarray:
        """Floats q [m] >= 0 with sum_i q_i |eta_i - eta*_i|^2 <= 2 gap for the same eta*; 0 where none is known.

        q_i = s_i k_i where the curvature of a sample is at least k_i at every point between eta_i and eta*_i.
        """


def check_domain(inside: bool, outside: bool) -> None:
    """Raise Outside or Undecided unless a dual point is shown to be in the domain of the conjugate."""
    if not inside:
        kind, word = (Outside, "is not") if outside else (Undecided, "is not shown to be")
        raise kind(f"the dual point {word} in the domain of the conjugate")


def muted(loss: Any, eta: Numbers, size: float) -> Any:
    """The loss with forces of 0 where they are at most `size` of a share at eta; None where that changes nothing.

    Where unpenalised columns separate samples, forces of exactly 0 there are the only ones orthogonal to the columns.
    """
    if not hasattr(loss, "saturated"):
        return None
    small = loss.saturated(eta, size)
    before = np.ones(eta.shape, dtype=bool) if loss.live is None else loss.live
    if not (small & before).any():
        return None
    other = copy.copy(loss)
    other.live = before & ~small
    return other


def of_live(loss: Any, numbers: Numbers) -> Numbers:
    """The numbers [m] or [m, K], 0 where the loss does not keep them."""
    return numbers if loss.live is None else loss.arithmetic.where(loss.live, numbers, 0.0)


def shares(datafit: Any, arithmetic: Any, rows: np.ndarray) -> Numbers:
    """sample_weight / its sum, of the rows, exactly rounded outwards."""
    weight = datafit.sample_weight
    scaled = weight * 2.0 ** -int(np.frexp(weight.max())[1])
    numbers = arithmetic.number(scaled[rows])
    return numbers / arithmetic.sum(numbers)


def lower_weights(loss: Any, curvatures: np.ndarray) -> np.ndarray:
    """Floats below share * curvatures [m]."""
    share = loss.arithmetic.lower(loss.share).reshape(len(loss.rows))
    return np.asarray(np.maximum(share * curvatures, 0.0) / INFLATION)


def traces_of(loss: Any, X: Any, steepness: Any) -> np.ndarray:
    """Upper bounds [p] of sum_i share_i c_i x_ij^2 for the steepness c, floats [m] or one number."""
    share = loss.arithmetic.upper(loss.share).reshape(len(loss.rows))
    return weighted_squares(X, share * steepness * INFLATION)


def column(numbers: Numbers, like: Numbers) -> Numbers:
    """[m] as [m, 1] where `like` is [m, K]."""
    return numbers[:, None] if len(like.shape) == 2 else numbers
