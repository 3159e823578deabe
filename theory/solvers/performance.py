"""Worst cases of first-order methods as semidefinite programs, and exact proofs of their upper bounds.

A method with fixed steps acts on the points, gradients and function values of its run.  That these come from some
convex functions is equivalent to inequalities between pairs of points (Taylor, Hendrickx and Glineur, 2017), linear in
the values F and in the Gram matrix G of the vectors.  Multipliers lam >= 0 of the inequalities, and tau of the
normalisation of the start, prove `metric <= tau` when the values cancel and the remaining quadratic form is positive
definite.  Both are checked in rational numbers, or in balls where the momentum is irrational.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..exact_linear import positive_definite

Coefficients = list[Any]
"""Of a vector, in the basis of the Gram matrix."""


@dataclass(frozen=True)
class Inequality:
    """values . F + <form, G> <= 0.  values: {index: -1, 0 or 1}.  form: [m][m] symmetric."""

    values: dict[int, Any]
    form: list[list[Any]]


@dataclass(frozen=True)
class Point:
    """A point of a run: x, its (sub)gradient g, None where it plays no role, and the index of its function value."""

    x: Coefficients
    g: Coefficients | None
    value: int


@dataclass(frozen=True)
class Estimate:
    """max metric subject to the inequalities and start <= 1: the worst case of a method.

    metric, start: (values, form), as in `Inequality`.  size: rows of the Gram matrix.  n_values: function values.
    """

    size: int
    n_values: int
    inequalities: list[Inequality]
    metric: Inequality
    start: Inequality

    def slack(self, multipliers: Sequence[Fraction], tau: Fraction) -> list[list[Any]]:
        """sum lam_i form_i + tau start - metric, which is to be positive definite."""
        total = combined([(tau, self.start.form), (Fraction(-1), self.metric.form)])
        pairs = [(lam, c.form) for lam, c in zip(multipliers, self.inequalities, strict=True) if lam]
        return combined([(Fraction(1), total), *pairs])

    def imbalance(self, multipliers: Sequence[Fraction], tau: Fraction) -> list[Fraction]:
        """sum lam_i values_i + tau start - metric for every function value: to be 0."""
        total = [Fraction(0)] * self.n_values
        parts = [(tau, self.start), (Fraction(-1), self.metric)]
        for factor, part in [*parts, *zip(multipliers, self.inequalities, strict=True)]:
            for index, value in part.values.items():
                total[index] += factor * value
        return total

    def proves(self, multipliers: Sequence[Fraction], tau: Fraction) -> bool:
        """Whether these multipliers prove metric <= tau, in the arithmetic of the forms."""
        if min(multipliers) < 0 or tau < 0 or any(self.imbalance(multipliers, tau)):
            return False
        return positive_definite(self.slack(multipliers, tau))


def combined(parts: Sequence[tuple[Any, list[list[Any]]]]) -> list[list[Any]]:
    """The sum of factor * form."""
    size = len(parts[0][1])
    total: list[list[Any]] = [[0] * size for _ in range(size)]
    for factor, form in parts:
        for i, j in itertools.product(range(size), repeat=2):
            if form[i][j] != 0:
                total[i][j] = total[i][j] + times(factor, form[i][j])
    return total


def times(factor: Fraction, value: Any) -> Any:
    """factor * value, for Fractions and balls."""
    return value * factor.numerator / factor.denominator if not isinstance(value, Fraction) else value * factor


def inner(u: Coefficients, v: Coefficients) -> list[list[Any]]:
    """The symmetric form of <u, v>."""
    nonzero_u, nonzero_v = ([i for i, value in enumerate(w) if value != 0] for w in (u, v))
    form: list[list[Any]] = [[0] * len(u) for _ in u]
    for i, j in itertools.product(nonzero_u, nonzero_v):
        half = u[i] * v[j] / 2
        form[i][j] = form[i][j] + half
        form[j][i] = form[j][i] + half
    return form


def difference(u: Coefficients, v: Coefficients) -> Coefficients:
    """u - v."""
    return [a - b for a, b in zip(u, v, strict=True)]


def smooth_convex(points: Sequence[Point], mu: Fraction = Fraction(0)) -> list[Inequality]:
    """The inequalities of a function with curvature between mu and 1, for all ordered pairs of points."""
    found = []
    half = 1 / (2 * (1 - mu))
    for a, b in itertools.permutations(points, 2):
        x, g = difference(a.x, b.x), difference(a.g, b.g)
        parts = [(Fraction(1), inner(b.g, x)), (half, inner(g, g))]
        if mu:
            parts += [(half * mu, inner(x, x)), (-2 * half * mu, inner(g, x))]
        found.append(Inequality({b.value: 1, a.value: -1}, combined(parts)))
    return found


def convex(points: Sequence[Point]) -> list[Inequality]:
    """The inequalities of a convex function: value_b + <g_b, x_a - x_b> <= value_a."""
    return [
        Inequality({b.value: 1, a.value: -1}, inner(b.g, difference(a.x, b.x)))
        for a, b in itertools.permutations(points, 2)
        if b.g is not None
    ]


@dataclass
class Basis:
    """Hands out the unit vectors of a Gram matrix of a known size, and the indices of function values.

    one: the number 1 of the arithmetic, a Fraction or a ball.
    """

    size: int
    one: Any = Fraction(1)
    used: int = 0
    values: int = field(default=0)

    def vector(self) -> Coefficients:
        """The next unit vector."""
        self.used += 1
        return [self.one * int(i == self.used - 1) for i in range(self.size)]

    @property
    def zero(self) -> Coefficients:
        """The zero vector."""
        return [self.one * 0] * self.size

    def value(self) -> int:
        """The next function value."""
        self.values += 1
        return self.values - 1


def composite(momenta: Sequence[Any], mu: Fraction = Fraction(0)) -> Estimate:
    """n = len(momenta) + 1 steps of accelerated proximal gradient, steps 1/L, L = 1, on f + h.

    x_{k+1} = prox_h(y_k - f'(y_k)), y_{k+1} = x_{k+1} + momenta[k] (x_{k+1} - x_k); all momenta 0: proximal gradient.
    Metric: F(x_n) - F*.  Start: |x_0 - x*|^2 where mu = 0; else F(x_0) - F* + mu/2 |x_0 - x*|^2, f mu-strongly convex.
    f'(x*) = 0 without loss of generality: moving a linear function from f to h changes neither the run nor F.
    """
    n = len(momenta) + 1
    one = momenta[-1] * 0 + 1 if momenta else Fraction(1)
    basis = Basis(2 * n + 2, one)
    zero = basis.zero
    x = y = start = basis.vector()
    smooth, other = [Point(zero, zero, basis.value())], [Point(zero, zero, basis.value())]
    if mu:
        other.append(Point(x, None, basis.value()))
    for k in range(n):
        smooth.append(Point(y, basis.vector(), basis.value()))
        pull = basis.vector()
        new = difference(difference(y, smooth[-1].g), pull)
        other.append(Point(new, pull, basis.value()))
        if k < n - 1:
            moved = difference(new, x)
            y = [a + momenta[k] * d for a, d in zip(new, moved, strict=True)]
        x = new
    smooth.append(Point(x, basis.vector(), basis.value()))
    metric = {smooth[-1].value: 1, other[-1].value: 1, smooth[0].value: -1, other[0].value: -1}
    first = {smooth[1].value: 1, other[1].value: 1, smooth[0].value: -1, other[0].value: -1} if mu else {}
    form = combined([(mu / 2 if mu else Fraction(1), inner(start, start))])
    return Estimate(
        basis.size,
        basis.values,
        smooth_convex(smooth, mu) + convex(other),
        Inequality(metric, inner(zero, zero)),
        Inequality(first, form),
    )


def fixed_point(n: int) -> Estimate:
    """n steps s <- T s of a firmly nonexpansive map, T s* = s*.  Metric: |T s_n - s_n|^2.  Start: |s_0 - s*|^2.

    Douglas-Rachford splitting, and so ADMM on convex problems, is such a map.
    """
    basis = Basis(n + 2)
    zero = basis.zero
    s, points = basis.vector(), [Point(zero, zero, 0)]
    start = s
    for _ in range(n + 1):
        moved = basis.vector()
        points.append(Point(s, moved, 0))
        s = difference(s, moved)
    found = []
    for a, b in itertools.combinations(points, 2):
        x, g = difference(a.x, b.x), difference(a.g, b.g)
        found.append(Inequality({}, combined([(Fraction(1), inner(g, g)), (Fraction(-1), inner(g, x))])))
    last = points[-1].g
    return Estimate(basis.size, 0, found, Inequality({}, inner(last, last)), Inequality({}, inner(start, start)))
