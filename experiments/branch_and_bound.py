"""Time of branch and bound against the number of groups: planted groups, signal-to-noise 5, l0, MCP and SCAD."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import sparseopt as so

from .runner import Part

PENALTIES = ("l0", "mcp", "scad")

TIMED = True
"""Rows are times: parts are computed one after another."""


@dataclass(frozen=True)
class Config:
    """seed: of the first instance.  groups: numbers of groups.  repeats: instances of each.

    size: of a group.  samples; active: true groups; signal_to_noise.  cost: penalty of a group in l0 in units of
    sigma^2 / (2 n), where a group of noise gains 3 on average; MCP and SCAD have the lam at which a group alone, with
    orthonormal columns, becomes non-zero at the same norm as in l0.  time_limit: seconds for one instance.
    """

    seed: int = 0
    groups: tuple[int, ...] = (10, 15, 20, 25, 30, 35, 40)
    repeats: int = 3
    size: int = 3
    samples: int = 100
    active: int = 5
    signal_to_noise: float = 5.0
    cost: float = 17.0
    time_limit: float = 120.0


def main(config: Config) -> Iterator[Part]:
    """One part for each penalty, number of groups and instance."""
    for kind in PENALTIES:
        for count in config.groups:
            for k in range(config.repeats):
                seed = config.seed + k
                yield Part(
                    f"{kind}/{count}/{seed}", lambda kind=kind, count=count, seed=seed: [row(config, kind, count, seed)]
                )


def instance(config: Config, kind: str, count: int, seed: int) -> tuple[so.Problem, list[int]]:
    """The problem, and its true groups."""
    rng = np.random.default_rng([seed, count])
    groups = so.Groups.uniform(count, config.size)
    X = rng.standard_normal((config.samples, groups.n_features))
    true = sorted(int(g) for g in rng.choice(count, config.active, replace=False))
    w = np.where(np.isin(groups.labels, true), rng.standard_normal(groups.n_features), 0.0)
    noise = float(np.sqrt((X @ w).var() / config.signal_to_noise))
    y = X @ w + noise * rng.standard_normal(config.samples)
    full = config.cost * noise**2 / (2 * config.samples)
    threshold = float(np.sqrt(2 * full))
    penalties = {
        "l0": lambda: so.GroupL0(full, groups, weights="none"),
        "mcp": lambda: so.GroupMCP(threshold, groups, gamma=3.0, weights="none"),
        "scad": lambda: so.GroupSCAD(threshold, groups, a=3.7, weights="none"),
    }
    return so.Problem(X, so.LeastSquares(y), penalties[kind]()), true


def row(config: Config, kind: str, count: int, seed: int) -> dict[str, Any]:
    """CPU seconds, nodes and the outcome of one search."""
    problem, true = instance(config, kind, count, seed)
    start = time.process_time()
    optimum = so.solvers.BranchAndBound(time_limit=config.time_limit).prove(problem)
    return {
        "type": "search",
        "penalty": kind,
        "n_groups": count,
        "instance": seed,
        "cpu_seconds": round(time.process_time() - start, 3),
        "nodes": optimum.nodes,
        "proved": optimum.proved,
        "objective": optimum.objective,
        "lower": optimum.lower,
        "n_active": len(problem.penalty.groups.active(optimum.w)),
        "true_groups_found": len(set(true) & set(problem.penalty.groups.active(optimum.w).tolist())),
    }
