"""The minimiser of one block in plain NumPy: the meaning of csrc/cpu/bcd_block.inc, bcd_radial.inc and bcd_entries.inc.

A block problem is  min over w [k, T] of  tr(w'H w) / 2 - <q, w> + penalty(w).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

VALUE, SLOPE, PROX = 0, 1, 2
"""Questions to a scalar penalty (SO_ASK_VALUE, SO_ASK_SLOPE, SO_ASK_PROX)."""

ROUNDS = 100
"""Rounds of prox steps and a Newton step on entries at most."""

STEPS = 10
"""Prox steps of a round."""

OWN_STEPS = 10
"""Prox steps of a visit under a penalty that only has a prox: the sweeps come back to what is left."""

SETTLED = 1e-14
"""Changes of this part of the largest coefficient are rounding errors."""


@dataclass(frozen=True)
class RadialBlock:
    """The block in its eigenbasis: H = diag(d) [k], under rho(|w|) at a strength; squares: |q_i|^2 [k].

    For a norm h > 0 stationarity is  w_i = q_i / (d_i + rho'(h) / h).  penalty: a `BlockPenalty`.
    """

    penalty: Any
    strength: float
    d: np.ndarray
    q: np.ndarray
    squares: np.ndarray

    def minimiser(self, x: np.ndarray) -> np.ndarray:
        """The minimiser [k, T]; x: where the block is.  Nonconvex: the best candidate, never above x."""
        norm = float(np.sqrt(self.squares.sum()))
        if not self.d.max() > 0:  # the loss does not see the block
            return np.zeros_like(x)
        if not (self.penalty.linear or self.strength == 0):
            return self._best_candidate(x)
        if norm <= self.strength:
            return np.zeros_like(x)
        if self.strength == 0:
            return self._stationary(0.0)
        return self._stationary(self.strength / self._root_linear(norm, float(np.linalg.norm(x))))

    def _stationary(self, multiplier: float) -> np.ndarray:
        e = (self.d + multiplier)[:, None]
        return np.where(e > 0, self.q / np.where(e > 0, e, 1.0), 0.0)

    def _ask(self, question: int, t: float | np.floating, curvature: float = 0.0) -> float:
        return self.penalty.asked(question, float(t), float(self.strength), float(curvature))

    def _root_linear(self, norm: float, h: float) -> float:
        """The norm h with sum squares / (d h + strength)^2 = 1, by Newton's method on the inverse root of the sum."""
        if not h > 0:
            h = (norm - self.strength) / self.d.max()
        for _ in range(50):
            e = 1 / (self.d * h + self.strength)
            f, df = (self.squares * e**2).sum(), (self.squares * e**3 * self.d).sum()
            after = h - f * (1 - np.sqrt(f)) / df
            after = after if after > 0 else 0.1 * h
            change, h = abs(after - h), after
            if change <= 1e-7 * h:  # it leaves an error of at most 1.5 change^2 / h (csrc/cpu/bcd_radial.inc)
                break
        return h

    def _root_radial(self) -> float:
        """Largest stationary norm below the unpenalised one, 0 where none is found: the same with a secant slope."""
        h = np.sqrt((self.squares[self.d > 0] / self.d[self.d > 0] ** 2).sum())
        for _ in range(100):
            step = 1e-7 * h
            if not step > 0:
                return 0.0
            f0, f1 = self._off_balance(h), self._off_balance(h - step)
            if abs(f0) <= 1e-13:
                break
            after = h - f0 * step / (f0 - f1) if f0 > f1 else 0.0
            if not after > 0:
                return 0.0
            change, h = abs(after - h), after
            if change <= 1e-13 * h:
                break
        return h

    def _root_near(self, h: float) -> float:
        """A stationary norm near h > 0: the same, with |w(h)| where that leads nowhere.

        That norm minimises the quadratic that is above the penalty and touches it at h, whatever the curvatures are.
        """
        for _ in range(100):
            if not 0 < h < np.inf:
                break
            step = 1e-7 * h
            f0 = self._off_balance(h)
            rise = (f0 - self._off_balance(h - step)) / step
            if abs(f0) <= 1e-13:
                break
            newton = h - f0 / rise if rise > 0 else 0.0
            after = newton if 0.25 * h < newton < 4 * h else h / (1 + f0)
            change, h = abs(after - h), after
            if change <= 1e-13 * h:
                break
        return h

    def _off_balance(self, h: float) -> float:
        """h / |w(h)| - 1, 0 at a stationary norm h."""
        e = self.d * h + self._ask(SLOPE, h)
        return 1 / np.sqrt((self.squares[e > 0] / e[e > 0] ** 2).sum()) - 1

    def _best_candidate(self, x: np.ndarray) -> np.ndarray:
        """Zero, the largest stationary point, or the one near a prox step with the largest curvature, by value."""
        best, chosen, top = 0.0, np.zeros_like(x), self.d.max()
        h = self._root_radial()
        if h > 0:
            w = self._stationary(self._ask(SLOPE, h) / h)
            value = self._value(w)
            if value < best:
                best, chosen = value, w
        if top > 0:
            v = x + (self.q - self.d[:, None] * x) / top
            norm = np.linalg.norm(v)
            w = v * (self._ask(PROX, norm, top) / norm if norm > 0 else 0.0)
            value = self._value(w)
            if value < best - 1e-12 * abs(best):
                near = self._root_near(float(np.linalg.norm(w)))
                there = self._stationary(self._ask(SLOPE, near) / near)
                chosen = there if self._value(there) <= value + 1e-12 * abs(value) else w
        return chosen

    def _value(self, w: np.ndarray) -> float:
        return float((w * (0.5 * self.d[:, None] * w - self.q)).sum()) + self._ask(VALUE, np.linalg.norm(w))


@dataclass(frozen=True)
class EntryBlock:
    """The block under l1 |w|_1 + strength |w| (w >= 0 where positive); H [k, k].  penalty: a `BlockPenalty`.

    Prox steps find the support; on a support the problem is smooth, and solved by Newton's method.
    """

    penalty: Any
    strength: float
    H: np.ndarray
    q: np.ndarray

    def minimiser(self, x: np.ndarray) -> np.ndarray:
        """The minimiser [k, T] from x [k, T], stationary to 1e-13 of the largest term."""
        if above_norm(self.penalty, self.q) <= self.strength:
            return np.zeros_like(x)
        goal = 1e-13 * (np.abs(self.q).max() + self.penalty.l1 + self.strength)
        curvature = largest_curvature(self.H)
        for _ in range(ROUNDS):
            if self._error(x) <= goal:
                return x
            for _ in range(STEPS):
                x = self._prox(x + (self.q - self.H @ x) / curvature, 1 / curvature)
            x = self._newton(x)
        return x

    def _prox(self, v: np.ndarray, step: float) -> np.ndarray:
        v = soft(v, step * self.penalty.l1, self.penalty.positive)
        norm = np.linalg.norm(v)
        return v * (1 - step * self.strength / norm) if norm > step * self.strength else np.zeros_like(v)

    def _value(self, w: np.ndarray) -> float:
        smooth = 0.5 * np.vdot(w, self.H @ w) - np.vdot(self.q, w)
        return float(smooth + self.penalty.l1 * np.abs(w).sum() + self.strength * np.linalg.norm(w))

    def _gradient(self, w: np.ndarray) -> np.ndarray:
        """Of the objective in the entries that are not 0."""
        return self.H @ w - self.q + self.strength / np.linalg.norm(w) * w + self.penalty.l1 * np.sign(w)

    def _error(self, w: np.ndarray) -> float:
        """Largest violation of stationarity of an entry; inf at 0, which is not the minimiser here."""
        if not w.any():
            return np.inf
        resting = soft(self.q - self.H @ w, self.penalty.l1, self.penalty.positive)
        return float(np.abs(np.where(w == 0, resting, self._gradient(w))).max())

    def _newton(self, w: np.ndarray) -> np.ndarray:
        """One Newton step on the support, cut where an entry becomes 0, if it helps; else w."""
        chosen, norm = np.flatnonzero(w), np.linalg.norm(w)
        if len(chosen) == 0:
            return w
        flat = w.ravel()[chosen]
        hessian = np.kron(self.H, np.eye(w.shape[1]))[np.ix_(chosen, chosen)]
        hessian = hessian + self.strength / norm * (np.eye(len(chosen)) - np.outer(flat, flat) / norm**2)
        if not np.isfinite(hessian).all():
            return w
        move = -np.linalg.lstsq(hessian, self._gradient(w).ravel()[chosen], rcond=None)[0]
        crossing = flat * move < 0
        reach = np.where(crossing, -flat / np.where(crossing, move, 1.0), np.inf)
        length = min(1.0, float(reach.min()))
        value, error = self._value(w), self._error(w)
        for _ in range(STEPS):
            after = np.zeros(w.size)
            after[chosen] = np.where(reach <= length, 0.0, flat + length * move)
            new = after.reshape(w.shape)
            fell = self._value(new) - value
            if fell < 0 or (fell <= 4 * np.finfo(float).eps * abs(value) and self._error(new) < error):
                return new
            length /= 2
        return w


def own_minimiser(penalty: Any, H: np.ndarray, q: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The block [k, T] lowered by prox steps from x, for a penalty of the block with a prox of its own.

    Each step minimises an upper bound of the objective, so it never rises; one step is exact where H is a multiple of
    the identity, as for a single column.  The penalty sees [k] where T = 1, else [k, T].
    """
    curvature, shape = largest_curvature(H), x.shape if x.shape[1] > 1 else (len(x),)
    for _ in range(OWN_STEPS):
        target = (x + (q - H @ x) / curvature).reshape(shape)
        after = np.asarray(penalty.prox(target, 1 / curvature), dtype=np.float64).reshape(x.shape)
        change, x = np.abs(after - x).max(), after
        if change <= SETTLED * np.abs(x).max():
            break
    return x


def largest_curvature(H: np.ndarray) -> float:
    """Largest eigenvalue of H [k, k]; 1 for a block of zeros, where every step length will do."""
    largest = float(np.linalg.eigvalsh(H)[-1])
    return largest if largest > 0 else 1.0


def soft(c: np.ndarray, l1: float, positive: bool) -> np.ndarray:
    """sign(c) max(|c| - l1, 0) [...], and 0 for negative c where only w >= 0 is allowed."""
    return np.maximum(c - l1, 0.0) - (0.0 if positive else np.maximum(-c - l1, 0.0))


def above_norm(penalty: Any, c: np.ndarray) -> float:
    """|soft(c)|: what the norm of the block has to hold; |c| where there is no penalty of entries."""
    return float(np.linalg.norm(soft(c, penalty.l1, penalty.positive) if penalty.entrywise else c))


def entry_limit(penalty: Any, c: np.ndarray, strength: float) -> float:
    """Largest a with |soft(a c)| <= strength: the root of a convex function of a, by Newton's method from above."""
    largest = float((c if penalty.positive else np.abs(c)).max())
    if not largest > 0:
        return np.inf
    a = (penalty.l1 + strength) / largest
    for _ in range(50 if strength > 0 else 0):
        above = soft(a * c, penalty.l1, penalty.positive)
        norm = np.linalg.norm(above)
        change = (norm - strength) * norm / np.vdot(above, c)
        if not change > 1e-15 * a:
            break
        a -= change
    return a
