"""sparseopt against its peers: CPU seconds of one thread at a relative gap of 1e-6 that is recomputed for everybody.

    python -m experiments.benchmarks.solvers [--instances A10,A100] [--solvers adelie,skglm] [--repeats 5]

The peers live in .venv-peers, made here from pinned packages, since one of them needs an older NumPy.  On each instance
ours runs before and after the peers, every solver in a process of its own, and the minimum counts.  Prints the ratio
best peer / ours, and appends the raw rows to out/bench/solvers.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np

import sparseopt
from sparseopt.provenance import revision

from .solver_instances import FAMILIES, parsed

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("solver_worker.py")
PEERS = ROOT / ".venv-peers"
PACKAGES = [
    "numpy<2",
    "scipy",
    "skglm==0.5",
    "celer==0.7.4",
    "adelie==1.1.52",
    "scikit-learn==1.9.1",
    "group-lasso==1.5.0",
    "abess==0.4.11",
]
OUT = Path("out/bench/solvers.jsonl")
BARS = {"A10": 3, "A100": 8, "C10": 3, "C100": 3, "S10": 8, "L10": 4.5, "M10": 4}
OTHER_SHAPES = {
    "B10": 4,
    "B100": 8,
    "E10": 4,
    "S100": 6,
    "V100": 6,
    "L30": 8,
    "K30": 8,
    "Apath": 4,
    "Bpath": 4,
    "Epath": 4,
}
TALL = "DTFGH"
"""Shapes with n >= 3 p besides C."""
DEFAULT = "A10,A100,B10,B100,C10,C100,D10,D100,E10,S10,S100,V10,L10,L30,K10,M10,M30,N10"
DEFAULT += ",F10,F100,G10,G100,H10,H100,T10,Cpath,Tpath"
TIMEOUT = 900.0
"""Seconds of one worker."""
ONE_THREAD = os.environ | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def peers_for(name: str) -> list[str]:
    """The solvers that treat an instance."""
    shape, strength = parsed(name)
    entries = shape.size == 1 and shape.kind in ("huber", "cox")
    if shape.kind == "multi":
        return ["skglm", "sklearn", "adelie"]
    if shape.kind in FAMILIES:
        return [*(["adelie"] if shape.kind != "huber" else []), *(["skglm"] if entries else [])]
    if strength == "path":
        return ["adelie", "adelie-cov"] if shape.kind == "ls" and shape.n >= 3 * shape.p else ["adelie"]
    if shape.kind != "ls":
        newton = ["skglm-newton"] if shape.density is None else []
        return ["adelie", *(["skglm"] if shape.kind == "logistic" else []), *newton]
    return ["adelie", "skglm", "celer", *(["sklearn"] if shape.size == 1 else [])]


def bar_of(name: str, peer: str) -> float:
    """Ratio wanted on an instance, against the best peer, which is this one; ours is never to be slower."""
    shape = name.partition("s")[0]  # without the seed
    if name.startswith(("random", *FAMILIES)):
        return 1
    if "path" in name and name[0] in TALL + "C":
        return 1.5 if peer == "adelie-cov" else 8
    return (BARS | OTHER_SHAPES).get(shape, 2.5 if name[0] in TALL else 1)


def peers_python() -> Path:
    """Interpreter of the environment of the peers, made at the first call and when the list of packages changed."""
    python, installed = PEERS / "bin" / "python", PEERS / "packages.txt"
    wanted = "\n".join(PACKAGES) + "\n"
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        print(f"==> making {PEERS.name}: {', '.join(PACKAGES)}", flush=True)
        venv.EnvBuilder(with_pip=True).create(PEERS)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        installed.write_text(wanted, encoding="utf-8")
    return python


def run(solver: str, instance: str, repeats: int, worker: Path = WORKER, timeout: float = TIMEOUT) -> dict[str, Any]:
    """One worker process; a row with an error where it fails or takes too long."""
    python = sys.executable if solver == "sparseopt" else str(peers_python())
    command = [python, str(worker), solver, instance, str(repeats)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True, env=ONE_THREAD)
        return json.loads(result.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"solver": solver, "instance": instance, "error": f"more than {timeout:g} seconds"}
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        return {"solver": solver, "instance": instance, "error": last[:200]}


def contest(
    instance: str, solvers: list[str], repeats: int, worker: Path = WORKER, timeout: float = TIMEOUT
) -> list[dict[str, Any]]:
    """Ours, the peers, ours again; a slow solver's failure does not stop the others."""
    return [run(solver, instance, repeats, worker, timeout) for solver in ("sparseopt", *solvers, "sparseopt")]


def stamp() -> dict[str, str]:
    """What every row carries besides its measurement."""
    return {"revision": revision(), "version": sparseopt.__version__, "machine": platform.processor() or "cpu"}


def best(rows: list[dict[str, Any]], ours: bool) -> tuple[float, str, float]:
    """Smallest CPU seconds among rows that reached the gap, the solver, and its gap; inf where there is none."""
    reached = [r for r in rows if (r["solver"] == "sparseopt") == ours and "error" not in r and r["gap"] <= 1e-6]
    if not reached:
        return np.inf, "none", np.nan
    row = min(reached, key=lambda r: min(r["seconds"]))
    return min(row["seconds"]), str(row["solver"]), float(row["gap"])


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", default=DEFAULT)
    parser.add_argument("--solvers", default="")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    arguments = parser.parse_args()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    print(f"{'instance':10} {'ours s':>9} {'gap':>8}  {'best peer':10} {'s':>9} {'gap':>8} {'ratio':>6} {'bar':>5}")
    for instance in arguments.instances.split(","):
        solvers = arguments.solvers.split(",") if arguments.solvers else peers_for(instance)
        rows = contest(instance, solvers, arguments.repeats, timeout=arguments.timeout)
        with OUT.open("a") as file:
            file.writelines(json.dumps(row | stamp()) + "\n" for row in rows)
        (mine, _, my_gap), (theirs, peer, gap) = best(rows, ours=True), best(rows, ours=False)
        ratio, bar = theirs / mine, bar_of(instance, peer)
        verdict = "" if ratio >= bar else " missed"
        figures = f"{mine:9.4f} {my_gap:8.1e}  {peer:10} {theirs:9.4f} {gap:8.1e} {ratio:6.2f}"
        print(f"{instance:10} {figures} {bar:>5g}{verdict}", flush=True)
        for row in rows:
            if "error" in row:
                print(f"    {row['solver']}: {row['error']}")
    print(f"appended to {OUT}")


if __name__ == "__main__":
    main()
