# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""The card of a theorem: statement, evidence, figure, what breaks without each hypothesis, and its code."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.runner import ROOT

from .page import badge, facts, folded, table
from .typeset import number, plain, sentence

PRINTED = {
    "holds": ("holds", "good", "the printed sentence holds as it stands"),
    "holds with a repair": ("with a repair", "mend", "it holds after the change that the statement here contains"),
    "false as printed": ("false", "bad", "it is false; the statement here says what is true instead, and why"),
    "not printed": ("ours", "note", "no paper prints it, or its text was not at hand: the statement is ours"),
    "open": ("open", "note", "the paper asks a question; the statement here is a partial answer"),
}
"""What is to be made of the sentence in the paper: its short name, its colour, what it means."""


def card(row: Mapping[str, Any], figure: str, folder: Path, now: str) -> str:
    """The card of one verdict row, with its figure; links to files are relative to `folder`, that of the page.

    now: the present revision.
    """
    name = html.escape(row["name"])
    parts = [
        f'<article class="card" id="{name}">',
        f'<p class="kicker">{badge(row["ledger"], "entry")} {plain(row["source"])}</p>',
        f'<h3><a href="#{name}">{plain(row["title"])}</a></h3>',
        f'<p class="statement">{sentence(row["statement"])}</p>',
        facts(_facts(row, folder)),
        figure,
        "<h4>Hypotheses, and what happens without them</h4>",
        table(("Hypothesis", "Without it", "Conclusion broken by", "Shown"), _hypotheses(row)),
        _fixed(row),
        _again(row, now),
        "</article>",
    ]
    return "\n".join(parts)


def printed_badge(row: Mapping[str, Any]) -> str:
    """What is to be made of the sentence in the paper, in a word or two."""
    word, kind, _ = PRINTED[row["printed"]]
    return badge(word, kind)


def verdict_badge(row: Mapping[str, Any]) -> str:
    """The verdict of a theorem, in green only when it is the one expected."""
    kind = "good" if row["ok"] else "bad"
    text = verdict_text(row) if row["ok"] else f"{verdict_text(row)}, expected {row['expected']}"
    return badge(text, kind)


def verdict_text(row: Mapping[str, Any]) -> str:
    """The verdict of a theorem, with the checks that could not run."""
    return row["verdict"] + (f", not run: {', '.join(row['not_run'])}" if row["not_run"] else "")


def worst(row: Mapping[str, Any]) -> str:
    """The worst margin and the tolerance."""
    margin, tolerance = number(row["worst_margin"]), number(row["tolerance"])
    return f'<span class="size">{margin}</span> <span class="size">(tolerance {tolerance})</span>'


def made_at(recorded: str, now: str) -> str:
    """A recorded revision, and the present one where it is another."""
    return html.escape(recorded if recorded == now else f"{recorded} (the checkout is now at {now})")


def source_files() -> dict[str, Path]:
    """Theorem -> its file, theory/<part>/<name>.py."""
    return {path.stem: path for path in sorted((ROOT / "theory").glob("*/*.py"))}


def _facts(row: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    instances = f"{row['instances']:,} meet the hypotheses; drawn, but left out: {row['rejected']:,}"
    margin = f"{worst(row)}, at instance seed {row['worst_seed']}; a comparison in floating point"
    found = [
        ("As printed", f"{printed_badge(row)} {html.escape(PRINTED[row['printed']][2])}"),
        ("As stated here", verdict_badge(row)),
        ("Evidence", f'<a href="#terms">{plain(row["kind"])}</a>'),
        ("Instances", instances),
        ("Worst margin", margin),
    ]
    if row.get("failure"):
        found.insert(0, ("What is wrong", plain(row["failure"])))
    if row.get("worst_claim"):
        found.append(("Its claim", plain(row["worst_claim"])))
    if row.get("certificates"):
        certificates = row["certificates"]
        found.append(("Certificates", f"{certificates['proved']:,} proved of {certificates['asked']:,} asked for"))
    if row.get("attacks"):
        attacks = row["attacks"]
        found.append(
            ("Attack", f"{attacks['tried']:,} competitors tried, {attacks['below']:,} below the claimed minimum")
        )
    found.append(("Hypotheses needed", f"{_separated(row)} shown by a counterexample"))
    return [*found, ("Code", _code(row["name"], folder))]


def _separated(row: Mapping[str, Any]) -> str:
    """How many of the necessary hypotheses were shown to be needed."""
    necessary = {h["name"] for h in row["hypotheses"] if h["necessary"]}
    shown = {c["drops"] for c in row["counterexamples"] if c["separated"]}
    return f"{len(necessary & shown)} of {len(necessary)}"


def _code(name: str, folder: Path) -> str:
    """Links to the files of the check and of the figure, where there are such files."""
    files = [source_files().get(name), ROOT / "paper_figures" / f"fig_{name}.py"]
    links = []
    for file in files:
        if file is not None and file.exists():
            target = Path(os.path.relpath(file, folder)).as_posix()
            links.append(f'<a href="{html.escape(target)}"><code>{file.relative_to(ROOT).as_posix()}</code></a>')
    return ", ".join(links) or "–"


def _hypotheses(row: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for hypothesis in row["hypotheses"]:
        what = f"<b>{plain(hypothesis['name'])}</b><br>{plain(hypothesis['statement'])}"
        dropped = [c for c in row["counterexamples"] if c["drops"] == hypothesis["name"]]
        for example in dropped:
            without = f"{plain(example['title'])}: {plain(example['why'])}"
            shown = badge("breaks", "good") if example["separated"] else badge("does not break", "bad")
            rows.append((what, without, _separation(example), shown))
            what = ""
        if not dropped:
            reason = plain(hypothesis["why"]) if hypothesis["why"] else "no counterexample"
            mark = badge("open", "bad") if hypothesis["necessary"] else badge("not necessary", "note")
            rows.append((what, reason, "–", mark))
    return rows


def _separation(example: Mapping[str, Any]) -> str:
    """The size of the break, and how many tolerances that is."""
    size, tolerance = example["separation"], example["tolerance"]
    if size is None:
        return "–"
    if not tolerance:
        return f"{number(size)}, exactly"
    exact = ", rational bounds" if example["exact"] else ""
    return f"{number(size)} = {number(size / tolerance)} tolerances{exact}"


def _fixed(row: Mapping[str, Any]) -> str:
    """Special and real instances, folded away where all of them passed."""
    if not row["fixed"]:
        return ""
    passed = sum(case["passed"] is True for case in row["fixed"])
    rows = [_fixed_row(case) for case in row["fixed"]]
    return folded(
        f"Special and real instances: {passed} of {len(rows)} passed",
        table(("Instance", "What is checked", "Worst margin", "Shown"), rows),
        shown=passed < len(rows),
    )


def _fixed_row(case: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Name, what is checked, margin with its tolerance where one is recorded, and whether it passed."""
    margin, tolerance = number(case["margin"]), case.get("tolerance")
    if tolerance is not None:
        margin += f" (tolerance {number(tolerance)})"
    mark = {True: badge("passed", "good"), False: badge("failed", "bad"), None: badge("not run", "note")}
    detail = plain(case["detail"])
    if case["margin"] is None:
        detail += f"; {plain(case['evidence'] or '')}"
    return plain(case["name"].replace("_", " ")), detail, margin, mark[case["passed"]]


def _again(row: Mapping[str, Any], now: str) -> str:
    """The command that makes the row again, with when and from what it was made."""
    name = html.escape(row["name"])
    command = (
        f"python -m theory verify {name} --level {html.escape(row['level'])} --n {row['n']} --seed {row['seed']} "
        f"--json out/again/{name}.json --curves out/again/curves"
    )
    run = f"seed {row['seed']}, level {plain(row['level'])}, {row['seconds']:.1f} s"
    pairs = facts([("Run", run), ("Revision", made_at(row["revision"], now))])
    return folded("Run it again", f"<pre>{command}</pre>\n{pairs}")
