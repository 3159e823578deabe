"""How many critical points and local minima each penalty has, against lambda and dimension; MCP and SCAD exactly.

Random rational quadratics with groups of one.  MCP and SCAD: all critical points, in Fractions.  The others: local
minima that descent from many starts finds, lower bounds; for l_0, and for SMART with decay on supports of k, theory
says how many there are at least (one on each support whose fit is dense there), and that number is counted exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from theory.exact_lasso import ExactLasso
from theory.exact_linear import block, solve
from theory.open_questions.piecewise import Piecewise, mcp, scad

from .many_starts import Quadratic, concave_minima, log_sum, mask_minima, power, smart_minima
from .runner import Part

EPS_LOG = 0.1
GAMMAS = {"MCP, gamma = 1.2": Fraction(6, 5), "MCP, gamma = 3": Fraction(3)}
SCAD = "SCAD, a = 3.7"
CONCAVE = {"log-sum": log_sum(EPS_LOG), "l_1/2": power(0.5)}
SCAD_UP_TO = 5
"""Dimension up to which the 7^p pieces of SCAD are gone through."""


@dataclass(frozen=True)
class Config:
    """seed: of the quadratics.  instances: of each dimension.  dimensions: numbers of variables.

    shares: lambda in units of tau = max |b_i|, above which 0 is a critical point of MCP.  starts: Gaussian starts,
    beside the fits over all supports.  steps: of each descent.  rounds: of the alternation for SMART.
    """

    seed: int = 0
    instances: int = 2
    dimensions: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    shares: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5, 0.8, 2.0)
    starts: int = 48
    steps: int = 600
    rounds: int = 80


FULL = Config(instances=200, dimensions=(1, 2, 3, 4, 5, 6, 7, 8), starts=256, steps=6000, rounds=400)


def main(config: Config) -> Iterator[Part]:
    """A part for each instance."""
    for p, index in itertools.product(config.dimensions, range(config.instances)):
        yield Part(f"{p}/{index}", lambda p=p, index=index: [row(config, p, index)])


def instance(seed: int, p: int, index: int) -> ExactLasso:
    """H = (A'A + I) / (2 p + 1), A [p, p] with entries -2 ... 2, so that the diagonal is 1 on average; 4 b integer."""
    rng = np.random.default_rng([seed, p, index])
    while True:
        A = rng.integers(-2, 3, (p, p))
        H, b = A.T @ A + np.eye(p, dtype=int), rng.integers(-9, 10, p)
        if b.any():
            break
    rows = [[Fraction(int(v), 2 * p + 1) for v in row] for row in H]
    return ExactLasso(rows, [Fraction(int(v), 4) for v in b], Fraction(1))


def row(config: Config, p: int, index: int) -> dict[str, Any]:
    """Penalty -> counts over the shares.  exact: critical points and strict minima of MCP and SCAD.  found: minima.

    supports: number of supports whose fit is dense on them, by size; these are local minima of l_0 for every lambda.
    least_eigenvalue: of H.
    """
    loss = instance(config.seed, p, index)
    tau = max(abs(v) for v in loss.b)
    lams = [tau * Fraction(share).limit_denominator(10**6) + Fraction(1, 99991) for share in config.shares]
    floats = Quadratic(np.array(loss.H, dtype=float), np.array([float(v) for v in loss.b]))
    exact = {name: [_exact(loss, mcp(lam, gamma)) for lam in lams] for name, gamma in GAMMAS.items()}
    if p <= SCAD_UP_TO:
        exact[SCAD] = [_exact(loss, scad(lam, Fraction(37, 10))) for lam in lams]
    return {
        "type": "counts",
        "p": p,
        "instance": index,
        "least_eigenvalue": round(float(np.linalg.eigvalsh(floats.H)[0]), 9),
        "supports": dense_fits(loss),
        "exact": exact,
        "found": _found(config, floats, [float(lam) for lam in lams]),
    }


def _exact(loss: ExactLasso, pieces: Any) -> list[int]:
    """Critical points, strict local minima, and points on an edge of a piece, of which it is not known."""
    points = Piecewise(loss, pieces).screened
    return [len(points), sum(point.minimum for point in points), sum(point.boundary for point in points)]


def _found(config: Config, loss: Quadratic, lams: list[float]) -> dict[str, list[Any]]:
    p, found, rng = len(loss.b), {}, np.random.default_rng([config.seed, len(loss.b)])
    starts = loss.starts(rng, config.starts)
    dense = starts + 0.05 * np.abs(starts).max() * rng.standard_normal(starts.shape)
    for name, rho in CONCAVE.items():
        found[name] = [concave_minima(loss, rho, lam, starts, config.steps) for lam in lams]
    found["exp mask"] = [mask_minima(loss, lam, starts, config.steps) for lam in lams]
    found["SMART"] = [sum(smart_minima(loss, lam, kept(p), dense, config.rounds)) for lam in lams]
    return found


def kept(p: int) -> int:
    """Entries that SMART keeps: half of them, rounded up."""
    return (p + 1) // 2


def dense_fits(loss: ExactLasso) -> list[int]:
    """For each size s the number of supports of s variables whose least-squares fit has no zero, in Fractions."""
    p, counts = len(loss.b), []
    for s in range(p + 1):
        fits = (solve(block(loss.H, S), [loss.b[i] for i in S]) for S in itertools.combinations(range(p), s))
        counts.append(sum(fit is not None and all(fit) for fit in fits))
    return counts


def counts(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Over p, lambda / tau and penalty: mean and largest number of local minima; of critical points, where exact."""
    rows = list(rows)
    names = ("p", "lam_over_tau", "penalty", "instances", "mean", "largest", "mean_critical", "largest_critical")
    table: dict[str, list[Any]] = {name: [] for name in names}
    for p in sorted({row["p"] for row in rows}):
        chosen = [row for row in rows if row["p"] == p]
        for k, share in enumerate(chosen[0]["config"]["shares"]):
            series = {name: [row["exact"][name][k][:2][::-1] for row in chosen] for name in chosen[0]["exact"]}
            series |= {name: [(row["found"][name][k], 0) for row in chosen] for name in chosen[0]["found"]}
            series["l_0"] = [(sum(row["supports"]), 0) for row in chosen]
            series["SMART, proved"] = [(row["supports"][kept(p)], 0) for row in chosen]
            for name, entries in series.items():
                minima, critical = (np.array(column) for column in zip(*entries, strict=True))
                values = (len(chosen), minima.mean(), minima.max(), critical.mean(), critical.max())
                for column, value in zip(table, (p, share, name, *values), strict=True):
                    table[column].append(value)
    return table
