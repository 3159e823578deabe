"""Masks of the soft top-k: floating-point ones of the package, and rational ones for exact checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS


@dataclass(frozen=True)
class SoftMask:
    """The soft top-k of scores x [n] at temperature tau, 0 <= k <= n, as the package computes it."""

    x: np.ndarray
    k: int
    tau: float

    @cached_property
    def operator(self) -> so.SoftTopK:
        """The operator, called with x."""
        operator = so.SoftTopK(self.k, self.tau)
        operator(self.x)
        return operator

    @cached_property
    def f(self) -> np.ndarray:
        """The mask [n]."""
        return so.soft_topk(self.x, self.k, self.tau)

    @property
    def n(self) -> int:
        """Number of scores."""
        return len(self.x)

    @property
    def centred(self) -> np.ndarray:
        """x less the pivot [n]: the threshold is at about 0, and products with vectors of sum k lose no digits."""
        return self.x - self.operator.pivot

    @cached_property
    def error(self) -> float:
        """Bound on |f - exact f|: a quarter of that of the threshold, as |f'| <= 1/4, and the rounding of f itself.

        The logit z = (x - pivot) / tau + shift is off by some eps (|z| + |shift|), and |z| f (1 - f) < 1/4.
        """
        return float(self.operator.certificate().upper) / 4 + EPS * (16 + 4 * abs(float(self.operator.shift)))

    @cached_property
    def jacobian(self) -> np.ndarray:
        """df / dx [n, n], row by row from the package."""
        return np.stack([self.operator.vjp(row) for row in np.eye(self.n)])

    @property
    def jacobian_error(self) -> float:
        """Bound on the spectral error of `jacobian`: n entries off by some errors of f, over tau."""
        return (64 * EPS + 4 * self.error) * self.n / self.tau

    @property
    def gap(self) -> float:
        """x_(k) - x_(k+1) for 0 < k < n."""
        ordered = -np.sort(-self.x)
        return float(ordered[self.k - 1] - ordered[self.k])

    @property
    def hard(self) -> np.ndarray:
        """1 at k largest scores, else 0 [n]."""
        top = np.zeros(self.n)
        top[np.argsort(-self.x, kind="stable")[: self.k]] = 1.0
        return top


@dataclass(frozen=True)
class ExactMask:
    """f_i = sigmoid(x_i / tau_i + t) in rational numbers.

    scores: e^(x_i), math.inf for x_i = inf.  powers: 1 / tau_i, integers.  shift: e^t.
    decay: the e^(-D / tau) for the gap D that is claimed; None for that of the scores.
    """

    scores: tuple[Fraction | float, ...]
    powers: tuple[int, ...]
    shift: Fraction | float
    k: int
    decay: Fraction | None = None

    @classmethod
    def of(cls, f: tuple[Fraction, ...], k: int) -> ExactMask:
        """The mask f with 0 < f < 1 and sum k: its own log odds are scores of it, at tau = 1 with t = 0."""
        return cls(tuple(p / (1 - p) for p in f), (1,) * len(f), Fraction(1), k)

    @property
    def f(self) -> tuple[Fraction, ...]:
        """The mask [n]."""
        odds = (score**power * self.shift for score, power in zip(self.scores, self.powers, strict=True))
        return tuple(Fraction(1) if o == math.inf else Fraction(o / (1 + o)) for o in odds)

    @property
    def order(self) -> list[int]:
        """Entries by decreasing score."""
        return sorted(range(len(self.scores)), key=lambda i: -self.scores[i])

    @property
    def ratio(self) -> Fraction:
        """e^(-(x_(k) - x_(k+1)) / tau) with the smallest tau."""
        last, first = (self.scores[self.order[i]] for i in (self.k - 1, self.k))
        return Fraction(first / last) ** max(self.powers)

    @property
    def distances(self) -> list[Fraction]:
        """|f_i - 1| at the k largest scores, |f_i| at the others."""
        return [1 - self.f[i] if position < self.k else self.f[i] for position, i in enumerate(self.order)]


def random_scores(rng: np.random.Generator, n: int) -> np.ndarray:
    """n scores: Gaussian, tied, or with heavy tails."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.standard_normal(n)
    return rng.integers(0, 4, n) / 2 if kind == 1 else rng.standard_cauchy(n)


def random_exact_mask(rng: np.random.Generator) -> ExactMask:
    """A rational mask of 2 to 5 entries."""
    n = int(rng.integers(2, 6))
    k = int(rng.integers(1, n))
    while True:
        f = [Fraction(int(rng.integers(1, 20)), 20) for _ in range(n - 1)]
        last = k - sum(f, Fraction(0))
        if 0 < last < 1:
            return ExactMask.of((*f, last), k)
