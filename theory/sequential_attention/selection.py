"""Instances of greedy selection: a quadratic loss, the curvatures of few groups, the best support by enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS, Instance, conditioned_quadratic

Rows = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Selection:
    """L = w'Hw/2 - b'w with few groups, of which at most k count in the comparison.

    start: groups chosen first, for a replacement.  kept: number of groups that are held.
    """

    loss: Instance
    k: int
    kept: int
    start: tuple[int, ...] = ()

    @property
    def problem(self) -> so.Problem:
        """min L over at most `kept` groups."""
        return self.loss.problem.with_penalty(so.sets.TopGroups(self.kept, self.loss.groups))

    def curvature(self, s: int) -> tuple[float, float]:
        """Smallest and largest eigenvalue of H over unions of s groups, by enumeration."""
        count = self.loss.groups.n_groups
        ends = []
        for chosen in itertools.combinations(range(count), min(s, count)):
            rows = np.isin(self.loss.groups.labels, chosen)
            eigenvalues = np.linalg.eigvalsh(self.loss.H[np.ix_(rows, rows)])
            ends.append((eigenvalues[0], eigenvalues[-1]))
        low, high = zip(*ends, strict=True)
        return float(min(low)), float(max(high))

    @cached_property
    def best(self) -> float:
        """The smallest loss with k groups, by enumeration."""
        groups = itertools.combinations(range(self.loss.groups.n_groups), self.k)
        return min(self.value_of(chosen) for chosen in groups)

    def value_of(self, chosen: Iterable[int]) -> float:
        """The smallest loss over the groups `chosen`."""
        rows = np.isin(self.loss.groups.labels, list(chosen))
        b = self.loss.b[rows]
        return -float(b @ np.linalg.solve(self.loss.H[np.ix_(rows, rows)], b)) / 2 if rows.any() else 0.0

    @property
    def rounding(self) -> float:
        """64 eps p times the size of the loss and the condition of H."""
        condition = float(self.loss.eigenvalues[-1] / self.loss.eigenvalues[0])
        return 64 * EPS * len(self.loss.b) * abs(self.value_of(range(self.loss.groups.n_groups))) * condition


def random_quadratic(rng: np.random.Generator, count: int, condition: float) -> Instance:
    """Gq with `count` groups of one or two coefficients."""
    return conditioned_quadratic(rng, so.Groups.from_sizes(rng.integers(1, 3, count)), condition)


def solve(H: Rows, b: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """The solution of H x = b for a positive definite rational H, by elimination."""
    rows = [[*row, c] for row, c in zip(H, b, strict=True)]
    for i in range(len(rows)):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
    return tuple(row[-1] for row in rows)


@dataclass(frozen=True)
class ExactQuadratic:
    """L = w'Hw/2 - b'w in rational numbers, each variable a group.  mu: a lower bound of the eigenvalues of H."""

    H: Rows
    b: tuple[Fraction, ...]
    mu: Fraction

    def minimiser(self, chosen: tuple[int, ...]) -> tuple[Fraction, ...]:
        """argmin of L over the variables `chosen`."""
        part = solve(tuple(tuple(self.H[i][j] for j in chosen) for i in chosen), tuple(self.b[i] for i in chosen))
        values = dict(zip(chosen, part, strict=True))
        return tuple(values.get(i, Fraction(0)) for i in range(len(self.b)))

    def gradient(self, w: tuple[Fraction, ...]) -> list[Fraction]:
        """H w - b."""
        rows = zip(self.H, self.b, strict=True)
        return [sum((h * x for h, x in zip(row, w, strict=True)), Fraction(0)) - c for row, c in rows]

    def value(self, w: tuple[Fraction, ...]) -> Fraction:
        """L(w)."""
        terms = zip(w, self.gradient(w), self.b, strict=True)
        return sum((x * (g - c) / 2 for x, g, c in terms), Fraction(0))

    def best(self, k: int) -> Fraction:
        """The smallest L with k variables."""
        return min(self.value(self.minimiser(c)) for c in itertools.combinations(range(len(self.b)), k))


def identity(*y: Fraction | int | str) -> ExactQuadratic:
    """|w - y|^2 / 2 without its constant."""
    n = len(y)
    H = tuple(tuple(Fraction(int(i == j)) for j in range(n)) for i in range(n))
    return ExactQuadratic(H, tuple(Fraction(v) for v in y), Fraction(1))


def needed(k: int, kappa: float) -> int:
    """The smallest integer k' >= max(k kappa^2, k + kappa), rounding errors of kappa left room."""
    return math.ceil(max(k * kappa**2, k + kappa) * (1 - 1e-12))
