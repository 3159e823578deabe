"""The LASSO with rational data, solved by going through all signs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from .exact_linear import Matrix, Vector, block, dot, product, solve


@dataclass(frozen=True)
class ExactLasso:
    """min u'Hu/2 - b'u + lam sum_i strength_i |u_i| with Fractions.

    H: [p][p] positive semidefinite.  b: [p].  lam: > 0.  strength: [p] >= 0, 1 by default; 0 leaves u_i unpenalised.
    """

    H: Matrix
    b: Vector
    lam: Fraction
    strength: tuple[Fraction, ...] = ()

    @classmethod
    def of(cls, H: Any, b: Any, lam: Any, strength: tuple[Any, ...] = ()) -> ExactLasso:
        """From integers, Fractions, strings such as "2/3", or floats."""
        rows = [[Fraction(v) for v in row] for row in H]
        return cls(rows, [Fraction(v) for v in b], Fraction(lam), tuple(Fraction(v) for v in strength))

    @property
    def strengths(self) -> list[Fraction]:
        """lam strength_i for every i."""
        factors = self.strength or (Fraction(1),) * len(self.b)
        return [self.lam * factor for factor in factors]

    @property
    def problem(self) -> so.Problem:
        """The same problem in floats, every variable a group."""
        groups = so.Groups.uniform(len(self.b), 1)
        weights = np.array([float(v) for v in self.strength]) if self.strength else "none"
        H, b = np.array(self.H, dtype=float), np.array(self.b, dtype=float)
        return so.Problem.quadratic(H, b, so.GroupLasso(float(self.lam), groups, weights))

    def objective(self, u: Vector) -> Fraction:
        """u'Hu/2 - b'u + lam sum strength_i |u_i|."""
        pulls = sum((s * abs(x) for s, x in zip(self.strengths, u, strict=True)), Fraction(0))
        return dot(product(self.H, u), u) / 2 - dot(self.b, u) + pulls

    def gradient(self, u: Vector) -> Vector:
        """H u - b."""
        return [h - t for h, t in zip(product(self.H, u), self.b, strict=True)]

    def optimal(self, u: Vector) -> bool:
        """Whether u meets the optimality conditions, which are sufficient for this convex problem."""
        for x, g, s in zip(u, self.gradient(u), self.strengths, strict=True):
            if (x == 0 and abs(g) > s) or (x != 0 and g != (-s if x > 0 else s)):
                return False
        return True

    @cached_property
    def basic_solutions(self) -> list[Vector]:
        """All solutions whose columns of H on their support are independent; the solution set is their convex hull
        where it is bounded, so a single one is the only solution.
        """
        found: list[Vector] = []
        for u in self._candidates():
            if self.optimal(u) and u not in found:
                found.append(u)
        return found

    @property
    def solution(self) -> Vector:
        """The first basic solution."""
        return self.basic_solutions[0]

    def _candidates(self) -> Iterator[Vector]:
        p = len(self.b)
        for signs in itertools.product((0, 1, -1), repeat=p):
            kept = [i for i in range(p) if signs[i]]
            right = [self.b[i] - signs[i] * self.strengths[i] for i in kept]
            part = solve(block(self.H, kept), right)
            if part is not None and all(x * signs[i] > 0 for x, i in zip(part, kept, strict=True)):
                u = [Fraction(0)] * p
                for x, i in zip(part, kept, strict=True):
                    u[i] = x
                yield u


def gram(X: Any) -> Matrix:
    """X'X of a matrix of Fractions."""
    columns = [[Fraction(v) for v in column] for column in zip(*X, strict=True)]
    return [[dot(a, b) for b in columns] for a in columns]
