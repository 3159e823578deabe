"""Instances of Theorem 1.1: an inverse-sum problem between the group LASSO below and its own value on one group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..competitors import Search
from ..enclosure import Interval
from ..instances import EPS, Instance
from ..theorem import Attack, Evidence
from .inverse_sum_dominates import exact_regulariser

SOLVE_TOL = 1e-11
"""Relative duality gap to which the group LASSO is solved."""

PROOF_TOL = 1e-9
"""Relative accuracy at which global optimality is to be certified."""

SCALES = tuple(10 ** np.arange(-3, 0.75, 0.5))
"""Distances of the Gaussian competitors, in units of |b*|."""

STEPS = 12
"""Of a descent."""

Vector = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Sandwich:
    """min L + lam R_q for a random or real loss, its group LASSO solved.

    seed: of the competitors.
    """

    loss: Instance
    q: Any
    lam: float
    seed: int

    @cached_property
    def problem(self) -> so.Problem:
        """The nonconvex problem."""
        return self.loss.problem.with_penalty(so.InverseSum(self.lam, self.loss.groups, self.q))

    @cached_property
    def companion(self) -> so.Problem:
        """The group LASSO with the same lam."""
        return self.problem.with_penalty(self.problem.penalty.companion)

    @cached_property
    def w(self) -> np.ndarray:
        """Numerical minimiser [p] of the group LASSO."""
        return so.solve(self.companion, tol=SOLVE_TOL, throw=False).w

    @cached_property
    def gap(self) -> float:
        """Upper bound on F_GL(w) - F_GL(b*), rounding included."""
        return max(so.certify.duality_gap(self.companion, self.w).upper, 0.0)

    @cached_property
    def error(self) -> float:
        """Upper bound on |w - b*|; inf without strong convexity."""
        return float(np.sqrt(2 * self.gap / self.loss.mu)) if self.loss.mu > 0 else np.inf

    @cached_property
    def dual_room(self) -> float:
        """lam less the largest gradient norm that a group beside the active one can have at b*; < 0 for two groups.

        The gradient of group h moves by at most sqrt(2 gap |H_hh|) from w to b* (ledger D3).
        """
        groups, norms = self.loss.groups, self.loss.groups.norms(self.w)
        if (norms > 0).sum() > 1:
            return -float(np.sort(norms)[-2])
        gradients = groups.norms(self.problem.gradient(self.w))
        blocks = [np.linalg.norm(self.loss.block(g, g), 2) for g in range(groups.n_groups)]
        reach = gradients + np.sqrt(2 * self.gap * np.array(blocks))
        allowed = np.argmax(norms) if norms.any() else np.argmax(reach)
        return self.lam - float(np.delete(reach, allowed).max(initial=0.0))

    @cached_property
    def uniqueness(self) -> float:
        """Strong convexity of L, or of its active block if the others are strictly dual feasible (D6), over |H|."""
        curvature = self.loss.mu
        if self.dual_room > 0:
            g = int(np.argmax(self.loss.groups.norms(self.w)))
            block = np.linalg.eigvalsh(self.loss.block(g, g))[0] - self.loss.rounding
            curvature = max(curvature, float(block))
        return curvature / float(self.loss.eigenvalues[-1])

    @property
    def largest_norm(self) -> float:
        """A bound of R_q, hence of sums of norms, over the points that are not worse than 0 (b'w - w'Hw/2 = -min L)."""
        least = np.linalg.lstsq(self.loss.H, self.loss.b, rcond=None)[0]
        return float(self.loss.b @ least) / self.lam

    def with_function(self, q: Any) -> Sandwich:
        """The same loss and lam under another q; the group LASSO, which is the same, is not solved again."""
        other = replace(self, q=q)
        other.__dict__.update(w=self.w, gap=self.gap)
        return other

    def certificate(self) -> so.certify.Certificate:
        """`so.certify.global_gap` at w."""
        return so.certify.global_gap(self.problem, self.w, tol=PROOF_TOL)

    def margin(self, u: np.ndarray) -> Evidence:
        """mu/2 |u - b*|^2 <= F_R(u) - F_R(b*), for a competitor u [p].

        tolerance: the gap, since F_R(b*) >= F_R(w) - gap, plus 64 eps p times the terms of the objectives.
        """
        here, there = self.problem.objective(self.w), self.problem.objective(u)
        distance = max(float(np.linalg.norm(u - self.w)) - self.error, 0.0) if self.loss.mu > 0 else 0.0
        lengths = np.linalg.norm(u) + np.linalg.norm(self.w)
        size = abs(here) + (abs(there) if np.isfinite(there) else 0.0) + float(lengths * np.linalg.norm(self.loss.b))
        rounding = 64 * EPS * len(u) * size
        claim = "mu/2 |u - b*|^2 <= F_R(u) - F_R(b*)"
        return Evidence(claim, self.loss.mu / 2 * distance**2, there - here, self.gap + rounding)

    def attack(self, descents: int = 5) -> Attack:
        """The points of `competitors`, compared with b*."""
        return Attack.of([self.margin(u) for u in self.competitors(descents)])

    def competitors(self, descents: int) -> Iterator[np.ndarray]:
        """Points [p] to compare with b*, those of `Search`; in up to four dimensions one of Nelder and Mead too."""
        rng = np.random.default_rng(self.seed)
        size = float(np.linalg.norm(self.w)) or 1.0
        search = Search(self.problem, self.loss.H, self.loss.b, self.w, size, SCALES, 4, descents, STEPS)
        yield from (u for _, u in search.competitors(rng))
        if len(self.w) <= 4 and descents:
            yield self.simplex_search(self.w + 0.3 * size * rng.standard_normal(len(self.w)))

    def simplex_search(self, u: np.ndarray) -> np.ndarray:
        """Nelder-Mead on F_R from u [p]."""
        from scipy.optimize import minimize

        with np.errstate(invalid="ignore"):  # differences of infinite values
            return minimize(self.problem.objective, u, method="Nelder-Mead", options={"maxiter": 100}).x


@dataclass(frozen=True)
class ExactSandwich:
    """min L + lam R_q for L = w'Hw/2 - b'w in two variables, each a group, all rational.

    minimiser: of L + lam sum_i weights[i] |w_i|, by its optimality conditions.  competitors: points to compare with it.
    mu: a lower bound of the eigenvalues of H.
    """

    q: Any
    H: tuple[Vector, Vector]
    b: Vector
    lam: Fraction
    minimiser: Vector
    competitors: tuple[Vector, ...]
    mu: Fraction = Fraction(1)
    weights: Vector = (Fraction(1), Fraction(1))

    largest_norm = 4.0

    def gradient(self, u: Vector) -> Vector:
        """H u - b."""
        first, second = (sum((h * x for h, x in zip(row, u, strict=True)), Fraction(0)) for row in self.H)
        return first - self.b[0], second - self.b[1]

    def value(self, u: Vector) -> Interval:
        """F_R(u), enclosed."""
        loss = sum((x * (g - c) / 2 for x, g, c in zip(u, self.gradient(u), self.b, strict=True)), Fraction(0))
        return Interval.point(loss) + exact_regulariser(self.q, (abs(u[0]), abs(u[1]))).times(self.lam)

    @property
    def kkt_error(self) -> Fraction:
        """Violation of the optimality conditions of the (weighted) group LASSO; 0 at its minimiser."""
        worst = Fraction(0)
        for x, g, weight in zip(self.minimiser, self.gradient(self.minimiser), self.weights, strict=True):
            pull = self.lam * weight
            worst = max(worst, abs(g + (pull if x > 0 else -pull)) if x else abs(g) - pull)
        return worst

    @property
    def shifted_minors(self) -> tuple[Fraction, Fraction]:
        """Diagonal and determinant of H - mu I: both >= 0 where mu bounds the eigenvalues."""
        (a, c), (d, e) = self.H
        return min(a, e) - self.mu, (a - self.mu) * (e - self.mu) - c * d

    @property
    def dual_room(self) -> float:
        """1 for at most one active group, else minus the smaller of the two norms."""
        smaller = min(abs(self.minimiser[0]), abs(self.minimiser[1]))
        return -float(smaller) if smaller else 1.0

    @property
    def uniqueness(self) -> float:
        """mu, or how strictly dual feasible the zero groups are."""
        rows = zip(self.minimiser, self.gradient(self.minimiser), self.weights, strict=True)
        room = min((self.lam * weight - abs(g) for x, g, weight in rows if x == 0), default=Fraction(0))
        return float(max(self.mu, room))

    def evidence(self) -> tuple[Evidence, ...]:
        """The quantitative claim for every competitor, and that none of them is as good as b*."""
        found, farthest = [], Fraction(0)
        for u in self.competitors:
            excess = self.value(u) - self.value(self.minimiser)
            distance = sum(((x - y) ** 2 for x, y in zip(u, self.minimiser, strict=True)), Fraction(0))
            claim = f"mu/2 |u - b*|^2 <= F_R(u) - F_R(b*) at u = ({u[0]}, {u[1]})"
            found.append(Evidence(claim, self.mu / 2 * distance, excess.high, excess.width))
            farthest = max(farthest, distance) if excess.high <= 0 else farthest
        return (*found, Evidence("no point as good as b* is away from b*", farthest, Fraction(0)))
