"""Recovery of groups against samples and active groups: concave penalties against the group LASSO, paired; MCP proved.

Noiseless Gaussian designs.  Recovery: the `active` largest group norms are those of the true groups.  The group LASSO
is followed to a small strength; the concave penalties are its reweightings, started there.  For smaller problems branch
and bound proves the global minimum of MCP, so that it is known whether a solver reached it and whether it is the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import sparseopt as so
from theory.intervals import wilson

from .runner import Part

SMALL = 1e-3
"""Last strength of the group LASSO, and strength of the concave penalties, in units of lambda_max."""

BASE = "group LASSO"
CONCAVE = {
    "log-sum": lambda lam, groups: so.GroupLogSum(lam, groups, eps=0.1, weights="none"),
    "l_2/3": lambda lam, groups: so.GroupLq(lam, groups, 2 / 3, weights="none"),
    "MCP": lambda lam, groups: so.GroupMCP(lam, groups, gamma=3.0, weights="none"),
}
GREEDY = "group OMP"
METHODS = (BASE, *CONCAVE, GREEDY)


@dataclass(frozen=True)
class Config:
    """seed: of the instances.  instances: of each pair of samples and active groups.  per_part, per_proof: computed
    together, of the two kinds of rows.

    groups, size: of the designs.  samples: with `active` groups.  actives: with `fixed` samples.
    reweightings: of a concave penalty, at most.
    proved: instances on which MCP is solved to global optimality, with proved_groups and proved_active groups and
    proved_samples; lam: its strength in units of lambda_max.  node_limit: relaxations of a search.
    """

    seed: int = 0
    instances: int = 4
    per_part: int = 4
    per_proof: int = 2
    groups: int = 20
    size: int = 2
    active: int = 4
    samples: tuple[int, ...] = (10, 12, 14, 16, 18, 20, 22)
    actives: tuple[int, ...] = (2, 3, 5, 6, 7)
    fixed: int = 18
    reweightings: int = 8
    proved: int = 2
    proved_groups: int = 10
    proved_active: int = 2
    proved_samples: tuple[int, ...] = (5, 6, 8, 10, 14)
    lam: float = 0.1
    node_limit: int = 20_000


FULL = Config(instances=400, proved=200)


def main(config: Config) -> Iterator[Part]:
    """Parts of `per_part` instances of one shape."""
    shapes = [(m, config.active) for m in config.samples] + [(config.fixed, k) for k in config.actives]
    jobs = [("recovery", config.instances, config.per_part, *shape) for shape in dict.fromkeys(shapes)]
    jobs += [("optimality", config.proved, config.per_proof, m, config.proved_active) for m in config.proved_samples]
    for kind, count, together, m, k in jobs:
        for start in range(0, count, together):
            chosen = range(start, min(start + together, count))
            make = lambda kind=kind, m=m, k=k, chosen=chosen: [ROWS[kind](config, m, k, chosen)]  # noqa: E731
            yield Part(f"{kind}/{m}/{k}/{start}", make)


def instance(seed: int, m: int, groups: so.Groups, active: int, index: int) -> tuple[so.Problem, np.ndarray]:
    """The group LASSO [m, p] of any strength, and the truth [p]."""
    rng = np.random.default_rng([seed, m, groups.n_groups, active, index])
    X = rng.standard_normal((m, groups.n_features)) / np.sqrt(m)
    true = rng.choice(groups.n_groups, active, replace=False)
    w = np.where(np.isin(groups.labels, true), rng.standard_normal(groups.n_features), 0.0)
    return so.Problem(X, so.LeastSquares(X @ w), so.GroupLasso(1.0, groups, weights="none")), w


def recovery_row(config: Config, m: int, active: int, chosen: range) -> dict[str, Any]:
    """Method -> 0 or 1 for each instance: whether the largest groups are the true ones."""
    groups = so.Groups.uniform(config.groups, config.size)
    found: dict[str, list[int]] = {method: [] for method in METHODS}
    for index in chosen:
        problem, w = instance(config.seed, m, groups, active, index)
        true = top(w, groups, active)
        for method, estimate in estimates(problem, active, config.reweightings):
            found[method].append(int(top(estimate, groups, active) == true))
    return {"type": "recovery", "samples": m, "active": active, "instances": list(chosen), "recovered": found}


def estimates(problem: so.Problem, active: int, reweightings: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every method with its coefficients [p]."""
    groups, largest = problem.penalty.groups, so.lambda_max(problem)
    lams = largest * np.geomspace(1, SMALL, 10)
    lasso = so.solve_path(problem, lams=lams, tol=1e-6, throw=False)[-1].w
    yield BASE, lasso
    solver = so.solvers.ReweightedGroupLasso()
    for name, make in CONCAVE.items():
        concave = problem.with_penalty(make(SMALL * largest, groups))
        yield name, so.solve(concave, solver, w0=lasso, tol=1e-3, max_iter=reweightings, throw=False).w
    greedy = so.Problem(problem.X, problem.datafit, so.sets.TopGroups(active, groups))
    yield GREEDY, so.solve(greedy, so.solvers.GroupOMP(), throw=False).w


def top(w: np.ndarray, groups: so.Groups, k: int) -> list[int]:
    """The k groups of largest norm."""
    return sorted(np.argsort(-groups.norms(w), kind="stable")[:k].tolist())


def optimality_row(config: Config, m: int, active: int, chosen: range) -> dict[str, Any]:
    """For MCP: the proved minimum, whether its support is the truth's, and how far above it two solvers end.

    proved, truth: 0 or 1.  minimum: the proved objective.  reweighted, path: (objective - minimum) / minimum of the
    reweighting from the group LASSO, and of the path of MCP from lambda_max down.  lasso: whether it recovers.
    """
    groups = so.Groups.uniform(config.proved_groups, config.size)
    row: dict[str, list[Any]] = {
        name: [] for name in ("proved", "truth", "lasso", "minimum", "excess_reweighted", "excess_path")
    }
    for index in chosen:
        convex, w = instance(config.seed, m, groups, active, index)
        true, largest = top(w, groups, active), so.lambda_max(convex)
        problem = convex.with_penalty(CONCAVE["MCP"](config.lam * largest, groups))
        lasso = so.solve_path(convex, lams=largest * np.geomspace(1, SMALL, 10), tol=1e-6, throw=False)[-1].w
        reweighted = so.solve(problem, so.solvers.ReweightedGroupLasso(), w0=lasso, tol=1e-6, throw=False).w
        lams = largest * np.geomspace(1, config.lam, 12)
        path = so.solve_path(problem, lams=lams, tol=1e-6, throw=False)[-1].w
        optimum = so.solvers.BranchAndBound(node_limit=config.node_limit).prove(problem, reweighted)
        entries = (
            int(optimum.proved),
            int(groups.active(optimum.w).tolist() == true),
            int(top(lasso, groups, active) == true),
            round(optimum.objective, 9),
            *(round(problem.objective(u) / optimum.objective - 1, 6) for u in (reweighted, path)),
        )
        for name, entry in zip(row, entries, strict=True):
            row[name].append(entry)
    return {"type": "optimality", "samples": m, "active": active, "instances": list(chosen)} | row


ROWS = {"recovery": recovery_row, "optimality": optimality_row}


def recovery(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Over samples, active groups and method: trials, share recovered with its 95 % interval, and against the LASSO.

    wins, losses: instances that the method recovers and the group LASSO does not, and the other way round.
    """
    pooled: dict[tuple[int, int], dict[str, list[int]]] = {}
    for row in rows:
        if row["type"] == "recovery":
            cell = pooled.setdefault((row["samples"], row["active"]), {method: [] for method in METHODS})
            for method in METHODS:
                cell[method] += row["recovered"][method]
    table: dict[str, list[Any]] = {
        name: [] for name in ("samples", "active", "method", "trials", "share", "lower", "upper", "wins", "losses")
    }
    for ((m, k), cell), method in itertools.product(pooled.items(), METHODS):
        own, base = np.array(cell[method]), np.array(cell[BASE])
        wins, losses = int((own > base).sum()), int((own < base).sum())
        entries = (m, k, method, len(own), own.mean(), *wilson(int(own.sum()), len(own)), wins, losses)
        for name, entry in zip(table, entries, strict=True):
            table[name].append(entry)
    return table


REACHED = 1e-5
"""A solver counts as at the global minimum where its objective is above by less than this part."""


def optimality(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Over samples: of the instances with a proof, shares with their 95 % intervals.

    truth: the minimum of MCP has the true support.  reweighted, path: the solver ends at the minimum.  lasso: recovers.
    """
    pooled: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["type"] == "optimality":
            pooled.setdefault(row["samples"], []).append(row)
    shares = ("truth", "reweighted", "path", "lasso")
    table: dict[str, list[Any]] = {"samples": [], "trials": [], "proved": []}
    table |= {f"{name}{end}": [] for name in shares for end in ("", "_lower", "_upper")}
    for m, found in pooled.items():
        columns = {key: np.concatenate([row[key] for row in found]) for key in ("proved", "truth", "lasso")}
        columns |= {
            name: np.concatenate([row[f"excess_{name}"] for row in found]) < REACHED for name in ("reweighted", "path")
        }
        proved = columns["proved"] == 1
        table["samples"].append(m)
        table["trials"].append(len(proved))
        table["proved"].append(int(proved.sum()))
        for name in shares:
            wins, n = int((columns[name][proved] > 0).sum()), int(proved.sum())
            for end, entry in zip(("", "_lower", "_upper"), (wins / n, *wilson(wins, n)), strict=True):
                table[name + end].append(entry)
    return table
