"""What benchmarks share: a process with one thread, a figure beside its bar, rows that say what they depend on."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from sparseopt._native import build_info
from sparseopt.provenance import revision

LIBRARIES = ("sparseopt", "torch", "numpy")


def one_thread(module: str, **settings: str) -> None:
    """Start `python -m module` with the same arguments again, unless OpenMP was given one thread when this began.

    settings: further variables of its environment.
    """
    if os.environ.get("OMP_NUM_THREADS") != "1":
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"OMP_NUM_THREADS": "1"} | settings)


def bar(what: str, figure: float, *, most: float | None = None, least: float | None = None) -> None:
    """Print a figure beside its bar, of which one is given."""
    limit, holds = (
        (f"at most {most:.3g}", figure <= most) if most is not None else (f"at least {least}", figure >= least)
    )
    print(f"{what:36}{figure:7.3f}   bar: {limit}, {'holds' if holds else 'MISSED'}")


def record(out: Path, config: Any, timings: dict[str, list[float]], device: str = "") -> None:
    """Append one row per contestant, with all its rounds, to out/bench/STUDY.jsonl; prints where.

    config: a dataclass.  timings: contestant -> seconds of each round.  device: the processor if not given.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    common = {
        "study": out.stem,
        "config": asdict(config),
        "revision": revision(),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "device": device or platform.processor() or platform.machine(),
        "isa": build_info()["isa"],
    }
    with out.open("a") as file:
        file.writelines(json.dumps(common | {"contestant": n, "seconds": s}) + "\n" for n, s in timings.items())
    print(f"appended to {out}")
