"""Instances of the remarks on lambda: the group LASSO of a loss at one strength."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS, Instance
from ..theorem import Evidence

NEWTON_STEPS = 60
"""Enough for the norm of a block solution: the steps increase to it and square the error in the end."""


@dataclass(frozen=True)
class AtStrength:
    """The group LASSO of a loss at the strength lam."""

    loss: Instance
    lam: float

    @property
    def window(self) -> so.certify.LambdaWindow:
        """The guaranteed window."""
        return self.loss.window

    @property
    def problem(self) -> so.Problem:
        """The problem at lam."""
        return self.loss.problem.with_lam(self.lam)

    @property
    def tau(self) -> float:
        """lambda_max."""
        return float(self.loss.tau.max())

    @property
    def rounding(self) -> float:
        """64 eps p |b|, the error of a gradient (ledger, section 0)."""
        return 64 * EPS * len(self.loss.b) * float(np.linalg.norm(self.loss.b))

    @cached_property
    def one_group(self) -> np.ndarray:
        """Minimiser [p] among the points whose group `window.group` alone is active, to machine precision."""
        g, weights = self.window.group, self.loss.problem.penalty.weights
        w = np.zeros(len(self.loss.b))
        members = self.loss.groups.members(g)
        w[members] = block_solution(self.loss.block(g, g), self.loss.b[members], self.lam * weights[g])
        return w

    @cached_property
    def block_error(self) -> float:
        """Bound on the distance of `one_group` to the exact minimiser over its block: |residual| / mu_1; inf at 0."""
        g, groups = self.window.group, self.loss.groups
        part = self.one_group[groups.members(g)]
        if not part.any():
            return np.inf
        pull = self.lam * self.loss.problem.penalty.weights[g] * part / np.linalg.norm(part)
        residual = self.loss.block(g, g) @ part - self.loss.b[groups.members(g)] + pull
        mu = float(np.linalg.eigvalsh(self.loss.block(g, g))[0])
        return (float(np.linalg.norm(residual)) + self.rounding) / mu

    @property
    def prox_movement(self) -> float:
        """|prox(w - gradient / L) - w| at `one_group`: at most twice its error, plus rounding, as the map contracts."""
        step, w = 1 / float(self.loss.eigenvalues[-1]), self.one_group
        moved = self.problem.penalty.prox(w - step * (self.loss.H @ w - self.loss.b), step)
        return float(np.linalg.norm(moved - w))

    def largest_other_gradient(self) -> float:
        """Bound on |gradient_h| / weights[h] over the other groups h at the exact minimiser over the block."""
        groups, g = self.loss.groups, self.window.group
        norms = groups.norms(self.loss.H @ self.one_group - self.loss.b)
        others = np.delete(np.arange(groups.n_groups), g)
        moved = [norms[h] + np.linalg.norm(self.loss.block(h, g), 2) * self.block_error for h in others]
        return float((np.array(moved) / self.loss.problem.penalty.weights[others]).max(initial=0.0))


def block_solution(H: np.ndarray, b: np.ndarray, strength: float) -> np.ndarray:
    """argmin over v [m] of v'Hv/2 - b'v + strength |v|; H [m, m] positive definite.

    r = |v| solves sum_i c_i^2 / (h_i r + strength)^2 = 1 in the eigenbasis of H; Newton's method from r = 0 increases
    to it, since the left side is convex and decreasing.
    """
    if np.linalg.norm(b) <= strength:
        return np.zeros(len(b))
    h, V = np.linalg.eigh(H)
    c, r = V.T @ b, 0.0
    for _ in range(NEWTON_STEPS):
        terms = c**2 / (h * r + strength) ** 2
        slope = -2 * float((terms * h / (h * r + strength)).sum())
        r = max(r - (float(terms.sum()) - 1) / slope, r)
    return V @ (c * r / (h * r + strength))


@dataclass(frozen=True)
class ExactStrength:
    """min L(u) + lam sum_i |u_i| with rational data, each variable a group.

    value, gradient: of L.  minimiser: of the sum, by its optimality conditions.  curvature: a lower bound of the
    eigenvalues of the Hessian.  lower: lower end of the window, a tie counting as if the tied group were not there.
    """

    value: Callable[..., Fraction]
    gradient: Callable[..., tuple[Fraction, ...]]
    lam: Fraction
    minimiser: tuple[Fraction, ...]
    competitors: tuple[tuple[Fraction, ...], ...]
    curvature: Fraction
    lower: Fraction

    @property
    def gradients_at_zero(self) -> list[Fraction]:
        """|gradient_i(0)|, the largest first."""
        return sorted((abs(g) for g in self.gradient(*(Fraction(0) for _ in self.minimiser))), reverse=True)

    def objective(self, u: tuple[Fraction, ...]) -> Fraction:
        """L(u) + lam sum_i |u_i|."""
        return self.value(*u) + self.lam * sum((abs(x) for x in u), Fraction(0))

    def evidence(self) -> tuple[Evidence, ...]:
        """From lambda_max on: no competitor is as good as 0.  Below: one variable alone is not zero."""
        if self.lam < self.gradients_at_zero[0]:
            others = sorted((abs(x) for x in self.minimiser), reverse=True)[1:]
            return (Evidence("every group but one is zero", max(others, default=Fraction(0)), Fraction(0)),)
        zero = tuple(Fraction(0) for _ in self.minimiser)
        at_zero = self.objective(zero)
        good = [u for u in self.competitors if self.objective(u) <= at_zero]
        farthest = max((sum((x * x for x in u), Fraction(0)) for u in good), default=Fraction(0))
        return (Evidence("no point as good as 0 is away from 0", farthest, Fraction(0)),)
