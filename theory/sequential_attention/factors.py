"""Instances of the factorisations w_g = s_g v_g: a mask of the package, or one group in rational numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..instances import EPS, Instance, conditioned_quadratic, random_groups
from ..theorem import Attack, Evidence

RIVALS = 20
"""Factors with which the closed form is attacked on every instance."""

RELATIVE = 64 * EPS
"""Relative error of a cost: a few operations on each of at most ten groups."""


@dataclass(frozen=True)
class Factors:
    """Coefficients w [p] of nonzero groups under a mask of `so.solvers.masks`.

    best: norms [G] -> the mask parameters [G] that the theorem calls optimal.  seed: of the rivals.
    """

    mask: Any
    best: Callable[[np.ndarray], np.ndarray]
    groups: so.Groups
    w: np.ndarray
    seed: int

    @property
    def value(self) -> float:
        """The penalty that the mask is said to be equivalent to, with strength 1."""
        return float(self.mask.equivalent(1.0, self.groups).value(self.w))

    def cost(self, m: np.ndarray) -> float:
        """The decay of the factors of w whose mask parameters are m [G]."""
        v = self.groups.divide(self.w, self.mask.values(m))
        return float(self.mask.decay(self.groups, v, m)[0] + self.mask.rest(m))

    def attained(self) -> Evidence:
        """The decay of the optimal factors is the penalty."""
        found = self.cost(self.best(self.groups.norms(self.w)))
        return Evidence("the optimal factors cost the penalty", abs(found - self.value), 0.0, RELATIVE * self.value)

    def attack(self) -> Attack:
        """Factors near the optimal ones and far from them."""
        rng, best = np.random.default_rng(self.seed), self.best(self.groups.norms(self.w))
        scales = 10 ** rng.uniform(-4, -0.5, RIVALS)
        masks = [best * np.exp(s * rng.standard_normal(len(best))) for s in scales]
        return self.worst(masks)

    def worst(self, masks: list[np.ndarray]) -> Attack:
        """The cheapest of some masks against the penalty."""
        tolerance = RELATIVE * self.value
        found = [Evidence("no factors cost less than the penalty", self.value, self.cost(m), tolerance) for m in masks]
        return Attack.of(found)


def random_coefficients(rng: np.random.Generator, groups: so.Groups, decades: float) -> np.ndarray:
    """w [p] with group norms from 10^-decades to 10^decades."""
    direction = rng.standard_normal(groups.n_features)
    return groups.scale(direction, 10 ** rng.uniform(-decades, decades, groups.n_groups) / groups.norms(direction))


def draw_factors(
    rng: np.random.Generator, mask: Any, best: Callable[[np.ndarray], np.ndarray], decades: float = 4, least: int = 1
) -> Factors:
    """`least` to 8 groups of up to 4 coefficients."""
    groups = random_groups(rng, int(rng.integers(least, 9)), 4)
    return Factors(mask, best, groups, random_coefficients(rng, groups, decades), int(rng.integers(2**31)))


@dataclass(frozen=True)
class ExactFactors:
    """One group of norm a = u v, its mask parameter u and weight v rational; cost c_mask |u|^power + c_weight v^2.

    best: the mask that the theorem calls optimal.  value: the penalty that it states.  rivals: other masks.
    floor: a mask is not smaller; 0 where it is free.
    """

    a: Fraction
    best: Fraction
    value: Fraction
    rivals: tuple[Fraction, ...] = ()
    c_mask: Fraction = Fraction(1)
    c_weight: Fraction = Fraction(1)
    power: int = 1
    floor: Fraction = Fraction(0)

    def cost(self, u: Fraction) -> Fraction:
        """Decay with the mask u, or with the floor where u is below it."""
        u = max(abs(u), self.floor)
        return self.c_mask * u**self.power + self.c_weight * (self.a / u) ** 2

    def evidence(self) -> tuple[Evidence, ...]:
        """The penalty is attained, and no rival costs less."""
        attained = abs(self.cost(self.best) - self.value)
        found = [Evidence("the optimal factors cost the penalty", attained, Fraction(0))]
        claim = "no factors cost less than the penalty"
        return (*found, *(Evidence(f"{claim}: mask {u}", self.value, self.cost(u)) for u in self.rivals))


def strengths_margin(instance: Any, c_mask: Fraction, c_weight: Fraction) -> float:
    """2^-40 less the difference of the decays from those that the theorem asks for."""
    if not isinstance(instance, ExactFactors):
        return 1.0
    return 2.0**-40 - float(abs(instance.c_mask - c_mask) + abs(instance.c_weight - c_weight))


def free_margin(instance: Any) -> float:
    """1 where masks are free, else minus the least value they may have."""
    return -float(instance.floor) if isinstance(instance, ExactFactors) and instance.floor else 1.0


def descent_evidence(mask: Any, lam_ratio: float, seed: int, steps: int = 150) -> list[Evidence]:
    """Gradient descent on the factors of a quadratic: the factored objective is never below the objective in w."""
    rng = np.random.default_rng(seed)
    loss: Instance = conditioned_quadratic(rng, random_groups(rng, 4, 2), 4.0)
    lam = lam_ratio * float(loss.tau.max())
    problem = loss.problem.with_penalty(mask.equivalent(lam, loss.groups))
    found = []
    start = rng.standard_normal(len(loss.b))
    for iteration, state in enumerate(so.iterate(problem, so.solvers.MaskDescent(mask), w0=start)):
        objective = problem.objective(state.w)
        size = abs(objective) + float(np.linalg.norm(loss.b) * np.linalg.norm(state.w))
        claim = "L(w) + lam penalty(w) <= L(s v) + lam decay(v, m)"
        found.append(Evidence(claim, objective, state.factored, RELATIVE * len(loss.b) * size))
        if iteration == steps:
            break
    return [min(found, key=lambda e: e.order), *_no_better(problem, found, size)]


def _no_better(problem: so.Problem, found: list[Evidence], size: float) -> list[Evidence]:
    """For convex problems: the descent ends near the minimum, which it does not pass."""
    if not problem.penalty.convex:
        return []
    least = so.solve(problem, tol=1e-10).objective
    last = float(found[-1].rhs)
    return [
        Evidence("the factors cannot go below the minimum over w", least, last, 1e-9 * size),
        Evidence("they come within 1 % of it", last - least, 0.01 * size),
    ]
