"""Enclosures of the objective and of the duality gap for every convex pair of loss and penalty.

For any w, any dual point u and any eta1 = X w1 + offset + b1 with w1 = w outside the free coefficients,
P(w) - D(u) = L(eta) - L(eta1) + [L(eta1) + L*(u) - <u, eta1>] + [pen(w) + <X'u, w> + pen*(-X'u)],
provided that u is orthogonal to the free columns (and to 1 with an intercept).  Both brackets are >= 0 (Fenchel,
Young) and are computed without cancellation.  u = alpha (gradient L(eta1) - H A c), A the free columns and 1, with c
the solution of A'HA c = A' gradient, which is enclosed: the exact projection, not the float one, is what is evaluated.

Where unpenalised columns separate samples, u is 0 there: the smallest forces are left out one after the other.
The refitted coefficients, the intercepts and alpha are floats chosen well, but any would give a valid dual point.
So would any eta1, at the cost of <u, eta1 - eta>: where the terms of X w cancel, one with more digits (`finer_fit`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..datafits.one_dimensional import best_multiple
from ..finer_fit import finer_fit
from ..penalties import KSupport
from ..problem import Problem
from ..recentred import recentred
from ..unpenalised import coefficients_of, of_unit_size, refit
from .arithmetic import Numbers, Undecided
from .convex_bound import known_bound, least_over_multiples
from .evaluation import QUADRATICS
from .independence import spanning_columns
from .k_support_terms import KSupportTerms
from .linear_fit import LinearFit
from .losses import Loss, VanishingLoss, loss_of, muted
from .penalty_terms import PenaltyTerms
from .quadratic_gap import gap_of_quadratic

BACK = 1 - 2.0**-46
"""A multiple that is just not shown to be in the domain is taken this much smaller, for 2^-46 of the objective."""

MUTED = (1e-15, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4)
"""Shares of a sample's force that are left out of a dual point, one after the other, at a cost of their size."""

Terms = PenaltyTerms | KSupportTerms
"""A penalty with rigorous bounds."""


@dataclass(frozen=True)
class Enclosure:
    """lower: below the gap P(w) - D(u) to every feasible multiple u of the projected gradient.  upper: above the best.

    scale, largest_scale: bounds of max(|P(w)|, |P(w) - P(0)|), 1 where both vanish.
    reason: why no better dual point than 0 was found, empty where one was.
    """

    lower: float
    upper: float
    scale: float
    largest_scale: float
    reason: str = ""


def enclose(problem: Problem, w: np.ndarray, arithmetic: Any) -> Enclosure:
    """The gap of a convex problem at w [p] or [p, T].  Raises Undecided where no dual point is shown to be feasible."""
    if type(problem.penalty) is KSupport:
        terms: Terms = KSupportTerms(problem.penalty, arithmetic, w)
    else:
        terms = PenaltyTerms(recentred(problem)[0], arithmetic, w)
    if terms.outside(w):
        return Enclosure(np.inf, np.inf, 1.0, 1.0)
    if type(problem.datafit) in QUADRATICS:
        return Enclosure(*gap_of_quadratic(problem, w, terms))
    return _Fit(recentred(problem)[0], terms, loss_of(problem.datafit, arithmetic)).enclose(w)


@dataclass(frozen=True)
class _DualPoint:
    """force = gradient L(eta1) - H d, whose multiples u are the dual points; base: coefficients that lead near eta1.

    beyond = L(eta) - L(eta1) and along = <force, eta - eta1>, what the two brackets leave out; along is 0 where eta1 is
    that of base, since u is orthogonal to the free columns.
    """

    base: np.ndarray
    eta1: Numbers
    d: Numbers | None
    force: Numbers
    beyond: Numbers
    along: Numbers


class _Fit:
    """The loss of one problem as a function of floats w and b."""

    def __init__(self, problem: Problem, terms: Terms, loss: Loss) -> None:
        self.problem, self.terms, self.loss, self.arithmetic = problem, terms, loss, terms.arithmetic
        self.linear = LinearFit(problem, loss, terms.arithmetic)
        self.X = self.linear.X
        self.ones = np.ones((len(loss.rows), 1 if problem.datafit.fit_intercept else 0))
        free = self.X[:, terms.free]
        self.free = np.asarray(free.todense() if hasattr(free, "todense") else free, dtype=np.float64)

    def enclose(self, w: np.ndarray) -> Enclosure:
        """The enclosure at w [p] or [p, T], from the raw data."""
        eta, value = self.linear.at(w)
        lowered = self._attained(eta)
        reason = ""
        try:
            lower, upper = self._gap(w, eta)
            lower, upper = np.minimum((lower, upper), self._finer(w, eta)).tolist()
        except Undecided as why:
            # with u = 0 only an upper bound: where the infimum of the loss is not attained it can be all that is needed
            lower, upper, reason = 0.0, min(self._gap_at_zero(w, eta), self._gap_of_muted(w, eta)), str(why)
            if upper == np.inf:
                raise
        return Enclosure(max(lower - lowered, 0.0), upper, *self._scale(w, value, lowered), reason)

    def _gap_at_zero(self, w: np.ndarray, eta: Numbers) -> float:
        """Upper bound of the gap to the dual point 0."""
        a = self.arithmetic
        nothing = a.number(np.zeros(w.shape))
        return known_bound(float(a.upper(self.loss.slack(eta, None, 0.0) + self.terms.slack(w, nothing))))

    def _gap_of_muted(self, w: np.ndarray, eta: Numbers) -> float:
        """Upper bound of the gap to dual points without the smallest forces, for which 0 is not known to be feasible.

        Where unpenalised columns separate samples, no others are orthogonal to the columns.
        """
        best, fit = np.inf, copy.copy(self)
        eta1 = self._refit(w, eta)[1]
        for size in MUTED:
            loss = muted(fit.loss, eta1, size)
            if loss is not None:
                fit.loss = loss
                with suppress(Undecided, ZeroDivisionError):
                    best = min(best, fit._gap(w, eta)[1])
        return best

    def _refit(self, w: np.ndarray, eta: Numbers) -> tuple[np.ndarray, Numbers]:
        """w and eta after a fit of the free coefficients."""
        base = self._refitted(w) if len(self.terms.free) else w
        return base, eta if base is w else self.linear.at(base)[0]

    def _finer(self, w: np.ndarray, eta: Numbers) -> tuple[float, float]:
        """`_gap` to the gradient at a z next to X w, floats that are known exactly, where the terms of X w cancel."""
        a, z = self.arithmetic, finer_fit(self.problem, w)
        if z is None:
            return np.inf, np.inf
        z = (z + self.linear.datafit.offset)[self.loss.rows]
        eta1 = a.number(z if self.loss.outputs is None else z[:, self.loss.outputs])
        force = self.loss.force(eta1)
        beyond = self.loss.value(eta) - self.loss.value(eta1)
        return self._least(w, _DualPoint(w, eta1, None, force, beyond, a.sum(force * (eta - eta1))))

    def _gap(self, w: np.ndarray, eta: Numbers) -> tuple[float, float]:
        """Bounds of the gap to a multiple of the projected gradient."""
        a, loss = self.arithmetic, self.loss
        base, eta1 = self._refit(w, eta)
        d = self._projected(eta1, np.concatenate([self.ones, self.free], axis=1))
        force = loss.force(eta1) if d is None else loss.force(eta1) - loss.hessian(eta1, d)
        beyond = loss.value(eta) - loss.value(eta1) if base is not w else a.number(0.0)
        return self._least(w, _DualPoint(base, eta1, d, force, beyond, a.number(0.0)))

    def _least(self, w: np.ndarray, point: _DualPoint) -> tuple[float, float]:
        """Bounds of the gap to the multiples of a dual point."""
        a = self.arithmetic
        c = self.linear.adjoint(point.force, w)
        limit = self.terms.multiple(c)
        alpha = self._multiple(point.base, point.force, limit)

        def gap(multiple: float) -> Numbers:
            number, slack = a.number(multiple), self.loss.slack(point.eta1, point.d, multiple)
            return slack + self.terms.slack(w, c * number) + (point.beyond - point.along * number)

        if self.terms.everywhere:  # the multiples are the same at every level
            tried = [_backed_off(gap, multiple) for multiple in self.terms.multiples]
            return min(float(a.lower(g)) for g in tried), min(known_bound(float(a.upper(g))) for g in tried)
        chosen = _backed_off(gap, alpha)
        upper = known_bound(float(a.upper(chosen)))
        return least_over_multiples(a, gap, alpha, min(self.terms.ceiling(c, limit), self.loss.largest_multiple)), upper

    def _refitted(self, w: np.ndarray) -> np.ndarray:
        """w with the free coefficients moved (in float) to where the gradient is nearly orthogonal to their columns."""
        columns = (
            np.asarray(self.problem.X[:, self.terms.free].todense())
            if hasattr(self.problem.X, "todense")
            else (self.problem.X[:, self.terms.free].astype(np.float64))
        )
        z = self.problem.X @ w
        held = self.terms.held[self.terms.free]
        moved, _ = refit(self.problem.datafit, columns, z, moved=held)
        result = w.copy()
        result[self.terms.free] += coefficients_of(columns, moved - z, held)
        return result

    def _projected(self, eta: Numbers, columns: np.ndarray) -> Numbers | None:
        """`_projection`, each output for its own columns where they differ, as they may for w >= 0."""
        live = getattr(self.loss, "live", None)
        columns = columns if live is None or live.ndim == 2 else columns * live[:, None]
        held = self.terms.held[self.terms.free]
        if held.all() or isinstance(self.loss, VanishingLoss):
            return _spanned(partial(self._projection, eta), columns)
        held = np.concatenate([np.ones((self.ones.shape[1], held.shape[1]), dtype=bool), held])
        force, parts = self.loss.force(eta), []
        for t in range(held.shape[1]):
            projection = partial(self._separate_projection, eta, force[:, t : t + 1])
            parts.append(_spanned(projection, columns[:, held[:, t]])[:, 0])
        return self.arithmetic.stack(parts)

    def _projection(self, eta: Numbers, columns: np.ndarray) -> Numbers | None:
        """d = A c with A'HA c = A' gradient, so that gradient - H d is orthogonal to the columns A [n, k]."""
        if columns.shape[1] == 0 or isinstance(self.loss, VanishingLoss):
            return None
        loss = self.loss
        force = loss.force(eta)
        if len(eta.shape) == 2 and not loss.separate:
            return self._coupled_projection(eta, of_unit_size(columns), force)
        d = self._separate_projection(eta, force[:, None] if len(eta.shape) == 1 else force, columns)
        return d[:, 0] if len(eta.shape) == 1 else d

    def _separate_projection(self, eta: Numbers, sides: Numbers, columns: np.ndarray) -> Numbers:
        """The same for the forces `sides` [n, K] of outputs with one diagonal Hessian."""
        a, loss = self.arithmetic, self.loss
        numbers, k = a.number(of_unit_size(columns)), columns.shape[1]
        if k == 0:
            return a.number(np.zeros(sides.shape))
        bent = [loss.hessian(eta, numbers[:, j]) for j in range(k)]
        gram = a.stack([a.sum(numbers * bent[j][:, None], axis=0) for j in range(k)])
        slopes = a.stack([a.sum(numbers * sides[:, t][:, None], axis=0) for t in range(sides.shape[1])])
        c = a.solve(gram, slopes)
        return a.stack([a.sum(numbers * c[:, t], axis=1) for t in range(c.shape[1])])

    def _coupled_projection(self, eta: Numbers, columns: np.ndarray, force: Numbers) -> Numbers | None:
        """The same where the Hessian couples the outputs; the last one is left out where it is a reference."""
        a, loss = self.arithmetic, self.loss
        directions = [a.number(direction) for direction in self._coupled_directions(columns, eta.shape[1])]
        if not directions:
            return None
        bent = [loss.hessian(eta, direction) for direction in directions]
        gram = a.stack([_stacked(a, [a.sum(e * h) for e in directions]) for h in bent])
        slopes = _stacked(a, [a.sum(e * force) for e in directions])
        c = a.solve(gram, slopes[:, None])
        total = directions[0] * c[0, 0]
        for i in range(1, len(directions)):
            total = total + directions[i] * c[i, 0]
        return total

    def _coupled_directions(self, columns: np.ndarray, outputs: int) -> list[np.ndarray]:
        """Changes [n, K] of eta by one column in one output, which span all of them as far as the loss can see."""
        unit, live = np.eye(outputs), getattr(self.loss, "live", None)
        seen = outputs - (1 if self.loss.reference and live is None else 0)
        directions = [column[:, None] * unit[t] for column in columns.T for t in range(seen)]
        if live is None:
            return directions
        labels = np.argmax(self.loss.one_hot, axis=1)[:, None]  # type: ignore[attr-defined]
        against = [(e - np.take_along_axis(e, labels, axis=1))[live] for e in directions]
        return [directions[k] for k in spanning_columns(np.stack(against, axis=1))]

    def _multiple(self, w: np.ndarray, force: Numbers, limit: float) -> float:
        """A good multiple of the dual point up to the limit, by float evaluations (a proposal)."""
        if self.terms.everywhere:
            return 1.0
        a, problem = self.arithmetic, self.problem
        limit = min(limit, self.loss.largest_multiple)
        middle = a.lower(force) / 2 + a.upper(force) / 2
        z = problem.X @ w
        u = np.zeros(z.shape)
        u[np.ix_(self.loss.rows, self.loss.outputs) if self.loss.outputs is not None else self.loss.rows] = middle
        with np.errstate(all="ignore"):
            alpha = best_multiple(lambda m: -problem.datafit.conjugate(m * u), -float(np.vdot(u, z)), limit)
        return float(min(alpha, limit)) if alpha <= 1 or self._in_domain(alpha, z, u) else min(1.0, limit)

    def _in_domain(self, alpha: float, z: np.ndarray, u: np.ndarray) -> bool:
        return alpha < np.inf and self.problem.datafit.conjugate(alpha * (1 + 1e-9) * u) < np.inf

    def _attained(self, eta: Numbers) -> float:
        """Upper bound of L(eta) - min over b of L(eta + b)."""
        force = self.loss.force(eta)
        balanced = not (self.arithmetic.lower(force).any() or self.arithmetic.upper(force).any())
        if balanced or not self.problem.datafit.fit_intercept:
            return 0.0
        try:
            d = self._projection(eta, self.ones)
            slack = _backed_off(lambda multiple: self.loss.slack(eta, d, multiple), 1.0)
        except (Undecided, ZeroDivisionError):  # all curvature is gone: L(eta) - inf L bounds it, too
            slack = self.loss.slack(eta, None, 0.0)
        return float(self.arithmetic.upper(slack))

    def _scale(self, w: np.ndarray, value: Numbers, lowered: float) -> tuple[float, float]:
        a = self.arithmetic
        primal = value + self.terms.value(w)
        eta0, zero = self.linear.at(np.zeros_like(w))
        lowered0 = self._attained(eta0)
        low, high = float(a.lower(primal)) - lowered, float(a.upper(primal))
        low0, high0 = float(a.lower(zero)) - lowered0, float(a.upper(zero))
        if not w.any() and low0 == 0 == high0:
            return 1.0, 1.0
        largest = known_bound(max(high, -low, high - low0, high0 - low)) * (1 + 1e-15)
        return max(low, -high, low - high0, low0 - high, 0.0) * (1 - 1e-15), largest


def _spanned(projection: Callable[[np.ndarray], Any], columns: np.ndarray) -> Any:
    """projection(columns); where they are not shown to be independent, of those that span the others exactly."""
    try:
        return projection(columns)
    except Undecided:
        fewer = columns[:, spanning_columns(columns)]
        if fewer.shape == columns.shape:
            raise
        return projection(fewer)


def _backed_off(gap: Callable[[float], Numbers], alpha: float) -> Numbers:
    """gap(alpha), or at BACK * alpha where rounding errors cross the boundary of the domain."""
    try:
        return gap(alpha)
    except Undecided:
        return gap(BACK * alpha)


def _stacked(a: Any, scalars: list[Numbers]) -> Numbers:
    return a.stack([a.number(s) for s in scalars])
