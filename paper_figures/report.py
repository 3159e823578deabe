# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""out/report.html: one page that says what was claimed, how it was checked, and what came out."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.runner import revision, versions

from .page import badge, facts, inline_figure, page, table
from .real_data import section as real_data_section
from .real_data import summary as real_data_summary
from .recorded import Recorded, prose
from .typeset import number, plain, sentence

TITLE = "What was claimed, and what was checked"

VERDICTS = {
    "holds": (
        "good",
        "every instance meets the statement, and every necessary hypothesis has a counterexample without it",
    ),
    "fails": ("bad", "an instance that meets the hypotheses breaks the conclusion"),
    "vacuous": ("bad", "fewer than half of the drawn instances meet the hypotheses: little was tested"),
    "powerless": ("bad", "a hypothesis was dropped and nothing broke: the check would not notice an error"),
}

KINDS = {
    "closed form": "both sides are formulas, evaluated in floating point or in exact arithmetic",
    "certified": "bounds that include every rounding error; a proof for the instance at hand",
    "sampled": "evaluated at sampled points; evidence, not proof",
}


def write_report(recorded: Recorded, figures: Mapping[str, Any], path: Path) -> Path:
    """Write the page to `path`; the figures are read from out/figures, drawn before.  Returns the path.

    figures: theorem name -> figure module, with its TITLE and caption.  Raises ValueError when a file is missing.
    """
    folder = recorded.folder / "figures"
    inlined = {
        name: inline_figure(folder / f"{name}.svg", figure.TITLE, figure.caption(recorded))
        for name, figure in figures.items()
    }
    sections = [
        _summary(recorded),
        prose("terms.html") + _glossary(),
        *(_theorem(row, inlined.get(row["name"], "")) for row in recorded.verdicts),
        real_data_section(recorded),
        _reproduce(recorded),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    header = (
        f'<p class="kicker">sparseopt · revision {html.escape(revision())}</p>\n<h1>{TITLE}</h1>\n{prose("lead.html")}'
    )
    path.write_text(page(f"sparseopt: {TITLE.lower()}", header, sections, _footer()), encoding="utf-8")
    return path


def verdict_badge(row: Mapping[str, Any]) -> str:
    """The verdict of a theorem, in green only when it is the one expected."""
    kind = "good" if row["ok"] else "bad"
    text = row["verdict"] if row["ok"] else f"{row['verdict']}, expected {row['expected']}"
    return badge(text, kind)


def _summary(recorded: Recorded) -> str:
    rows = [
        (
            f'<a href="#{html.escape(row["name"])}">{plain(row["title"])}</a>',
            plain(row["kind"]),
            f"{row['instances']:,}",
            _separated(row),
            _worst(row),
            verdict_badge(row),
        )
        for row in recorded.verdicts
    ]
    heads = ("Claim", "Evidence", "#Instances", "#Hypotheses needed", "Worst margin", "Verdict")
    return '<h2 id="summary">Summary</h2>\n' + table(heads, [*rows, real_data_summary(recorded)])


def _separated(row: Mapping[str, Any]) -> str:
    """How many of the necessary hypotheses were shown to be needed."""
    necessary = {h["name"] for h in row["hypotheses"] if h["necessary"]}
    shown = {c["drops"] for c in row["counterexamples"] if c["separated"]}
    return f"{len(necessary & shown)} of {len(necessary)}"


def _worst(row: Mapping[str, Any]) -> str:
    return f"{number(row['worst_margin'])} (tolerance {number(row['tolerance'])})"


def _glossary() -> str:
    words = [(badge(word, kind), html.escape(meaning)) for word, (kind, meaning) in VERDICTS.items()]
    kinds = [(f"<b>{word}</b>", html.escape(meaning)) for word, meaning in KINDS.items()]
    return table(("Verdict", "Meaning"), words) + table(("Evidence", "Meaning"), kinds)


def _theorem(row: Mapping[str, Any], figure: str) -> str:
    name = html.escape(row["name"])
    parts = [
        f'<h2 id="{name}">{plain(row["title"])} {verdict_badge(row)}</h2>',
        f'<p class="kicker">{plain(row["source"])} · ledger {html.escape(row["ledger"])}</p>',
        f'<p class="statement">{sentence(row["statement"])}</p>',
        facts(_facts(row)),
        "<h3>Hypotheses, and what happens without them</h3>",
        table(("Hypothesis", "Without it", "Conclusion broken by", "Shown"), _hypotheses(row)),
    ]
    if row["fixed"]:
        parts += [
            "<h3>Special and real instances</h3>",
            table(("Instance", "What is checked", "Worst margin", "Shown"), _fixed(row)),
        ]
    command = f"python -m theory verify {name} --level {html.escape(row['level'])} --seed {row['seed']}"
    return "\n".join([*parts, figure, f"<h3>Run it again</h3>\n<pre>{command}</pre>"])


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        ("Evidence", f"{plain(row['kind'])}: {html.escape(KINDS.get(row['kind'], ''))}"),
        (
            "Instances",
            f"{row['instances']:,} meet the hypotheses; drawn, but left out: {row['rejected']:,}",
        ),
        ("Worst margin", f"{_worst(row)}, at instance seed {row['worst_seed']}"),
    ]
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
    found.append(("Run", f"seed {row['seed']}, level {plain(row['level'])}, {row['seconds']:.1f} s"))
    return found


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


def _fixed(row: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    return [_fixed_row(case) for case in row["fixed"]]


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


def _reproduce(recorded: Recorded) -> str:
    study = recorded.window[0]
    commands = (
        "make reproduce                                # everything on this page\n"
        "python -m theory verify                       # the theorems: verdicts and curves\n"
        "python -m experiments run one_group_window    # the study on real data\n"
        "python -m paper_figures                       # figures and this page"
    )
    pairs = [
        ("Revision", f"{html.escape(revision())} (page), {html.escape(study['revision'])} (study)"),
        ("Versions", html.escape(", ".join(f"{name} {version}" for name, version in versions().items()))),
        ("Device of the study", html.escape(study["device"])),
    ]
    return f'<h2 id="reproduce">Reproduce</h2>\n<pre>{commands}</pre>\n{facts(pairs)}'


def _footer() -> str:
    return "<p>Made by <code>python -m paper_figures</code>. This file is complete in itself: it loads nothing.</p>"
