"""Cost of one solve against the number of columns and of threads: n = 200, groups of 10, lambda_max / 10, gap 1e-6.

    python -m experiments.benchmarks.solver_cost [--columns 10000,100000] [--threads 1,2] [--repeats 3] [--seed 0]

Data are made once for each p.  Appends rows to out/bench/solver_cost.jsonl: wall and CPU seconds of the construction of
the problem and of `solve`, passes (columns of X read / p), and the largest part of the process memory that the solve
added, relative to X.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import scipy

import sparseopt as so
from sparseopt.provenance import revision

OUT = Path("out/bench/solver_cost.jsonl")
SAMPLES, SIZE, ACTIVE = 200, 10, 5
CHUNK = 10_000
"""Columns drawn at a time."""


def data(p: int, seed: int) -> tuple[np.ndarray, np.ndarray, so.Groups]:
    """X [n, p] column-major with independent normal entries, y [n] from ACTIVE groups and noise, the groups."""
    rng = np.random.default_rng([seed, p])
    X = np.empty((SAMPLES, p), order="F")
    for start in range(0, p, CHUNK):
        X[:, start : start + CHUNK] = rng.standard_normal((min(CHUNK, p - start), SAMPLES)).T
    groups = so.Groups.uniform(p // SIZE, SIZE)
    chosen = rng.choice(groups.n_groups, ACTIVE, replace=False)
    signal = sum(X[:, g * SIZE : (g + 1) * SIZE] @ rng.standard_normal(SIZE) for g in chosen)
    return X, signal + signal.std() / 3 * rng.standard_normal(SAMPLES), groups


def timed(X: np.ndarray, y: np.ndarray, groups: so.Groups, lam: float, threads: int) -> dict[str, Any]:
    """One construction and one solve."""
    wall, cpu = time.perf_counter(), time.process_time()
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(lam, groups))
    result = so.solve(problem, so.solvers.GroupBCD(threads=threads), tol=1e-6)
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall_seconds": round(seconds[0], 6),
        "cpu_seconds": round(seconds[1], 6),
        "passes": result.passes,
        "gap": result.gap,
        "n_active": int(result.history.n_active[-1]),
    }


def memory(X: np.ndarray, y: np.ndarray, groups: so.Groups, lam: float) -> float:
    """Largest memory that construction and solve allocate, relative to X."""
    tracemalloc.start()
    timed(X, y, groups, lam, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / X.nbytes


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", default="10000,100000,1000000")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    versions = {"sparseopt": so.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    stamp = {"study": "solver_cost", "revision": revision(), "versions": versions, "device": platform.machine()}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    for p in map(int, given.columns.split(",")):
        X, y, groups = data(p, given.seed)
        lam = so.lambda_max(so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))) / 10
        extra = memory(X, y, groups, lam)
        for threads in map(int, given.threads.split(",")):
            row = stamp | {"seed": given.seed, "n": SAMPLES, "p": p, "threads": threads, "extra_memory": extra}
            runs = [timed(X, y, groups, lam, threads) for _ in range(given.repeats)]
            row |= runs[0] | {key: [run[key] for run in runs] for key in ("wall_seconds", "cpu_seconds")}
            with OUT.open("a") as file:
                file.write(json.dumps(row) + "\n")
            best = min(row["wall_seconds"]), min(row["cpu_seconds"])
            print(f"p {p:8d}  threads {threads}  wall {best[0]:.4f} s  cpu {best[1]:.4f} s  passes {row['passes']:.2f}")
        del X
    print(f"appended to {OUT}")


if __name__ == "__main__":
    main()
