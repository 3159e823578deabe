"""An attack on a claimed global minimiser: points that might be lower, and descent that looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import sparseopt as so

Competitor = tuple[str, np.ndarray]


@dataclass(frozen=True)
class Search:
    """Competitors of a point with at most one active group.

    problem: a quadratic loss u'Hu/2 - b'u + constant with an InverseSum penalty.  H: [p, p].  b: [p].  point: [p].
    unit: what distances are measured in.  scales: distances of the random perturbations.  per_scale: how many of each.
    starts: dense starts of descent.  steps: limit on the steps of a descent.
    """

    problem: so.Problem
    H: np.ndarray
    b: np.ndarray
    point: np.ndarray
    unit: float
    scales: tuple[float, ...]
    per_scale: int
    starts: int
    steps: int

    def competitors(self, rng: np.random.Generator) -> Iterator[Competitor]:
        """Pairs of the name of the attack and a point [p]; every random number comes from `rng`."""
        yield "zero", np.zeros_like(self.point)
        dense = [(scale, self._perturbed(scale, rng)) for scale in self.scales for _ in range(self.per_scale)]
        yield from (("gaussian", u) for _, u in dense)
        singles, pairs = self._refits()
        yield from (("one other group", u) for u in singles)
        yield from (("two groups", u) for u in pairs)
        chosen = rng.choice(len(dense), size=min(self.starts, len(dense)), replace=False)
        for start in [*pairs, *singles, *(dense[i][1] for i in chosen)]:
            yield "local descent", descend(self.problem, start, self.steps)

    def _perturbed(self, scale: float, rng: np.random.Generator) -> np.ndarray:
        direction = rng.normal(size=len(self.point)) / np.sqrt(len(self.point))
        return self.point + scale * self.unit * direction

    def _refits(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Unpenalised minimisers over every other group alone, and over every other group with the active one."""
        groups = self.problem.penalty.groups
        active = set(groups.active(self.point).tolist())
        others = [g for g in range(groups.n_groups) if g not in active]
        return [self._refit([g]) for g in others], [self._refit([*active, g]) for g in others]

    def _refit(self, chosen: list[int]) -> np.ndarray:
        inside = np.concatenate([self.problem.penalty.groups.members(g) for g in chosen])
        u = np.zeros_like(self.point)
        u[inside] = np.linalg.lstsq(self.H[np.ix_(inside, inside)], self.b[inside], rcond=None)[0]
        return u


def descend(problem: so.Problem, start: np.ndarray, steps: int) -> np.ndarray:
    """Local descent on an InverseSum objective: proximal steps on its linearisation in the group norms.

    Around u the regulariser r = q^{-1}(sum q(a)) has the slopes dr/da_g = q'(a_g) / q'(r); a proximal gradient step on
    this weighted group LASSO is accepted when the true objective decreases, else halved.
    start: [p], halved until its objective is finite.  Returns [p], after at most `steps` steps, or where no step helps.
    """
    u = start
    while not np.isfinite(problem.objective(u)):
        u = u / 2
    value, step = problem.objective(u), 1 / problem.smoothness
    for _ in range(steps):
        u_next, next_value, step = _descent_step(problem, u, value, step)
        if not next_value < value:
            break
        u, value = u_next, next_value
    return u


def _descent_step(problem: so.Problem, u: np.ndarray, value: float, step: float) -> tuple[np.ndarray, float, float]:
    """The first of the halved steps that decreases the objective, with its value and length; u itself if none does."""
    groups, penalty = problem.penalty.groups, problem.penalty
    if not u.any():
        return u, value, step
    radius = np.array([float(penalty.value(u)) / penalty.lam])
    pull = penalty.lam * penalty.rho.slope(groups.norms(u)) / penalty.rho.slope(radius)
    gradient = problem.gradient(u)
    for length in 2 * step * 0.5 ** np.arange(30):
        v = u - length * gradient
        norms = groups.norms(v)
        shrunk = np.maximum(norms - length * pull, 0)
        trial = groups.scale(v, np.divide(shrunk, norms, out=np.zeros_like(norms), where=norms > 0))
        trial_value = problem.objective(trial)
        if trial_value < value:
            return trial, trial_value, float(length)
    return u, value, step
