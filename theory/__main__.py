"""python -m theory: list the theorems, or verify them."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from . import THEOREMS, Theorem
from .check import FAILS, Request, check_all
from .extras import MissingExtra
from .pool import in_order
from .record import Cache, curve_rows, row, verdict_text, write_curve, write_json

CACHE = Path("out/theory/cache")
LEVELS = ("quick", "standard", "full")
DIGITS = 18
"""Numbers of the command line have at most so many."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """One sentence, exit status 2."""
        self.exit(2, f"theory: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 where a verdict is unexpected, 2 for bad arguments or paths,
    130 for an interrupt, 141 for a closed standard output, as the shell has them.
    """
    options = _parser().parse_args(arguments)
    try:
        status = _list(options) if options.command == "list" else _verify(options)
        sys.stdout.flush()  # here, and not when the interpreter ends, a closed pipe can be met
        return status
    except BrokenPipeError:  # the reader of standard output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m theory", description="Theorems as executable checks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | verify")
    listing = commands.add_parser("list", help="what is stated, and with which kind of evidence it is checked")
    listing.add_argument("names", nargs="*", metavar="NAME", help="theorems to show, with hypotheses (default: all)")
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
    verify.add_argument("--workers", type=_positive, default=None, help="processes (default: all cores)")
    return parser


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a non-negative integer up to {DIGITS} digits, e.g. 0")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a positive integer up to {DIGITS} digits, e.g. 100")
    return int(text)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= DIGITS else f"{text[:DIGITS]!r}... ({len(text)} characters)"


def _list(options: argparse.Namespace) -> int:
    try:
        theorems = _selected(options.names)
    except ValueError as error:
        print(f"theory: {error}", file=sys.stderr)
        return 2
    if options.json:
        keys = ("name", "ledger", "title", "source", "kind", "printed", "statement")
        rows = [{key: getattr(t, key) for key in keys} | {"verdict": t.expected} for t in theorems]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    rows = [[t.name, t.ledger, t.kind, t.expected, t.printed] for t in theorems]
    _table(["name", "ledger", "kind", "expected", "as printed"], rows)
    for theorem in theorems:
        print(f"\n{theorem.name}: {theorem.title}\n  {theorem.statement}\n  Source: {theorem.source}")
        if options.names:
            _print_hypotheses(theorem)
    return 0


def _print_hypotheses(theorem: Theorem) -> None:
    """Each with what happens without it."""
    broken = {case.drops: f"without it, {case.title}: {case.why}" for case in theorem.counterexamples}
    for hypothesis in theorem.hypotheses:
        fate = broken.get(hypothesis.name, f"not necessary: {hypothesis.why}")
        print(f"  Hypothesis {hypothesis.name}: {hypothesis.statement}\n    {fate}")


def _verify(options: argparse.Namespace) -> int:
    try:
        theorems = _selected(options.names)
        _check_writable(options)
        rows, reused = _rows(options, theorems)
        written = _write_curves(options, rows) if options.curves else []
        if options.json:
            written.append(options.json)
            write_json(options.json, rows)
    except BrokenPipeError:
        raise
    except OSError as error:
        kept = f"what is finished is kept in {options.cache}"
        print(f"theory: cannot write {error.filename}: {error.strerror}; {kept}", file=sys.stderr)
        return 2
    except (ValueError, MissingExtra) as error:
        print(f"theory: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"theory: interrupted; what is finished is kept in {options.cache}: run it again", file=sys.stderr)
        return 130
    _summary(rows, reused, written, options.cache)
    return 0 if all(r["ok"] for r in rows) else 1


def _rows(options: argparse.Namespace, theorems: Sequence[Theorem]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the theorems, each kept in the cache once it is finished; and the names of those found there."""
    cache, keys = Cache.at(options.cache), {t.name: _request(options, t) for t in theorems}
    rows = {t.name: cache.find(t.name, keys[t.name]) for t in theorems}
    reused = [name for name, found in rows.items() if found]
    missing = [t for t in theorems if not rows[t.name]]
    requests = [Request(t, _instances(options, t), options.seed, options.allow_missing) for t in missing]
    progress = sys.stderr.isatty()
    for done, report in enumerate(check_all(requests, workers=_workers(options), progress=progress), start=1):
        name = report.theorem.name
        rows[name] = row(report, options.level)
        if report.ok:
            cache.store(name, keys[name], rows[name])
        if not progress:
            print(f"checked {name}, {done} of {len(missing)}", file=sys.stderr, flush=True)
    return list(rows.values()), reused


def _workers(options: argparse.Namespace) -> int:
    return options.workers or os.cpu_count() or 1


def _write_curves(options: argparse.Namespace, rows: list[dict[str, Any]]) -> list[Path]:
    """Write the figure data in the place of older ones; their paths.  A row whose data cannot be made fails."""
    cache, request = Cache.at(options.cache), {"curves": options.seed}
    theorems = {t.name: t for t in THEOREMS}
    found = {r["name"]: cache.find(f"{r['name']}.curves", request) for r in rows}
    missing = [name for name, curves in found.items() if curves is None]
    calls = [partial(_curves_or_problem, theorems[name], options.seed) for name in missing]
    problems = {}
    for name, made in zip(missing, in_order(calls, missing, _workers(options), sys.stderr.isatty()), strict=True):
        found[name], problems[name] = made.value
        if not problems[name]:
            cache.store(f"{name}.curves", request, found[name])
    for r in rows:
        if problems.get(r["name"]):
            r |= {"verdict": FAILS, "ok": False, "failure": r["failure"] or problems[r["name"]]}
    return [path for name, curves in found.items() for path in _replace_curves(options.curves, name, curves or {})]


def _curves_or_problem(theorem: Theorem, seed: int) -> tuple[Any, str]:
    try:
        return curve_rows(theorem, seed), ""
    except Exception as error:
        return None, f"the figure data cannot be made: {type(error).__name__}: {error}"


def _replace_curves(folder: Path, name: str, curves: dict[str, Any]) -> list[Path]:
    for old in folder.glob(f"{name}.*.csv"):
        old.unlink()
    paths = [folder / f"{name}.{curve}.csv" for curve in curves]
    for path, columns in zip(paths, curves.values(), strict=True):
        write_curve(path, columns)
    return paths


def _request(options: argparse.Namespace, theorem: Theorem) -> dict[str, Any]:
    numbers = {"seed": options.seed, "n": _instances(options, theorem)}
    return numbers | {"level": options.level, "allow_missing": options.allow_missing}


def _instances(options: argparse.Namespace, theorem: Theorem) -> int:
    return options.n or theorem.sizes[options.level]


def _selected(names: Sequence[str]) -> list[Theorem]:
    known = [theorem.name for theorem in THEOREMS]
    for name in names:
        if name not in known:
            entry = [theorem.name for theorem in THEOREMS if theorem.ledger == name.upper()]
            nearest = entry or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are {', '.join(known)}"
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
    header = [
        "theorem",
        "verdict",
        "kind",
        "instances",
        "rejected",
        "worst margin",
        "tolerance",
        "worst seed",
        "seconds",
    ]
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
