"""Block coordinate descent in plain NumPy: the meaning of the compiled loops (csrc/cpu/bcd_loop.inc), what runs without
them, and what treats penalties that have a prox of each block only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .bcd import BASIS_READY, MEANS_READY, ColumnStore
from .block_reference import SLOPE, VALUE, EntryBlock, RadialBlock, above_norm, entry_limit, own_minimiser

AT_ONCE = 256
"""Groups whose columns are multiplied in one product."""

REACHES, NEW_GROUPS = 0.7, 0.05
"""When cycles end for a look at the gap, as in csrc/cpu/bcd_loop.inc."""


@dataclass(frozen=True)
class Limits:
    """When a run ends, as in `Descent.run`."""

    max_epochs: int
    epochs_per_cycle: int
    anderson: int
    gap_target: float
    violation_target: float
    settled: float
    ask: Callable[[], bool]


class Loop:
    """Cycles of sweeps over the active groups of a working set, with Anderson extrapolation under an objective guard.

    descent: a `Descent`, whose b and r are moved.
    """

    def __init__(self, descent: Any, limits: Limits) -> None:
        self.descent, self.limits, self.penalty = descent, limits, descent.penalty
        self.store, self.cache, self.n = descent.store, descent.cache, descent.store.n
        self.total, self.centred = descent.fields["total"], bool(descent.fields["centred"])
        self.factor_limit = descent.fields["factor_limit"]
        self.active = np.empty(0, dtype=np.int64)
        self.epochs = self.visits = self.accepted = self.columns = 0
        self.gap = self.violation = np.inf
        self.moved, self.energy, self.interrupted = 0.0, 0.0, False
        self.kappa = 0.0  # gap over the groups swept, over sqrt(energy of the sweep before), 0 where unknown
        self.renewed = True  # whether groups are active that were not swept yet

    def run(
        self, working: np.ndarray, scores: np.ndarray, scored: bool
    ) -> tuple[int, int, int, float, float, bool, int]:
        """Descend over the groups `working`; answers as `Descent.run`."""
        with np.errstate(all="ignore"):
            self._run(working, scores, scored)
        counts = self.epochs, self.visits, self.accepted
        return (*counts, float(self.gap), float(self.violation), self.interrupted, self.columns)

    def _run(self, working: np.ndarray, scores: np.ndarray, scored: bool) -> None:
        while not self.interrupted:
            if not scored and self.limits.gap_target < 0 and self.epochs >= self.limits.max_epochs:
                return
            if scored:
                norms = np.array([self._norm(g) for g in working])
                self.active = working[(norms > 0) | (scores[working] > 1) | (not self.penalty.linear)]
            else:
                self._score(working, scores)
                if self.limits.gap_target >= 0 and self.gap <= self.limits.gap_target:
                    return
            scored = False
            if self.epochs >= self.limits.max_epochs or len(self.active) == 0:
                return
            self._cycle()
            self.violation = self.moved
            if self.moved <= self.limits.violation_target:
                return

    # ---- one block

    def _rows(self, g: int) -> slice:
        return slice(int(self.store.offsets[g]), int(self.store.offsets[g + 1]))

    def _columns(self, g: int) -> Any:
        return columns_at(self.store, np.arange(self.store.offsets[g], self.store.offsets[g + 1]))

    def _norm(self, g: int) -> float:
        return float(np.linalg.norm(self.descent.b[self._rows(g)]))

    def _pull(self, g: int, X: Any) -> np.ndarray:
        """-gradient of the smooth part [k, T] in the columns X of the block, the pending shift of r included."""
        r, share = self.descent.r, self.descent.share
        pull = np.asarray(X.T @ r[:, : self.n].T) * (self.total / self.n if share is None else 1.0)
        if not self.centred:
            return pull
        self._prepare_means(g, X)
        return pull + self.total * np.outer(self.cache.means[self._rows(g)], r[:, self.n])

    def _prepare_means(self, g: int, X: Any) -> None:
        if not self.cache.ready[g] & MEANS_READY:
            share = self.descent.share
            weights = np.full(self.n, 1 / self.n) if share is None else share / self.total
            self.cache.means[self._rows(g)] = X.T @ weights
            self.cache.ready[g] |= MEANS_READY

    def _update(self, g: int) -> None:
        """Minimise over block g with everything else fixed."""
        X, rows = self._columns(g), self._rows(g)
        pull, strength = self._pull(g, X), float(self.penalty.strength[g])
        if not np.isfinite(np.vdot(pull, pull)):  # a model that is not above the loss: its user goes back
            self.descent.b[rows] = np.nan
            return
        if not self.descent.b[rows].any() and self._stays_zero(pull, strength):
            return
        self.descent.prepare_block(g)
        x = self.descent.b[rows]  # turned by now
        basis = self.cache.basis[self.store.squares[g] : self.store.squares[g + 1]].reshape(len(x), len(x))
        factor = self._factor(g)
        if self.penalty.entrywise:
            updated, curvature = self._in_columns(g, factor * basis, pull, x)
            change = x - updated
            turned = change
        else:
            d = factor * self.cache.curvature[rows]
            q = basis.T @ pull + d[:, None] * x
            curvature = d + self.penalty.l2
            updated = RadialBlock(self.penalty, strength, curvature, q, (q * q).sum(axis=1)).minimiser(x)
            change = x - updated
            turned = basis @ change
        largest = float((curvature[:, None] * np.abs(change)).max())
        if largest == 0:
            return
        self.moved = max(self.moved, largest)
        self.energy += float((curvature[:, None] * change**2).sum())
        part = self._move_residual(g, X, turned)
        self.descent.b[rows] = updated + (1 - part) * change
        if part < 1:
            self._move_residual(g, X, (part - 1) * turned)

    def _stays_zero(self, pull: np.ndarray, strength: float) -> bool:
        if self.penalty.own is not None:
            return False
        norm = above_norm(self.penalty, pull)
        return norm == 0 or ((self.penalty.linear or self.penalty.entrywise) and norm <= strength)

    def _factor(self, g: int) -> float:
        """By how much the curvature of block g is larger than that of its basis."""
        known = self.descent.factor
        if known is None:
            return 1.0
        return known[g] if known[g] > 0 else self.factor_limit

    def _in_columns(self, g: int, A: np.ndarray, pull: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minimiser where single entries matter, so that blocks are not turned; bounds [k] of the curvature."""
        H, q = A + self.penalty.l2 * np.eye(len(A)), pull + A @ x
        if self.penalty.own is not None:
            updated = own_minimiser(self.penalty.own(g), H, q, x)
        else:
            updated = EntryBlock(self.penalty, float(self.penalty.strength[g]), H, q).minimiser(x)
        return updated, self.penalty.l2 + np.abs(A).sum(axis=1)

    def _move_residual(self, g: int, X: Any, change: np.ndarray) -> float:
        """r += share * (X change), with the curvature along the step, and the shift of the intercept left pending.

        Returns 1, or where that curvature is so large that the model may go up, the part of the step that lowers it.
        """
        r, share = self.descent.r, self.descent.share
        v = np.asarray(X @ change)  # [n, T]
        r[:, : self.n] += v.T if share is None else share * v.T
        if self.centred:
            r[:, self.n] -= self.cache.means[self._rows(g)] @ change
        if self.descent.factor is None:
            return 1.0
        weighted = share[:, None] * v
        spread, plain = (weighted * v).sum(), (v * v).sum() / self.n
        if self.centred:  # in NumPy's numbers, whose overflow is inf
            spread -= weighted.sum() ** 2 / self.total
            plain -= (v.sum() / self.n) ** 2
        assumed = self._factor(g) * plain
        if plain > 0:
            low = 1e-3 * self.factor_limit
            self.descent.factor[g] = min(max(1.1 * float(spread / plain), low), self.factor_limit)
        return float(assumed / spread) if spread > 2 * assumed > 0 else 1.0

    # ---- sweeps and extrapolation

    def _sweep(self) -> None:
        self.moved = self.energy = 0.0
        for g in self.active:
            self.interrupted = self.interrupted or self.limits.ask()
            if self.interrupted:
                break
            self._update(int(g))
            self.visits += 1
            self.columns += int(self.store.groups.sizes[g])
        self.epochs += 1

    def _prepare_moved(self) -> None:
        """Eigenbases of the groups that are not 0, so that all iterates from here on are in the same."""
        for g in self.active:
            if self.descent.b[self._rows(int(g))].any():
                self.descent.prepare_block(int(g))

    def _cycle(self) -> None:
        K = self.limits.anderson
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        rows, first = positions(self.store, self.active), 0.0
        for e in range(self.limits.epochs_per_cycle):
            if K > 0 and e == self.limits.epochs_per_cycle - K:
                self._prepare_moved()
                kept.append((self.descent.b[rows], self.descent.r.copy()))
            self._sweep()
            first = self.moved if e == 0 else first
            if self.moved <= self.limits.settled or self.interrupted or self._should_look(first):
                return
            if 0 < len(kept) <= K:
                kept.append((self.descent.b[rows], self.descent.r.copy()))
        if K > 0 and len(kept) == K + 1:
            self._extrapolate(rows, kept)

    def _should_look(self, first: float) -> bool:
        """Whether a cycle ends for a look at the gap.  first: how far its first sweep moved."""
        target = self.limits.gap_target
        if self.kappa > 0 and self.kappa * self.energy**0.5 <= REACHES * target:
            return True
        return self.renewed and target >= 0 and self.moved <= NEW_GROUPS * first

    def _extrapolate(self, rows: np.ndarray, kept: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Anderson on the last K + 1 iterates, taken if the objective is lower."""
        b, r = (np.array(part) for part in zip(*kept, strict=True))
        differences = np.diff(r, axis=0).reshape(len(r) - 1, -1)
        gram = differences @ differences.T
        try:
            c = np.linalg.solve(gram + 1e-12 * np.trace(gram) * np.eye(len(gram)), np.ones(len(gram)))
        except np.linalg.LinAlgError:
            return
        c = c / c.sum()
        mixed_b, mixed_r = np.tensordot(c, b[1:], 1), np.tensordot(c, r[1:], 1)
        now, then = (self._loss(r_) + self._penalty_of(b_) for r_, b_ in ((r[-1], b[-1]), (mixed_r, mixed_b)))
        if then < now:
            self.descent.b[rows], self.descent.r[:] = mixed_b, mixed_r
            self.accepted += 1

    # ---- values

    def _whole(self, r: np.ndarray) -> np.ndarray:
        """[T, n], the residual times the share of each sample, the pending shift included."""
        share = self.descent.share
        if not self.centred:
            return r[:, : self.n]
        return r[:, : self.n] + r[:, self.n :][:, :1] * (1.0 if share is None else share)

    def _square(self, r: np.ndarray) -> float:
        """sum of share times the squared residual."""
        whole = self._whole(r)
        if self.descent.share is None:
            return float(np.vdot(whole, whole)) * self.total / self.n
        return float((whole * whole * self.descent.inverse).sum())

    def _loss(self, r: np.ndarray) -> float:
        return 0.5 * self._square(r)

    def _penalty(self, g: int, x: np.ndarray) -> float:
        if self.penalty.own is not None:
            return float(self.penalty.own(g).value(x if x.shape[1] > 1 else x[:, 0]))
        norm, strength = np.linalg.norm(x), float(self.penalty.strength[g])
        if self.penalty.positive and (x < 0).any():
            return np.inf
        rest = self.penalty.l1 * float(np.abs(x).sum()) + 0.5 * self.penalty.l2 * float(norm**2)
        return self.penalty.asked(VALUE, float(norm), strength, 0.0) + rest

    def _penalty_of(self, packed: np.ndarray) -> float:
        """Of the active groups, whose coefficients lie one after the other [rows, T]."""
        ends = np.cumsum(self.store.groups.sizes[self.active])
        blocks = np.split(packed, ends[:-1])
        return sum(self._penalty(int(g), x) for g, x in zip(self.active, blocks, strict=True))

    def _score(self, working: np.ndarray, scores: np.ndarray) -> None:
        """Scores of the working set from its gradients; sets the active groups and the gap."""
        self.active = working
        if self.penalty.own is not None:
            return
        penalty, every, swept, active = 0.0, (np.inf, 0.0), (np.inf, 0.0), []
        self.renewed = False
        for g in working:
            self.interrupted = self.interrupted or self.limits.ask()
            if self.interrupted:
                break
            X, strength = self._columns(g), float(self.penalty.strength[g])
            pull = self._pull(g, X)
            norm = above_norm(self.penalty, pull)
            reach = self._reach(pull, norm, strength)
            moves = self._norm(g) > 0
            known = self.epochs > 0 and (moves or scores[g] > 1)
            scores[g] = 1 / np.float64(reach)
            penalty += self._penalty(g, self.descent.b[self._rows(g)])
            above = self._left_to_dual(norm, reach, strength)
            every = min(every[0], above[0]), every[1] + above[1]
            if known:
                swept = min(swept[0], above[0]), swept[1] + above[1]
            if moves or reach < 1 or (not self.penalty.linear and norm > 0):
                active.append(g)
                self.renewed = self.renewed or not known
            self.columns += int(self.store.groups.sizes[g])
        self.active = np.array(active, dtype=np.int64)
        if self.descent.target is not None:
            self.gap = self._relative_gap(*every, penalty)
            if self.energy > 0:
                gap = self._relative_gap(*swept, penalty) if self.renewed else self.gap
                self.kappa = float(gap) / self.energy**0.5

    def _left_to_dual(self, norm: float, reach: float, strength: float) -> tuple[float, float]:
        """What a group leaves: the largest multiple of the residual, and its part of the conjugate of the penalty."""
        if self.penalty.l2 > 0:
            return np.inf, 0.5 * max(norm - strength, 0.0) ** 2 / self.penalty.l2
        return (reach if strength + self.penalty.l1 > 0 else np.inf), 0.0

    def _reach(self, pull: np.ndarray, norm: float, strength: float) -> float:
        """Largest multiple of the pull [k, T] at which the block would stay 0."""
        if self.penalty.entrywise:
            return entry_limit(self.penalty, pull, strength)
        return self.penalty.asked(SLOPE, 0.0, strength, 0.0) / norm if norm > 0 else np.inf

    def _relative_gap(self, limit: float, conjugate: float, penalty: float) -> float:
        """Duality gap over the working set, for the best feasible multiple of the residual as dual point."""
        square = self._square(self.descent.r)
        linear = float(np.vdot(self._whole(self.descent.r), self.descent.target[:, : self.n]))
        linear *= self.total / self.n if self.descent.share is None else 1.0
        alpha = 1.0
        if not self.penalty.l2 > 0:
            alpha = linear / square if square > 0 else 0.0
            alpha = min(max(alpha, 0.0 if self.penalty.positive else -limit), limit)
        primal = 0.5 * square + penalty
        dual = alpha * linear - 0.5 * alpha * alpha * square - conjugate
        return (primal - dual) / (primal if primal > 0 else 1.0)


def columns_at(store: ColumnStore, rows: np.ndarray) -> Any:
    """The columns of X at these increasing positions [k], dense or sparse; a view where they are neighbours."""
    if store.in_order and len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return store.X[:, rows[0] : rows[-1] + 1]
    return store.X[:, store.columns[rows]]


def positions(store: ColumnStore, groups: np.ndarray) -> np.ndarray:
    """Positions of the coefficients of these groups, one group after the other."""
    starts, sizes = store.offsets[groups], store.groups.sizes[groups]
    return np.repeat(starts - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) + np.arange(sizes.sum())


def gradient(store: ColumnStore, v: np.ndarray, need: np.ndarray | None, out: Any, ask: Callable[[], bool]) -> bool:
    """X' v by position, where v is [outputs, n + PADDING]; True when interrupted.

    need: [G] or None for all groups.  out: (pull [p, outputs], norms [G], squared Frobenius norms [G] or None).
    """
    pull, norms, squares = out
    groups = np.arange(store.groups.n_groups) if need is None else np.flatnonzero(need)
    for start in range(0, len(groups), AT_ONCE):
        if ask():
            return True
        chosen = groups[start : start + AT_ONCE]
        rows, sizes = positions(store, chosen), store.groups.sizes[chosen]
        X, starts = columns_at(store, rows), np.concatenate([[0], np.cumsum(sizes)[:-1]])
        pull[rows] = X.T @ v[:, : store.n].T
        norms[chosen] = np.sqrt(np.add.reduceat((pull[rows] ** 2).sum(axis=1), starts))
        if squares is not None:
            lengths = np.asarray(X.multiply(X).sum(axis=0)).ravel() if hasattr(X, "multiply") else _squares(X)
            squares[chosen] = np.add.reduceat(lengths, starts)
    return False


def _squares(X: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", X, X, dtype=np.float64)


def rotate(descent: Any, w: np.ndarray, out: np.ndarray, forward: bool) -> None:
    """Coefficients [p, outputs] by position into the eigenbases that are known (forward), or back."""
    store, cache = descent.store, descent.cache
    out[:] = w
    if descent.penalty.entrywise:
        return
    moved = np.logical_or.reduceat((w != 0).any(axis=1), store.offsets[:-1])
    for g in np.flatnonzero(moved & (cache.ready & BASIS_READY > 0)):
        rows, size = slice(int(store.offsets[g]), int(store.offsets[g + 1])), int(store.groups.sizes[g])
        basis = cache.basis[store.squares[g] : store.squares[g + 1]].reshape(size, size)
        out[rows] = (basis.T if forward else basis) @ w[rows]


def fit(store: ColumnStore, w: np.ndarray, z: np.ndarray) -> None:
    """z [outputs, n + PADDING] += X w for w [p, outputs] by position."""
    rows = np.flatnonzero((w != 0).any(axis=1))
    if len(rows):
        z[:, : store.n] += (columns_at(store, rows) @ w[rows]).T
