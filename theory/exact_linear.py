"""Linear algebra on small matrices of exact numbers: Fractions, or balls of python-flint for the pivots."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Matrix = list[list[Fraction]]
Vector = list[Fraction]


def solve(A: Sequence[Sequence[Fraction]], b: Sequence[Fraction]) -> Vector | None:
    """The x [m] with A x = b, by Gauss-Jordan elimination; None where A [m, m] is singular."""
    m = len(b)
    rows = [[*row, value] for row, value in zip(A, b, strict=True)]
    for k in range(m):
        best = next((i for i in range(k, m) if rows[i][k] != 0), None)
        if best is None:
            return None
        rows[k], rows[best] = rows[best], rows[k]
        pivot = rows[k][k]
        rows[k] = [value / pivot for value in rows[k]]
        for i in range(m):
            factor = rows[i][k]
            if i != k and factor != 0:
                rows[i] = [value - factor * top for value, top in zip(rows[i], rows[k], strict=True)]
    return [row[m] for row in rows]


def rank(A: Sequence[Sequence[Fraction]]) -> int:
    """The rank of a matrix of Fractions."""
    rows, found = [list(row) for row in A], 0
    for k in range(len(rows[0]) if rows else 0):
        best = next((i for i in range(found, len(rows)) if rows[i][k] != 0), None)
        if best is None:
            continue
        rows[found], rows[best] = rows[best], rows[found]
        for i in range(found + 1, len(rows)):
            factor = rows[i][k] / rows[found][k]
            if factor != 0:
                rows[i] = [value - factor * top for value, top in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def pivots(A: Sequence[Sequence[Any]]) -> list[Any]:
    """The diagonal D of A = L D L' for a symmetric matrix; it stops after the first that is not known to be positive.

    A is positive definite iff all of its pivots are there and positive.  Entries: Fractions, or balls.
    """
    rows, found = [list(row) for row in A], []
    for k in range(len(rows)):
        found.append(rows[k][k])
        if not rows[k][k] > 0:
            break
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            if factor != 0:
                for j in range(k + 1, i + 1):
                    rows[i][j] = rows[i][j] - factor * rows[j][k]
    return found


def positive_definite(A: Sequence[Sequence[Any]]) -> bool:
    """Whether a symmetric matrix is shown to be positive definite by its pivots."""
    found = pivots(A)
    return len(found) == len(A) and bool(all(pivot > 0 for pivot in found))


def product(A: Sequence[Sequence[Fraction]], x: Sequence[Fraction]) -> Vector:
    """A x."""
    return [dot(row, x) for row in A]


def dot(x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
    """Inner product."""
    return sum((a * b for a, b in zip(x, y, strict=True)), Fraction(0))


def block(A: Sequence[Sequence[Fraction]], kept: Sequence[int]) -> Matrix:
    """The rows and columns `kept` of A."""
    return [[A[i][j] for j in kept] for i in kept]
