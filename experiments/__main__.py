"""Command line: `python -m experiments list`, `python -m experiments run NAME [--out FILE] [--SETTING VALUE ...]`."""

from __future__ import annotations

import argparse
import sys
import time
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .runner import ROOT, Run

STUDIES = ("one_group_window", "two_groups", "branch_and_bound")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 on success, 2 for a command that cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments", description="Studies on data, recorded as JSON lines."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the studies")
    run = commands.add_parser("run", help="run a study, or continue it; NAME --help lists its settings", add_help=False)
    run.add_argument("name")
    run.add_argument("--out", type=Path, help="file the rows are appended to (default out/experiments/NAME.jsonl)")
    known, settings = parser.parse_known_args(arguments)
    if known.command == "list":
        if settings:
            parser.error(f"list takes no arguments, but got {' '.join(settings)}")
        print("\n".join(f"{name}: {_summary(_study(name))}" for name in STUDIES))
        return 0
    if known.name not in STUDIES:
        return _unknown(known.name)
    return _run(known.name, known.out, settings)


def _run(name: str, out: Path | None, settings: list[str]) -> int:
    import tyro

    study = _study(name)
    config = tyro.cli(study.Config, prog=f"python -m experiments run {name}", args=settings)
    path = out or ROOT / "out" / "experiments" / f"{name}.jsonl"
    start = time.perf_counter()
    written = Run(study, config, path).execute()
    done = f"{written} new rows" if written else "nothing new, all rows were there"
    print(f"wrote {path} ({done}, {time.perf_counter() - start:.1f} s)")
    return 0


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
