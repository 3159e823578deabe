"""The convex penalties a second time, with rigorous bounds: values, dual feasibility and Fenchel-Young slacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..penalties import GroupElasticNet, GroupLasso, GroupPenalty, Linear, SparseGroupLasso
from ..problem import Problem
from ..unpenalised import held_at_zero
from .arithmetic import Numbers
from .ball import UNIT
from .losses.base import LARGEST_MULTIPLE

TRIES = 16
"""Times a proposed multiple is reduced, by 4, 16, 64, ... ulp, until it is shown to be feasible."""

SHRUNK = (1.0, *(1 - 2.0**-k for k in (48, 40, 32, 24)))
"""Multiples of a dual point where all are feasible: below 1 they take back what rounding errors of large gradients are
beyond the strengths, which the ridge charges squared."""


class PenaltyTerms:
    """pen(w) = sum_g strength_g |w_g| + l1 |w|_1 + l2 / 2 |w|^2, with w >= 0 if positive; the parts that are there.

    held: bool as w [p] or [p, T], where the penalty is 0; a dual point must be 0 there.  Where w >= 0 is asked for,
    what is `held_at_zero`; on the others of these groups it is to be on one side of 0.  free: indices [k] of the
    coefficients held in some output.
    """

    def __init__(self, problem: Problem, arithmetic: Any, w: np.ndarray) -> None:
        penalty: Any = problem.penalty
        self.arithmetic, self.groups, self.penalty = arithmetic, penalty.groups, penalty
        self.positive = bool(getattr(penalty, "positive", False))
        self.forced = np.isinf(penalty.strength)
        a = arithmetic
        lam, weights = a.number(penalty.lam), a.number(np.where(self.forced, 0.0, penalty.weights))
        self.l1 = self.l2 = None
        self.strength = weights * lam
        if isinstance(penalty, SparseGroupLasso):
            ratio = a.number(penalty.l1_ratio)
            self.l1 = lam * ratio if penalty.l1_ratio > 0 else None
            self.strength = self.strength * (1.0 - ratio)
        elif isinstance(penalty, GroupElasticNet):
            self.l2 = a.number(penalty.l2)
        bounded = np.ones(self.groups.n_groups, dtype=bool)
        self.held = np.zeros(w.shape, dtype=bool)
        if self.l2 is None:
            self.held = held_at_zero(problem.X, problem.datafit, penalty, w)
            bounded[penalty.unpenalised] = self.positive
        self.free = np.flatnonzero(self.held.reshape(len(w), -1).any(axis=1))
        self.bound = np.flatnonzero(~self.forced & bounded)

    multiples = SHRUNK

    @property
    def everywhere(self) -> bool:
        """Whether the conjugate is finite everywhere outside `held`."""
        return self.l2 is not None

    @staticmethod
    def fit(penalty: Any) -> bool:
        """Whether these formulas are those of the penalty: of exactly these classes, since a subclass may differ."""
        if type(penalty) is GroupPenalty:
            return type(penalty.rho) is Linear
        return type(penalty) in (GroupLasso, SparseGroupLasso, GroupElasticNet)

    def outside(self, w: np.ndarray) -> bool:
        """Whether the penalty is infinite at w [p] or [p, T]."""
        rows = np.abs(w).reshape(len(w), -1).max(axis=1)
        return bool((self.positive and (w < 0).any()) or rows[self.forced[self.groups.labels]].any())

    def value(self, w: np.ndarray) -> Numbers:
        """pen(w) at floats w where it is finite."""
        a, numbers = self.arithmetic, self.arithmetic.number(w)
        total = a.sum(self.strength * a.group_norms(numbers, self.groups))
        if self.l1 is not None:
            total = total + self.l1 * a.sum(a.number(np.abs(w)))
        return total if self.l2 is None else total + self.l2 * 0.5 * a.sum(numbers * numbers)

    def slack(self, w: np.ndarray, c: Numbers) -> Numbers:
        """pen(w) + <c, w> + pen*(-c) >= 0 for a feasible -c."""
        a, numbers = self.arithmetic, self.arithmetic.number(w)
        total = self.value(w) + a.sum(self._shown(c) * numbers)
        if self.l2 is not None:
            excess = a.limited(a.group_norms(c, self.groups) - self.strength, 0.0, np.inf)[self.bound]
            total = total + a.sum(excess * excess) / (self.l2 * 2.0)
        return a.limited(total, 0.0, np.inf)

    def multiple(self, c: Numbers) -> float:
        """A float alpha >= 0, as large as possible, such that -alpha c is shown to be feasible outside `held`."""
        if self.l2 is not None:
            return 1.0
        if self.l1 is None:
            upper = self.arithmetic.upper(self._norms(c))[self.bound]
            strength = self.arithmetic.lower(self.strength)[self.bound]
            with np.errstate(over="ignore"):  # inf: no bound
                ratios = np.where(upper > 0, strength / np.where(upper > 0, upper, 1.0), np.inf)
            return max(float(ratios.min(initial=np.inf)) * (1 - 4 * UNIT), 0.0)
        a = self.arithmetic
        middle = a.lower(c) / 2 + a.upper(c) / 2
        middle[self.held] = 0.0
        proposal = self.penalty.dual_limit(-middle)
        if proposal == np.inf:
            return np.inf if not (a.lower(c).any() or a.upper(c).any()) else 1.0
        proposal = min(proposal, LARGEST_MULTIPLE)  # of a gradient that is all rounding errors it may be anything
        tried = [proposal * (1 - UNIT * 4.0 ** (k + 1)) for k in range(TRIES)]
        for alpha in [*tried, min(1.0, proposal / 2)]:
            if self.feasible(c * a.number(alpha)):
                return alpha
        return 0.0

    def ceiling(self, c: Numbers, multiple: float) -> float:
        """A float above every alpha with -alpha c feasible outside `held`, found from a feasible one; inf if none is.

        Without l2, with which every multiple is feasible.
        """
        a = self.arithmetic
        if not 0 < multiple < np.inf:
            return np.inf
        for k in range(2 * TRIES):
            alpha = multiple * (1 + UNIT * 4.0 ** (k + 1))
            norms = self._norms(c * a.number(alpha))
            if (a.lower(norms) > a.upper(self.strength))[self.bound].any():
                return alpha
        return np.inf

    def feasible(self, c: Numbers) -> bool:
        """Whether -c is shown to be in the domain of the conjugate, outside `held`."""
        a = self.arithmetic
        if self.l2 is not None:
            return True
        return bool((a.upper(self._norms(c)) <= a.lower(self.strength))[self.bound].all())

    def _shown(self, c: Numbers) -> Numbers:
        """c with zeros where it is held, and so orthogonal."""
        return c * self.arithmetic.number(np.where(self.held, 0.0, 1.0))

    def _norms(self, c: Numbers) -> Numbers:
        """Norms [G] of what a group's ball has to hold: -c after the soft threshold, its positive part if positive."""
        a = self.arithmetic
        if self.positive:
            c = a.limited(-self._shown(c), 0.0, np.inf)
        if self.l1 is not None:
            size = a.where(a.upper(c) > -a.lower(c), c, -c)
            c = a.limited(a.limited(size, 0.0, np.inf) - self.l1, 0.0, np.inf)
        return a.group_norms(c, self.groups)
