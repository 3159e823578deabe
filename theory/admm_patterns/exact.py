"""ADMM on sets in rational numbers: sweeps, and periodic orbits as solutions of linear systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ..exact_linear import Matrix, Vector, dot, product, solve


def fractions(values: Sequence[int | str | Fraction]) -> Vector:
    """The numbers as Fractions; strings like "3/4" too."""
    return [Fraction(v) for v in values]


def minus(x: Vector, y: Vector) -> Vector:
    """x - y."""
    return [a - b for a, b in zip(x, y, strict=True)]


def plus(x: Vector, y: Vector, factor: Fraction | int = 1) -> Vector:
    """x + factor y."""
    return [a + factor * b for a, b in zip(x, y, strict=True)]


def square(x: Vector) -> Fraction:
    """|x|^2."""
    return dot(x, x)


@dataclass(frozen=True)
class Coordinates:
    """The vectors that vanish outside `kept`."""

    kept: tuple[int, ...]

    def project(self, v: Vector) -> Vector:
        """The nearest point."""
        return [x if i in self.kept else Fraction(0) for i, x in enumerate(v)]


@dataclass(frozen=True)
class Point:
    """One point."""

    at: tuple[Fraction, ...]

    def project(self, v: Vector) -> Vector:
        """The point."""
        return list(self.at)


@dataclass(frozen=True)
class Segment:
    """All numbers from low to high, in one dimension."""

    low: Fraction
    high: Fraction

    def project(self, v: Vector) -> Vector:
        """The nearest number."""
        return [min(max(v[0], self.low), self.high)]


Piece = Coordinates | Point | Segment

SIGNS = (Point((Fraction(1),)), Point((Fraction(-1),)))
"""{-1, 1}."""

ONE_OF_TWO = (Coordinates((0,)), Coordinates((1,)))
"""The vectors of the plane with one nonzero coordinate at most."""


@dataclass(frozen=True)
class State:
    """x, the feasible z, and the scaled dual u of ADMM."""

    x: Vector
    z: Vector
    u: Vector


@dataclass(frozen=True)
class ExactRun:
    """ADMM on f = w'Hw/2 - b'w over a union of pieces, from x = start; sweeps in order Z unless z_first is False.

    curvature: L, the largest one of f.  bound: what f is claimed to stay above on the set.  convex: claimed of f.
    dual: u at the start, by default -gradient(x) / rho.  relaxation: what part of the way to its minimiser x goes.
    """

    H: Matrix
    b: Vector
    pieces: tuple[Piece, ...]
    rho: Fraction
    start: Vector
    curvature: Fraction
    bound: Fraction
    convex: bool = True
    dual: Vector | None = None
    z_first: bool = True
    relaxation: Fraction = Fraction(1)
    sweeps: int = 20

    def gradient(self, x: Vector) -> Vector:
        """H x - b."""
        return minus(product(self.H, x), self.b)

    def loss(self, x: Vector) -> Fraction:
        """f(x)."""
        return dot(x, minus(self.gradient(x), self.b)) / 2

    def distances(self, v: Vector) -> list[Fraction]:
        """|v - its projection|^2 for every piece."""
        return [square(minus(v, piece.project(v))) for piece in self.pieces]

    def choice(self, v: Vector) -> int:
        """The nearest piece, the first one of several."""
        found = self.distances(v)
        return found.index(min(found))

    def project(self, v: Vector) -> Vector:
        """The nearest point, in the first of the nearest pieces."""
        return self.pieces[self.choice(v)].project(v)

    def prox(self, v: Vector) -> Vector:
        """argmin of f + rho / 2 |x - v|^2."""
        shifted = [[h + self.rho * (i == j) for j, h in enumerate(row)] for i, row in enumerate(self.H)]
        x = solve(shifted, plus(self.b, v, self.rho))
        assert x is not None
        return x

    def first(self) -> State:
        """The start, with z the projection of x + u as in `solvers.ADMM`."""
        slope = self.gradient(self.start)
        u = [-g / self.rho for g in slope] if self.dual is None else self.dual
        return State(self.start, self.project(plus(self.start, u)), u)

    def sweep(self, state: State, piece: Piece | None = None) -> State:
        """One sweep; onto the given piece instead of the nearest."""
        x, z, u = state.x, state.z, state.u
        project = self.project if piece is None else piece.project
        if self.z_first:
            z = project(plus(x, u))
            x = self._moved(x, self.prox(minus(z, u)))
        else:
            x = self._moved(x, self.prox(minus(z, u)))
            z = project(plus(x, u))
        return State(x, z, minus(plus(u, x), z))

    def _moved(self, x: Vector, target: Vector) -> Vector:
        return plus(x, minus(target, x), self.relaxation)

    @cached_property
    def states(self) -> list[State]:
        """The start and all sweeps."""
        found = [self.first()]
        for _ in range(self.sweeps):
            found.append(self.sweep(found[-1]))
        return found

    def lagrangian(self, state: State) -> Fraction:
        """f(x) + rho / 2 (|x - z + u|^2 - |u|^2)."""
        apart = minus(state.x, state.z)
        return self.loss(state.x) + self.rho / 2 * (square(plus(apart, state.u)) - square(state.u))


@dataclass(frozen=True)
class Orbit:
    """States that repeat for ever.  choices: the piece of each sweep.  strict: whether every other one is farther."""

    states: list[State]
    strict: bool


def periodic_orbit(run: ExactRun, choices: Sequence[int]) -> Orbit | None:
    """The orbit of order Z whose sweeps choose these pieces in turn; None where the linear system is singular.

    (x, u) before a sweep decide it, and its map is affine for given pieces; the orbit is its fixed point.  Whether
    the nearest pieces are the ones that were prescribed is then checked.
    """
    p = len(run.b)
    zero = [Fraction(0)] * (2 * p)

    def after(s: Vector) -> Vector:
        state = State(s[:p], s[:p], s[p:])
        for choice in choices:
            state = run.sweep(state, run.pieces[choice])
        return [*state.x, *state.u]

    offset = after(zero)
    units = [[Fraction(int(i == j)) for i in range(2 * p)] for j in range(2 * p)]
    columns = [minus(after(unit), offset) for unit in units]
    system = [[Fraction(int(i == j)) - columns[j][i] for j in range(2 * p)] for i in range(2 * p)]
    s = solve(system, offset)
    if s is None:
        return None
    states, strict = [State(s[:p], run.project(plus(s[:p], s[p:])), s[p:])], True
    for choice in choices:
        distances = run.distances(plus(states[-1].x, states[-1].u))
        strict &= all(distances[choice] < d for i, d in enumerate(distances) if i != choice)
        states.append(run.sweep(states[-1]))
    return Orbit(states, strict)
