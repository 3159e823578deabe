"""Which hypotheses of SMART's convergence hold along its trajectories, on random quadratics and on real data.

Weights and scores are learned together while the temperature falls (theory/open_questions/smart_trajectories.py).  The
annealing theorem (ledger B6) asks for a set of kept groups that settles, with a gap between the scores, and for masks
that close fast enough for the leak e_T sum e_s to vanish; each is observed, and so is what it is to give: an end near
the minimiser over the kept groups, which may be a best set or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import sparseopt as so
from sparseopt.soft_topk import ExponentialTemperature
from theory.intervals import wilson
from theory.open_questions.smart_trajectories import COLD, HOT, Trajectory, gap_margin, random_trajectory

from .runner import Part

KEPT_GROUPS = 3
"""Groups that are kept of the real data."""

RANDOM = "random"
NEAR = 0.1
"""The end is near the minimiser over the kept groups within this part of the norm of the latter."""

HELD = ("settled", "gap", "leak", "near", "best", "best_magnitude")


@dataclass(frozen=True)
class Config:
    """seed: of quadratics and starts.  runs: trajectories of each kind.  per_part: computed together.

    steps: lengths of the trajectories, each from temperature 1/2 to 1/500.  datasets: names in sparseopt.datasets.
    """

    seed: int = 0
    runs: int = 8
    per_part: int = 8
    steps: tuple[int, ...] = (3, 10, 30, 100, 300, 1000)
    datasets: tuple[str, ...] = ("diabetes", "breast_cancer")


FULL = Config(runs=1000, steps=(3, 10, 30, 100, 300, 1000, 3000))


def main(config: Config) -> Iterator[Part]:
    """Parts of `per_part` trajectories of one length."""
    for source in (RANDOM, *config.datasets):
        for steps in config.steps:
            for start in range(0, config.runs, config.per_part):
                chosen = range(start, min(start + config.per_part, config.runs))
                make = lambda source=source, steps=steps, chosen=chosen: [row(config, source, steps, chosen)]  # noqa: E731
                yield Part(f"{source}/{steps}/{start}", make)


def row(config: Config, source: str, steps: int, chosen: range) -> dict[str, Any]:
    """What holds along each of the trajectories, 0 or 1; changed: last step, as a part of all, that changed the set."""
    found: dict[str, list[Any]] = {name: [] for name in (*HELD, "changed")}
    for index in chosen:
        rng = np.random.default_rng([config.seed, index])
        case = random_trajectory(rng, steps) if source == RANDOM else real_trajectory(rng, source, steps)
        for name, value in observed(case).items():
            found[name].append(value)
    return {"type": "trajectories", "source": source, "steps": steps, "runs": list(chosen)} | found


@lru_cache
def quadratic(name: str) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """H [p, p] with largest eigenvalue 1, b whose minimiser has norm 2 sqrt(p), and the sizes of the groups.

    A hundredth of the identity is added to H, so that it is well conditioned, as the random ones are.
    """
    makers = {make.__name__: make for make in (so.datasets.diabetes, so.datasets.breast_cancer, so.datasets.digits)}
    if name not in makers:
        raise ValueError(f"there is no data set {name!r}: allowed are {', '.join(makers)}")
    data = makers[name]()
    H, b = data.X.T @ data.X, data.X.T @ data.y
    H = H / np.linalg.eigvalsh(H)[-1] + 0.01 * np.eye(len(b))
    H = (H + H.T) / (2 * np.linalg.eigvalsh(H)[-1])
    size = np.linalg.norm(np.linalg.solve(H, b))
    return H, b * (2 * np.sqrt(len(b)) / size), tuple(int(size) for size in data.groups.sizes)


def real_trajectory(rng: np.random.Generator, name: str, steps: int) -> Trajectory:
    """On the least-squares loss of a data set, from a Gaussian start."""
    H, b, sizes = quadratic(name)
    start, scores = rng.standard_normal(len(b)), 0.1 * rng.standard_normal(len(sizes))
    return Trajectory(H, b, start, scores, steps, KEPT_GROUPS, sizes)


def observed(case: Trajectory) -> dict[str, Any]:
    """The hypotheses, the end, and whether the kept set is best (or that of the largest groups of the dense fit).

    settled: the kept set does not change in the last half.  gap: there the k-th score leads by ten final temperatures.
    leak: e_T sum e_s <= NEAR, e_s = min(1, sqrt(k) e^(-D / (2 tau_s))) with the gap D of that step.
    """
    w, m, f = case.run
    ordered = -np.sort(-m, axis=1)
    gaps = ordered[:, case.k - 1] - ordered[:, case.k]
    tau = np.array([ExponentialTemperature(HOT, COLD, case.steps)(t) for t in range(case.steps + 1)])
    leaks = np.minimum(1.0, np.sqrt(case.k) * np.exp(-gaps / (2 * tau)))
    target = case.fit(case.kept)
    off = np.linalg.norm(case.groups.spread(f[-1]) * w[-1] - target) / max(float(np.linalg.norm(target)), 1e-12)
    dense = case.fit(np.ones(len(case.b), dtype=bool))
    largest = np.argsort(-case.groups.norms(dense), kind="stable")[: case.k]
    tops = np.sort(np.argsort(-m, axis=1, kind="stable")[:, : case.k], axis=1)
    changes = np.nonzero((np.diff(tops, axis=0) != 0).any(axis=1))[0]
    best = case.best_value + 1e-12 * (1 + abs(case.best_value))
    return {
        "settled": int(case.changes == 0),
        "gap": int(gap_margin(case) > 0),
        "leak": int(leaks[-1] * leaks.sum() <= NEAR),
        "near": int(off <= NEAR),
        "best": int(case.optimal),
        "best_magnitude": int(case.value(case.fit(case.members(largest))) <= best),
        "changed": round(float(changes[-1] + 1) / case.steps, 6) if len(changes) else 0.0,
    }


def shares(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Over source and steps: share of trajectories on which each hypothesis holds, with its 95 % interval.

    all, near_given_all: the three hypotheses together, and how many of those trajectories end near the minimiser.
    """
    pooled: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        pooled.setdefault((row["source"], row["steps"]), []).append(row)
    table: dict[str, list[Any]] = {
        name: [] for name in ("source", "steps", "what", "trials", "share", "lower", "upper")
    }
    for (source, steps), found in pooled.items():
        columns = {name: np.concatenate([row[name] for row in found]) for name in HELD}
        together = columns["settled"] & columns["gap"] & columns["leak"]
        held = {**columns, "all": together, "near_given_all": columns["near"][together == 1]}
        for name, values in held.items():
            n, wins = len(values), int(values.sum())
            interval = (wins / n, *wilson(wins, n)) if n else (float("nan"),) * 3
            for column, value in zip(table, (source, steps, name, n, *interval), strict=True):
                table[column].append(value)
    return table
