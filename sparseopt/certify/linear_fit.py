"""The fit X w with its intercept, and the gradient of a loss there, enclosed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem import Problem
from ..recentred import recentred
from .arithmetic import Numbers, Undecided
from .losses import Loss, VanishingLoss, loss_of

DOUBLINGS = 200
"""Times the bracket of an intercept is doubled, from a rounding error of the fit."""


class LinearFit:
    """eta = X w + offset + b for floats w, over the samples and outputs that matter to a rigorous loss."""

    def __init__(self, problem: Problem, loss: Loss, arithmetic: Any) -> None:
        self.problem, self.loss, self.arithmetic = problem, loss, arithmetic
        self.datafit: Any = problem.datafit
        every = np.array_equal(loss.rows, np.arange(problem.X.shape[0]))
        self.X = problem.X if every else problem.X[loss.rows]

    def at(self, w: np.ndarray) -> tuple[Numbers, Numbers]:
        """eta and L(eta) at the optimal intercept, a float."""
        a, datafit, outputs = self.arithmetic, self.datafit, self.loss.outputs
        offset = datafit.offset[self.loss.rows]
        # where a constant in all outputs changes nothing, the offset goes without its own
        shift = a.number(offset) - (float(np.median(offset)) if self.loss.reference else 0.0)
        b = a.number(datafit.intercept(self.problem.X @ w))
        eta = a.apply(self.X, w) + (shift + b)  # a large offset and its intercept cancel
        eta = eta if outputs is None else eta[:, outputs]
        return eta, self.loss.value(eta)

    def adjoint(self, u: Numbers, w: np.ndarray) -> Numbers:
        """X'u, as w, with zeros for the outputs that do not matter."""
        c, outputs = self.arithmetic.adjoint(self.X, u), self.loss.outputs
        if outputs is None or len(outputs) == w.shape[1]:
            return c
        position = {int(k): i for i, k in enumerate(outputs)}
        zero = self.arithmetic.number(np.zeros(len(w)))
        return self.arithmetic.stack([c[:, position[t]] if t in position else zero for t in range(w.shape[1])])

    def balanced(self, w: np.ndarray) -> Numbers:
        """eta at the exact optimal intercept, which is bracketed; an intercept that does not matter is any.

        sum_i force_i(eta + b) rises with b.  With several outputs that a loss couples it is taken for all but one,
        which stays: then its Jacobian in b has entries <= 0 off the diagonal and positive row sums, so that its inverse
        is >= 0, and b with sums >= 0 (<= 0) lies above (below) the root, output for output.  The roots of one output
        alone are an interval, on which the gradient of w is the same.  Raises Undecided where no bracket is found.
        """
        eta = self.at(w)[0]
        if not self.datafit.fit_intercept or isinstance(self.loss, VanishingLoss):
            return eta
        return eta + self.arithmetic.number(self._bracket(eta)) * self.arithmetic.between(-1.0, 1.0)

    def _bracket(self, eta: Numbers) -> np.ndarray:
        """h >= 0, a number or [K], with an optimal b in [-h, h] for eta + b."""
        a, loss = self.arithmetic, self.loss
        low, high = self._sums(eta, 0.0)
        moving = np.ones(low.shape)
        if loss.reference:
            moving[np.argmax(loss.one_hot.sum(axis=0))] = 0.0  # type: ignore[attr-defined]
        sizes = [np.abs(x).max() for x in (a.lower(eta), a.upper(eta))]
        size = max(sizes) or max(np.abs(low).max(), np.abs(high).max())
        half = 0.0 * moving
        for k in range(DOUBLINGS):
            short = (moving > 0) & ~((self._sums(eta, half)[0] >= 0) & (self._sums(eta, -half)[1] <= 0))
            if not short.any():
                return half
            next_one = 2.0**-52 * size * moving if k == 0 else 2 * half
            half = np.where(short if loss.separate else short.any(), next_one, half)
        raise Undecided("no bracket of the optimal intercept is found")

    def _sums(self, eta: Numbers, b: Any) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of sum_i force_i(eta + b), a number or [K]."""
        a = self.arithmetic
        total = a.sum(self.loss.force(eta + a.number(b)), axis=0)
        return a.lower(total), a.upper(total)


def enclosed_gradient(problem: Problem, w: np.ndarray, arithmetic: Any) -> Numbers:
    """Gradient of the datafit at w, [p] or [p, T], at the optimal intercept; ValueError for datafits without formulas.

    Raises Undecided where the optimal intercept is not enclosed.
    """
    fit = LinearFit(recentred(problem)[0], loss_of(problem.datafit, arithmetic), arithmetic)
    return fit.adjoint(fit.loss.force(fit.balanced(w)), w)
