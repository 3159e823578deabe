"""Three ways to calculate with rigorous bounds, behind one set of operations: the levels of a certificate.

"float": `Interval`, float64 arrays.  "ball": NumPy object arrays of python-flint balls.  "exact": object arrays of
`Rational`, exact as long as no root is taken; there are no logarithms.  The formulas of losses and penalties are
written once, with + - * /, indexing and the methods below; divisors are known to be positive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse

from ..groups import Groups
from .ball import Ball, of_columns, product, row_norms
from .evaluation import block_eigenvalue
from .interval import Interval
from .rational import Rational

Numbers = Any
"""An array of enclosed reals of one of the arithmetics."""

PRECISION = 256
"""Bits of the ball level."""


class Undecided(ArithmeticError):
    """What a certificate needs could not be shown; the message is its reason."""


class Outside(Undecided):
    """The dual point is shown to be outside the domain of the conjugate."""


class FloatArithmetic:
    """Float64 intervals."""

    @contextmanager
    def context(self) -> Iterator[None]:
        """Overflow and invalid operations give infinite bounds, silently."""
        with np.errstate(all="ignore"):
            yield

    def number(self, values: Any) -> Interval:
        """Floats [...], exactly."""
        return Interval.of(values)

    def between(self, lower: float, upper: float) -> Interval:
        """A number between two floats."""
        return Interval(lower, upper)

    def lower(self, x: Numbers) -> np.ndarray:
        """Largest floats known to be below x."""
        return x.lo

    def upper(self, x: Numbers) -> np.ndarray:
        """Smallest floats known to be above x."""
        return x.hi

    def exp(self, x: Numbers) -> Interval:
        """Exponential."""
        return x.exp()

    def log(self, x: Numbers) -> Interval:
        """Logarithm of numbers >= 0."""
        return x.log()

    def xlogx(self, x: Numbers) -> Interval:
        """x log x for numbers >= 0: decreasing up to 1/e, then increasing."""
        lo, hi = np.maximum(x.lo, 0.0), np.maximum(x.hi, 0.0)
        ends = [_xlogx(lo), _xlogx(hi)]
        turning = (lo < 0.368) & (hi > 0.367)
        return Interval(
            np.where(turning, -0.36788, np.minimum(ends[0].lo, ends[1].lo)), np.maximum(ends[0].hi, ends[1].hi)
        )

    def limited(self, x: Numbers, low: Any, high: Any) -> Interval:
        """Each number moved into [low, high] (floats), or only its bounds where it is known to be inside."""
        return Interval(np.clip(x.lo, low, high), np.clip(x.hi, low, high))

    def where(self, mask: np.ndarray, x: Any, y: Any) -> Interval:
        """x where the mask holds, else y."""
        x, y = Interval.of(x), Interval.of(y)
        return Interval(np.where(mask, x.lo, y.lo), np.where(mask, x.hi, y.hi))

    def sum(self, x: Numbers, axis: int | None = None) -> Interval:
        """Sum over all entries, or one axis."""
        terms = x.lo.size if axis is None else x.shape[axis]
        return x.summed(lambda end: np.asarray(end.sum(axis=axis)), terms)

    def cumsum(self, x: Numbers) -> Interval:
        """Running sums [n] of x [n]."""
        return x.summed(np.cumsum, x.shape[0])

    def block_sums(self, x: Numbers, starts: np.ndarray) -> Interval:
        """Sums of x[starts[k] : starts[k + 1]] for increasing starts."""
        return x.summed(lambda end: np.add.reduceat(end, starts), x.shape[0])

    def stack(self, columns: Sequence[Numbers]) -> Interval:
        """Columns [n] side by side, [n, k]."""
        return Interval(np.stack([c.lo for c in columns], axis=-1), np.stack([c.hi for c in columns], axis=-1))

    def apply(self, X: Any, w: np.ndarray) -> Interval:
        """X w for floats X [n, p] and w [p] or [p, T]."""
        used = np.flatnonzero(w if w.ndim == 1 else w.any(axis=1))
        if len(used) == 0:
            return Interval.of(np.zeros((X.shape[0], *w.shape[1:])))
        columns, v = X[:, used], Ball.exact(w[used])
        if w.ndim == 1:
            return Interval.from_ball(of_columns(columns, v))
        return self.stack([Interval.from_ball(of_columns(columns, v[:, k])) for k in range(w.shape[1])])

    def adjoint(self, X: Any, u: Numbers) -> Interval:
        """X' u for floats X [n, p] and numbers u [n] or [n, T]."""
        return self._product(X.T, u)

    def _product(self, X: Any, v: Interval) -> Interval:
        norms = row_norms(X)
        if len(v.shape) == 1:
            return Interval.from_ball(product(X, v.to_ball(), norms))
        return self.stack([Interval.from_ball(product(X, v[:, k].to_ball(), norms)) for k in range(v.shape[1])])

    def group_norms(self, v: Numbers, groups: Groups) -> Interval:
        """Norms [G] of the groups of v [p] or [p, T]."""
        ball = v.to_ball()
        if ball.mid.ndim == 2:
            labels = np.repeat(groups.labels, ball.mid.shape[1])
            ball, groups = Ball(ball.mid.ravel(), ball.rad.ravel()), Groups(labels, range(groups.n_groups))
        result = Interval.from_ball(ball.group_norms(groups))
        return Interval(np.maximum(result.lo, 0.0), result.hi)

    def solve(self, A: Numbers, B: Numbers) -> Interval:
        """The solution [k, m] of A x = B for a symmetric positive definite A [k, k]; Undecided where not shown.

        |x - x0| <= |B - A x0| / (smallest eigenvalue) for an approximate x0, with A scaled to a diagonal near 1.
        """
        scale = np.sqrt(np.maximum(A.hi.diagonal(), 0.0))
        scale = np.ldexp(1.0, -np.frexp(np.where(scale > 0, scale, 1.0))[1])
        A, B = A * np.outer(scale, scale), B * scale[:, None]
        ball = A.to_ball()
        smallest = block_eigenvalue(ball)
        if not smallest > 0:
            raise Undecided("the unpenalised columns are not shown to be independent")
        guess = np.linalg.solve((ball.mid + ball.mid.T) / 2, B.to_ball().mid)
        columns = []
        for k in range(guess.shape[1]):
            miss = B[:, k] - self.sum(A * guess[:, k], axis=1)
            squares = miss * miss
            error = float(self.sum(squares).sqrt().hi) / smallest * (1 + 1e-6)
            columns.append(Interval.of(guess[:, k]) + Interval(-error, error))
        return self.stack(columns) * scale[:, None]


class ObjectArithmetic:
    """Object arrays of scalars with rigorous operators: the dense, slow levels."""

    def __init__(
        self, make: Callable[[float], Any], floor: Callable[[Any], float], ceil: Callable[[Any], float]
    ) -> None:
        self._make = np.frompyfunc(make, 1, 1)
        self._floor, self._ceil = np.frompyfunc(floor, 1, 1), np.frompyfunc(ceil, 1, 1)

    def number(self, values: Any) -> Numbers:
        """Floats [...], exactly; numbers as they are."""
        values = np.asarray(values)
        return values if values.dtype == object else np.asarray(self._make(values.astype(np.float64)), dtype=object)

    def lower(self, x: Numbers) -> np.ndarray:
        """Floats known to be below x."""
        return np.asarray(self._floor(x), dtype=np.float64)

    def upper(self, x: Numbers) -> np.ndarray:
        """Floats known to be above x."""
        return np.asarray(self._ceil(x), dtype=np.float64)

    def where(self, mask: np.ndarray, x: Any, y: Any) -> Numbers:
        """x where the mask holds, else y."""
        return np.where(mask, self.number(x), self.number(y))

    def sum(self, x: Numbers, axis: int | None = None) -> Numbers:
        """Sum over all entries, or one axis."""
        return np.asarray(np.sum(x, axis=axis) if x.size else self.number(0.0), dtype=object)

    def cumsum(self, x: Numbers) -> Numbers:
        """Running sums."""
        return np.cumsum(x)

    def block_sums(self, x: Numbers, starts: np.ndarray) -> Numbers:
        """Sums of x[starts[k] : starts[k + 1]] for increasing starts."""
        return np.add.reduceat(x, starts)

    def stack(self, columns: Sequence[Numbers]) -> Numbers:
        """Columns [n] side by side, [n, k]."""
        return np.stack(columns, axis=-1)

    def apply(self, X: Any, w: np.ndarray) -> Numbers:
        """X w for floats X [n, p] and w [p] or [p, T]."""
        used = np.flatnonzero(w if w.ndim == 1 else w.any(axis=1))
        if len(used) == 0:
            return self.number(np.zeros((X.shape[0], *w.shape[1:])))
        return self.number(_dense(X[:, used])) @ self.number(w[used])

    def adjoint(self, X: Any, u: Numbers) -> Numbers:
        """X' u for floats X [n, p] and numbers u [n] or [n, T]."""
        return self.number(_dense(X).T) @ u

    def group_norms(self, v: Numbers, groups: Groups) -> Numbers:
        """Norms [G] of the groups of v [p] or [p, T]."""
        squares = [np.sum(v[groups.members(g)] * v[groups.members(g)]) for g in range(groups.n_groups)]
        return self.sqrt(np.array(squares, dtype=object))

    def solve(self, A: Numbers, B: Numbers) -> Numbers:
        """The solution [k, m] of A x = B for a symmetric positive definite A [k, k], by elimination."""
        A, B = A.copy(), B.copy()
        k = len(A)
        for i in range(k):
            if not self.lower(A[i, i]) > 0:
                raise Undecided("the unpenalised columns are not shown to be independent")
            for j in range(i + 1, k):
                factor = A[j, i] / A[i, i]
                A[j], B[j] = A[j] - factor * A[i], B[j] - factor * B[i]
        for i in reversed(range(k)):
            B[i] = (B[i] - A[i, i + 1 :] @ B[i + 1 :]) / A[i, i] if i + 1 < k else B[i] / A[i, i]
        return B

    def sqrt(self, x: Numbers) -> Numbers:
        """Square roots of numbers >= 0."""
        raise NotImplementedError


class BallArithmetic(ObjectArithmetic):
    """Balls of python-flint with PRECISION bits; ValueError naming the extra when it is not installed."""

    def __init__(self) -> None:
        try:
            import flint
        except ImportError:
            raise ValueError(
                'level "ball" needs python-flint: pip install "sparseopt[certify]", or use level="float"'
            ) from None
        self.flint = flint
        super().__init__(flint.arb, _below, _above)
        self._exp = np.frompyfunc(lambda x: x.exp(), 1, 1)
        self._log = np.frompyfunc(lambda x: x.log(), 1, 1)
        self._sqrt = np.frompyfunc(lambda x: x.nonnegative_part().sqrt(), 1, 1)
        self._xlogx = np.frompyfunc(self._entropy, 1, 1)

    @contextmanager
    def context(self) -> Iterator[None]:
        """The working precision."""
        with self.flint.ctx.workprec(PRECISION):
            yield

    def between(self, lower: float, upper: float) -> Numbers:
        """A number between two floats."""
        return self.flint.arb(lower).union(self.flint.arb(upper))

    def exp(self, x: Numbers) -> Numbers:
        """Exponential."""
        return self._exp(x)

    def log(self, x: Numbers) -> Numbers:
        """Logarithm of numbers >= 0; no information where 0 is possible."""
        return self._log(x)

    def sqrt(self, x: Numbers) -> Numbers:
        """Square root of numbers >= 0."""
        return self._sqrt(x)

    def xlogx(self, x: Numbers) -> Numbers:
        """x log x for numbers >= 0."""
        return self._xlogx(x)

    def limited(self, x: Numbers, low: Any, high: Any) -> Numbers:
        """Each number moved into [low, high] (floats)."""
        arb = self.flint.arb

        def one(value: Any, a: float, b: float) -> Any:
            value = value.max(arb(a)) if np.isfinite(a) else value
            return value.min(arb(b)) if np.isfinite(b) else value

        return np.frompyfunc(one, 3, 1)(x, low, high)

    def _entropy(self, x: Any) -> Any:
        x = x.nonnegative_part()
        if x > 0:
            return x * x.log()
        top = x.upper()
        if top == 0:
            return self.flint.arb(0)
        least = top * top.log() if top < 0.25 else self.flint.arb(-0.375)
        return least.union(self.flint.arb(0)).union(top * top.log())


class RationalArithmetic(ObjectArithmetic):
    """Fractions; square roots are enclosed between two."""

    def __init__(self) -> None:
        super().__init__(Rational.point, Rational.floor, Rational.ceil)
        self._sqrt = np.frompyfunc(Rational.sqrt, 1, 1)

    @contextmanager
    def context(self) -> Iterator[None]:
        """Nothing to prepare."""
        yield

    def between(self, lower: float, upper: float) -> Numbers:
        """A number between two finite floats."""
        return Rational.between(lower, upper)

    def sqrt(self, x: Numbers) -> Numbers:
        """Square root of numbers >= 0."""
        return self._sqrt(x)

    def limited(self, x: Numbers, low: Any, high: Any) -> Numbers:
        """Each number moved into [low, high] (floats)."""
        return np.frompyfunc(Rational.limited, 3, 1)(x, low, high)


def _xlogx(x: np.ndarray) -> Interval:
    exact = Interval.of(x)
    return exact * Interval.of(np.where(x > 0, x, 1.0)).log()


def _below(x: Any) -> float:
    if not x.is_finite():
        return -np.inf
    value = float(x.lower())
    return value if value <= x.lower() else float(np.nextafter(value, -np.inf))


def _above(x: Any) -> float:
    return -_below(-x)


def _dense(X: Any) -> np.ndarray:
    return np.asarray(X.todense() if sparse.issparse(X) else X, dtype=np.float64)
