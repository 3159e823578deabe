"""All critical points of a quadratic with a penalty whose slope is piecewise linear, in rational arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from ..exact_lasso import ExactLasso
from ..exact_linear import Vector, block, pivots, rank, solve

SLACK, SINGULAR = 1e-5, 1e-8
"""Of the screening in floats: p eps / SINGULAR, the relative error of a solution, is below SLACK / 10 for p <= 40."""


@dataclass(frozen=True)
class Piece:
    """slope(t) = constant + linear t for low <= t <= high; high is None for infinity."""

    low: Fraction
    high: Fraction | None
    constant: Fraction
    linear: Fraction

    def contains(self, t: Fraction) -> bool:
        """Whether low <= t <= high and t > 0."""
        return t > 0 and self.low <= t and (self.high is None or t <= self.high)


def lasso(lam: Fraction) -> tuple[Piece, ...]:
    """lam t."""
    return (Piece(Fraction(0), None, lam, Fraction(0)),)


def mcp(lam: Fraction, gamma: Fraction) -> tuple[Piece, ...]:
    """Slope max(lam - t / gamma, 0)."""
    edge, zero = gamma * lam, Fraction(0)
    return (Piece(zero, edge, lam, -1 / gamma), Piece(edge, None, zero, zero))


def scad(lam: Fraction, a: Fraction) -> tuple[Piece, ...]:
    """Slope lam up to lam, then (a lam - t)/(a - 1) down to 0 at a lam."""
    zero = Fraction(0)
    middle = Piece(lam, a * lam, a * lam / (a - 1), -1 / (a - 1))
    return (Piece(zero, lam, lam, zero), middle, Piece(a * lam, None, zero, zero))


def value(pieces: tuple[Piece, ...], t: Fraction) -> Fraction:
    """The penalty at t >= 0, the integral of its slope."""
    total = Fraction(0)
    for piece in pieces:
        end = t if piece.high is None else min(t, piece.high)
        if end > piece.low:
            total += piece.constant * (end - piece.low) + piece.linear * (end**2 - piece.low**2) / 2
    return total


@dataclass(frozen=True)
class Critical:
    """A critical point, its objective, and whether it is a strict local minimum by second-order conditions.

    boundary: whether a coordinate lies between two pieces, or a zero one has no room; then `minimum` is not known.
    """

    u: tuple[Fraction, ...]
    objective: Fraction
    minimum: bool
    boundary: bool

    @property
    def support(self) -> tuple[int, ...]:
        """Indices of the nonzero entries."""
        return tuple(i for i, x in enumerate(self.u) if x)


@dataclass(frozen=True)
class Piecewise:
    """min u'Hu/2 - b'u + sum_i penalty(|u_i|).  loss: H and b (its lam plays no role).  pieces: of the penalty."""

    loss: ExactLasso
    pieces: tuple[Piece, ...]

    def objective(self, u: Vector) -> Fraction:
        """At u."""
        smooth = sum((x * (g - t) for x, g, t in zip(u, self.loss.gradient(u), self.loss.b, strict=True)), Fraction(0))
        return smooth / 2 + sum((value(self.pieces, abs(x)) for x in u), Fraction(0))

    @cached_property
    def choices(self) -> list[Any]:
        """Zero, or a sign with a piece: what a coordinate can be."""
        return [None, *itertools.product((1, -1), self.pieces)]

    @cached_property
    def critical(self) -> list[Critical]:
        """All critical points, the lowest first.  Raises ValueError where they form a continuum."""
        found: dict[tuple[Fraction, ...], Critical] = {}
        for pattern in itertools.product(self.choices, repeat=len(self.loss.b)):
            for point in self._of(pattern):
                found.setdefault(point.u, point)
        return sorted(found.values(), key=lambda point: point.objective)

    @cached_property
    def screened(self) -> list[Critical]:
        """The same list for more variables: floats rule out most patterns, Fractions decide on the others.

        A pattern is ruled out where an inequality fails by SLACK of the size of its solution and its matrix is not
        within SINGULAR of a singular one; then the error of the solution is below a tenth of that slack.
        """
        found: dict[tuple[Fraction, ...], Critical] = {}
        for pattern in self._possible():
            for point in self._of(pattern):
                found.setdefault(point.u, point)
        return sorted(found.values(), key=lambda point: point.objective)

    def _possible(self) -> Iterator[tuple[Any, ...]]:
        """The patterns that floats do not rule out.  Matrices are shared by patterns that differ in signs alone."""
        H, b = np.array(self.loss.H, dtype=float), np.array([float(v) for v in self.loss.b])
        constant, linear, low, high = (np.array([float(v) for v in values]) for values in self._bounds())
        kinds = np.array(list(itertools.product(range(len(self.pieces) + 1), repeat=len(b))))
        active = kinds > 0
        M = (
            np.where(active[:, :, None] & active[:, None, :], H, 0.0)
            + np.eye(len(b)) * np.where(active, linear[kinds], 1.0)[:, None, :]
        )
        sizes = np.linalg.svd(M, compute_uv=False)
        singular = sizes[:, -1] <= SINGULAR * sizes[:, 0]
        inverses = np.linalg.inv(np.where(singular[:, None, None], np.eye(len(b)), M))
        for signs in itertools.product((1, -1), repeat=len(b)):
            sign = np.array(signs)
            shown = (active | (sign > 0)).all(axis=1)  # the sign of a zero does not matter: it is taken once
            right = np.where(active, b - sign * constant[kinds], 0.0)
            x = np.einsum("kij,kj->ki", inverses, right)
            slack = SLACK * (1 + np.abs(x).max(axis=1, keepdims=True))
            size = sign * x
            inside = (size >= low[kinds] - slack) & (size <= high[kinds] + slack)
            still = np.abs(x @ H - b) <= constant[1] + slack * (1 + np.abs(H).sum())
            kept = shown & (singular | np.where(active, inside, still).all(axis=1))
            for kind in kinds[kept]:
                yield tuple((s, self.pieces[j - 1]) if j else None for s, j in zip(signs, kind.tolist(), strict=True))

    def _bounds(self) -> tuple[list[Any], ...]:
        """Constants, slopes and both ends of the pieces, after those of zero."""
        ends = [np.inf if piece.high is None else piece.high for piece in self.pieces]
        columns = ("constant", "linear", "low")
        return (*([0, *(getattr(piece, name) for piece in self.pieces)] for name in columns), [0, *ends])

    def _of(self, pattern: tuple[Any, ...]) -> Iterator[Critical]:
        """The critical point of one pattern, if there is one."""
        active = [i for i, choice in enumerate(pattern) if choice]
        A, right = block(self.loss.H, active), []
        for row, i in enumerate(active):
            sign, piece = pattern[i]
            A[row][row] += piece.linear
            right.append(self.loss.b[i] - sign * piece.constant)
        part = solve(A, right)
        if part is None:
            if rank([[*row, end] for row, end in zip(A, right, strict=True)]) == rank(A):
                raise ValueError("the critical points of a pattern form a continuum: change lam or gamma")
            return
        if not all(pattern[i][1].contains(pattern[i][0] * x) for i, x in zip(active, part, strict=True)):
            return
        u = [Fraction(0)] * len(pattern)
        for i, x in zip(active, part, strict=True):
            u[i] = x
        yield from self._checked(u, active, A)

    def _checked(self, u: Vector, active: list[int], A: list[list[Fraction]]) -> Iterator[Critical]:
        slope = self.pieces[0].constant
        room = [slope - abs(g) for i, g in enumerate(self.loss.gradient(u)) if i not in active]
        if any(r < 0 for r in room):
            return
        edges = {piece.low for piece in self.pieces}
        boundary = any(r == 0 for r in room) or any(abs(u[i]) in edges for i in active)
        found = pivots(A)
        convex = len(found) == len(A) and all(pivot > 0 for pivot in found)
        yield Critical(tuple(u), self.objective(u), convex and not boundary, boundary)
