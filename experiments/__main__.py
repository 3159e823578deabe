"""Command line: `python -m experiments list`, `python -m experiments run NAME [--full] [--out FILE] [--SETTING VALUE]`.

A run is spread over the cores of the machine, or over a Dask cluster (--backend dask [--address HOST:PORT]) or jobs of
SLURM (--backend slurm [--partition NAME] [--minutes M] [--per-job PARTS]).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType

from theory.extras import MissingExtra

from . import backends
from .backends import Backend
from .runner import ROOT, Run

STUDIES = (
    "one_group_window",
    "two_groups",
    "branch_and_bound",
    "phase_transition",
    "critical_points",
    "pruning_schedules",
    "smart_hypotheses",
)

COMMON = (
    "--out FILE, --full (start from the settings of a long run), --workers N, --backend joblib|dask|slurm; with them "
    "--address HOST:PORT (dask), --partition NAME, --minutes M and --per-job PARTS (slurm)"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 on success, 2 for a command that cannot be understood, 130 when interrupted."""
    parser = _parser()
    known, settings = parser.parse_known_args(arguments)
    if known.command == "list":
        if settings:
            parser.error(f"list takes no arguments, but got {' '.join(settings)}")
        print("\n".join(f"{name}: {_summary(_study(name))}" for name in STUDIES))
        return 0
    if known.name not in STUDIES:
        return _unknown(known.name)
    try:
        return _run(known, settings)
    except (MissingExtra, ValueError, OSError) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("experiments: interrupted; finished parts are kept: run it again", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments", description="Studies on data, recorded as JSON lines."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the studies")
    run = commands.add_parser(
        "run", help="run a study, or continue it; NAME --help lists its settings", add_help=False, allow_abbrev=False
    )
    run.add_argument("name")
    run.add_argument("--out", type=Path, help="file the rows are appended to (default out/experiments/NAME.jsonl)")
    run.add_argument("--full", action="store_true", help="start from the settings of a long run")
    run.add_argument("--backend", choices=backends.NAMES, default="joblib")
    run.add_argument("--workers", type=_positive, help="processes or jobs at a time (default: cores; 1 for times)")
    run.add_argument("--address", default="", help="of a Dask scheduler")
    run.add_argument("--partition", default="", help="of SLURM")
    run.add_argument("--minutes", type=_positive, default=60, help="limit of a SLURM job")
    run.add_argument("--per-job", type=_positive, default=8, help="parts of the study in a SLURM job")
    return parser


def _run(known: argparse.Namespace, settings: list[str]) -> int:
    import tyro

    name, study = known.name, _study(known.name)
    start_from = _full(study) if known.full else study.Config()
    about = f"{_summary(study)}  Every study also takes {COMMON}."
    prog = f"python -m experiments run {name}"
    config = tyro.cli(study.Config, prog=prog, description=about, args=settings, default=start_from)
    path = known.out or ROOT / "out" / "experiments" / f"{name}.jsonl"
    start = time.perf_counter()
    written = Run(study, config, path, _backend(known, study)).execute()
    done = f"{written} new rows" if written else "nothing new, all rows were there"
    print(f"wrote {path} ({done}, {time.perf_counter() - start:.1f} s)")
    return 0


def _backend(known: argparse.Namespace, study: ModuleType) -> Backend:
    workers = known.workers or (1 if getattr(study, "TIMED", False) else os.cpu_count() or 1)
    if known.backend == "dask":
        return backends.Dask(workers, known.address)
    if known.backend == "slurm":
        folder = ROOT / "out" / "slurm"
        return backends.Slurm(folder, workers, known.per_job, known.minutes, known.partition)
    return backends.Joblib(workers)


def _full(study: ModuleType) -> object:
    if not hasattr(study, "FULL"):
        raise ValueError(f"{study.__name__.rpartition('.')[2]} has one size only: run it without --full")
    return study.FULL


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer, e.g. 4")
    return int(text)


def _unknown(name: str) -> int:
    near = get_close_matches(name, STUDIES, n=1, cutoff=0.0)
    print(f"there is no study {name!r}; did you mean {near[0]!r}? Allowed: {', '.join(STUDIES)}", file=sys.stderr)
    return 2


def _study(name: str) -> ModuleType:
    return import_module(f".{name}", __package__)


def _summary(study: ModuleType) -> str:
    return (study.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
