"""python -m theory: list the theorems, or verify them."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import THEOREMS, Theorem, check
from .check import FAILS
from .record import Cache, curve_rows, row, verdict_text, write_curve, write_json

CACHE = Path("out/theory/cache")
LEVELS = ("quick", "standard", "full")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"theory: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 where a verdict is unexpected, 2 for bad arguments."""
    options = _parser().parse_args(arguments)
    return _list(options) if options.command == "list" else _verify(options)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m theory", description="Theorems as executable checks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | verify")
    listing = commands.add_parser("list", help="what is stated, and with which kind of evidence it is checked")
    listing.add_argument("--json", action="store_true", help="a JSON list of objects")
    verify = commands.add_parser("verify", help="check the theorems; exit status 1 if a verdict is unexpected")
    verify.add_argument("names", nargs="*", metavar="NAME", help="theorems to check (default: all)")
    verify.add_argument("--level", choices=LEVELS, default="standard", help="how many instances (default: standard)")
    verify.add_argument("--seed", type=_natural, default=0, help="a non-negative integer (default: 0)")
    verify.add_argument("--n", type=_positive, default=None, help="instances of each theorem (default: by level)")
    verify.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    verify.add_argument("--curves", type=Path, metavar="DIR", help="write the figure data there")
    verify.add_argument("--allow-missing", action="store_true", help="accept checks that need a library not installed")
    verify.add_argument("--cache", type=Path, metavar="DIR", default=CACHE, help=f"finished results (default: {CACHE})")
    verify.add_argument("--workers", type=_positive, default=None, help="processes (default: quick 1, else all cores)")
    return parser


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a non-negative integer, e.g. 0")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer, e.g. 100")
    return int(text)


def _list(options: argparse.Namespace) -> int:
    if options.json:
        keys = ("name", "ledger", "title", "source", "kind", "statement")
        rows = [{key: getattr(t, key) for key in keys} | {"verdict": t.expected} for t in THEOREMS]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    _table(["name", "ledger", "kind", "expected"], [[t.name, t.ledger, t.kind, t.expected] for t in THEOREMS])
    for theorem in THEOREMS:
        print(f"\n{theorem.name}: {theorem.title}\n  {theorem.statement}\n  Source: {theorem.source}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    try:
        theorems = _selected(options.names)
        _check_writable(options)
    except ValueError as error:
        print(f"theory: {error}", file=sys.stderr)
        return 2
    cache = Cache.at(options.cache)
    rows, written, reused = [], [], []
    for theorem in theorems:
        print(f"checking {theorem.name}", file=sys.stderr, flush=True)
        request = _request(options, theorem)
        found, stored = cache.get(theorem.name, request, lambda t=theorem: _run(options, t), lambda r: r["ok"])
        reused += [theorem.name] * stored
        if options.curves:
            paths, problem = _write_curves(options, theorem, cache)
            written += paths
            found |= {"verdict": FAILS, "ok": False, "failure": found["failure"] or problem} if problem else {}
        rows.append(found)
    if options.json:
        written.append(options.json)
        write_json(options.json, rows)
    _summary(rows, reused, written, options.cache)
    return 0 if all(r["ok"] for r in rows) else 1


def _write_curves(options: argparse.Namespace, theorem: Theorem, cache: Cache) -> tuple[list[Path], str]:
    """Write the figure data in the place of older ones; their paths, and what went wrong."""
    for old in options.curves.glob(f"{theorem.name}.*.csv"):
        old.unlink()
    try:
        request = {"curves": options.seed}
        curves, _ = cache.get(f"{theorem.name}.curves", request, lambda: curve_rows(theorem, options.seed))
    except Exception as error:
        return [], f"the figure data cannot be made: {type(error).__name__}: {error}"
    paths = [options.curves / f"{theorem.name}.{curve}.csv" for curve in curves]
    for path, columns in zip(paths, curves.values(), strict=True):
        write_curve(path, columns)
    return paths, ""


def _request(options: argparse.Namespace, theorem: Theorem) -> dict[str, Any]:
    numbers = {"seed": options.seed, "n": _instances(options, theorem)}
    return numbers | {"level": options.level, "allow_missing": options.allow_missing}


def _instances(options: argparse.Namespace, theorem: Theorem) -> int:
    return options.n or theorem.sizes[options.level]


def _run(options: argparse.Namespace, theorem: Theorem) -> dict[str, Any]:
    workers = options.workers or (1 if options.level == "quick" else os.cpu_count() or 1)
    choices = {"workers": workers, "progress": sys.stderr.isatty(), "allow_missing": options.allow_missing}
    return row(check(theorem, _instances(options, theorem), options.seed, **choices), options.level)


def _selected(names: Sequence[str]) -> list[Theorem]:
    known = [theorem.name for theorem in THEOREMS]
    for name in names:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
            raise ValueError(f"there is no theorem {name!r}: {hint}")
    return [theorem for theorem in THEOREMS if not names or theorem.name in names]


def _check_writable(options: argparse.Namespace) -> None:
    """Find out before the work whether its results can be written."""
    if options.json and options.json.is_dir():
        raise ValueError(f"cannot write {options.json}: it is a directory, give a file name")
    for folder in filter(None, (options.cache, options.curves, options.json and options.json.parent)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"cannot write to {folder}: {error.strerror}; give another path") from None
        if not os.access(folder, os.W_OK):
            raise ValueError(f"cannot write to {folder}: permission denied; give another path")


def _summary(rows: list[dict[str, Any]], reused: list[str], written: list[Path], cache: Path) -> None:
    header = ["theorem", "verdict", "kind", "instances", "rejected", "worst margin", "tolerance", "seed", "seconds"]
    keys = ["name", "verdict", "kind", "instances", "rejected", "worst_margin", "tolerance", "worst_seed", "seconds"]
    _table(header, [[_cell(r[key]) for key in keys] for r in (r | {"verdict": verdict_text(r)} for r in rows)])
    for r in rows:
        if r["certificates"]:
            print(f"{r['name']}: {r['certificates']['proved']} of {r['certificates']['asked']} certificates proved")
        if r["attacks"]:
            print(f"{r['name']}: {r['attacks']['tried']} competitors tried, {r['attacks']['below']} below")
        if not r["ok"]:
            print(
                f"{r['name']}: {verdict_text(r)}, expected {r['expected']}" + f"; {r['failure']}" * bool(r["failure"])
            )
        for case in r["fixed"]:
            if not case["passed"]:
                print(f"{r['name']}: {case['name']}: {case['evidence']}")
        for case in r["counterexamples"]:
            if not case["separated"]:
                print(f"{r['name']}: the counterexample {case['title']!r} does not separate")
    if reused:
        print(f"reused finished results of {', '.join(reused)} from {cache}")
    for path in written:
        print(f"wrote {path}")


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def _table(header: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    for line in (header, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
