"""Good points for branch and bound: search over supports, then descent."""

from __future__ import annotations

import time

import numpy as np

from ..penalties import L0
from .relaxation import ConcaveModel

POLISH = 3000
"""Proximal gradient steps that polish an incumbent."""


class Incumbent:
    """The best point found so far.  w: [p].  value: its objective, in floats.

    deadline: time.perf_counter() at which searching and polishing end with what they have.
    """

    def __init__(self, model: ConcaveModel, w0: np.ndarray | None, deadline: float = np.inf) -> None:
        self.model, self.deadline = model, deadline
        self.w = np.zeros(len(model.b))
        self.value = model.objective(self.w)
        if w0 is not None:
            self.offer(np.asarray(w0, dtype=np.float64))
        for support in self._searched():
            self.offer(self._fitted(support))
        for start in self._spread():
            self._consider(self._polished(start))

    def offer(self, w: np.ndarray) -> None:
        """Take w [p], polished, if it is better."""
        if self.model.objective(w) < self.value - 1e-12 * abs(self.value):
            self._consider(w)
            self._consider(self._polished(w))

    def _consider(self, w: np.ndarray) -> None:
        value = self.model.objective(w)
        if value < self.value:
            self.w, self.value = w, value

    def _fitted(self, support: list[int]) -> np.ndarray:
        """Least squares on the support."""
        model = self.model
        columns = model.columns(np.array(sorted(support), dtype=int))
        w = np.zeros(len(model.b))
        if len(columns):
            w[columns] = np.linalg.lstsq(model.H[np.ix_(columns, columns)], model.b[columns], rcond=None)[0]
        return w

    def _cost(self, support: list[int]) -> float:
        """Quadratic at the fit plus the full penalties of the support."""
        w = self._fitted(support)
        return float(-self.model.b @ w / 2 + self.model.full[support].sum())

    def _searched(self) -> list[list[int]]:
        """Supports met by adding, dropping and swapping one group at a time until nothing improves."""
        model = self.model
        allowed = [g for g in range(len(model.flat)) if np.isfinite(model.penalty.strength[g])]
        fixed = [g for g in allowed if model.penalty.strength[g] == 0]
        current, seen = fixed, [fixed]
        cost = self._cost(current)
        while True:
            outside = [g for g in allowed if g not in current]
            removable = [g for g in current if g not in fixed]
            tries = [[*current, g] for g in outside] + [[h for h in current if h != g] for g in removable]
            tries += [[*(h for h in current if h != a), g] for a in removable for g in outside]
            costs = [self._cost(support) for support in tries if time.perf_counter() < self.deadline]
            if not costs or min(costs) >= cost - 1e-12 * abs(cost):
                return seen
            current, cost = tries[int(np.argmin(costs))], min(costs)
            seen.append(current)

    def _spread(self) -> list[np.ndarray]:
        """Starting points for descent: zero and ridge fits."""
        H, b = self.model.H, self.model.b
        mean = float(np.trace(H)) / len(b)
        ridges = [np.linalg.solve(H + r * mean * np.eye(len(b)), b) for r in (0.01, 0.1, 1.0, 10.0)] if mean > 0 else []
        return [np.zeros(len(b)), *ridges]

    def _polished(self, w: np.ndarray) -> np.ndarray:
        """Proximal gradient steps of length 1 / |H|, which never raise the objective."""
        model = self.model
        if isinstance(model.penalty.rho, L0):
            return self._fitted([int(g) for g in model.groups.active(w)])
        step = 1 / model.steepest
        for _ in range(POLISH):
            new = np.asarray(model.penalty.prox(w - step * (model.H @ w - model.b), step))
            if np.abs(new - w).max() <= 1e-15 * np.abs(new).max() or time.perf_counter() > self.deadline:
                return new
            w = new
        return w
