# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""out/report.html: one page that says what was claimed, how it was checked, and what came out."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.runner import revision

from . import fig_branch_and_bound, fig_solver_cost, fig_two_groups
from .page import badge, facts, inline_figure, page, table
from .real_data import section as real_data_section
from .real_data import summary as real_data_summary
from .recorded import VERIFY, Recorded, prose
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
    "certified": "bounds that include every rounding error, a proof for the instance at hand; competitors and the "
    "worst margin beside them are compared in floating point, within the tolerance",
    "sampled": "evaluated at sampled points; evidence, not proof",
}


MEASURED = (fig_branch_and_bound.NAME, fig_solver_cost.NAME)
"""Figures of committed measurements."""

PRINTED = {
    "holds": "holds",
    "holds with a repair": "<b>holds with a repair</b>, which the statement above contains",
    "false as printed": "<b>false as printed</b>: the statement above says what is true instead",
    "not printed": "not in the paper: the statement is ours",
    "open": "open",
}

NO_FIGURE = "<p>There is no figure: its data are missing.</p>"


def write_report(recorded: Recorded, figures: Mapping[str, Any], path: Path) -> Path:
    """Write the page to `path`; the figures are read from out/figures, drawn before.  Returns the path.

    figures: theorem name -> figure module, with its TITLE and caption; a theorem without one is shown without figure.
    Raises ValueError when a file is missing.
    """
    folder = recorded.folder / "figures"
    inlined = {
        name: inline_figure(folder / f"{name}.svg", figure.TITLE, figure.caption(recorded))
        for name, figure in figures.items()
    }
    sections = [
        _summary(recorded),
        prose("terms.html") + _glossary(),
        *(_theorem(row, inlined.get(row["name"], NO_FIGURE)) for row in recorded.verdicts),
        real_data_section(recorded),
        _solvers([inlined[name] for name in fig_two_groups.FIGURES if name in inlined]),
        _measured([inlined[name] for name in MEASURED if name in inlined]),
        _reproduce(recorded),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    kicker = f'<p class="kicker">sparseopt · page made at revision {html.escape(revision())}</p>'
    header = f"{kicker}\n<h1>{TITLE}</h1>\n{prose('lead.html')}"
    path.write_text(page(f"sparseopt: {TITLE.lower()}", header, sections, _footer()), encoding="utf-8")
    return path


def verdict_badge(row: Mapping[str, Any]) -> str:
    """The verdict of a theorem, in green only when it is the one expected."""
    kind = "good" if row["ok"] else "bad"
    text = verdict_text(row) if row["ok"] else f"{verdict_text(row)}, expected {row['expected']}"
    return badge(text, kind)


def verdict_text(row: Mapping[str, Any]) -> str:
    """The verdict of a theorem, with the checks that could not run."""
    return row["verdict"] + (f", not run: {', '.join(row['not_run'])}" if row["not_run"] else "")


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
    heads = ("Claim", "Evidence", "#Instances", "#Hypotheses needed", "Worst margin (floating point)", "Verdict")
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
    command = (
        f"python -m theory verify {name} --level {html.escape(row['level'])} --n {row['n']} --seed {row['seed']} "
        f"--json out/again/{name}.json --curves out/again/curves"
    )
    return "\n".join([*parts, figure, f"<h3>Run it again</h3>\n<pre>{command}</pre>"])


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        ("Evidence", f"{plain(row['kind'])}: {html.escape(KINDS.get(row['kind'], ''))}"),
        (
            "Instances",
            f"{row['instances']:,} meet the hypotheses; drawn, but left out: {row['rejected']:,}",
        ),
        ("Worst margin", f"{_worst(row)}, at instance seed {row['worst_seed']}; a comparison in floating point"),
    ]
    if row.get("printed"):
        found.insert(0, ("Sentence of the paper", PRINTED.get(row["printed"], plain(row["printed"]))))
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
    found.append(("Run", f"seed {row['seed']}, level {plain(row['level'])}, {row['seconds']:.1f} s"))
    found.append(("Revision", _made_at(row["revision"])))
    return found


def _made_at(recorded: str) -> str:
    """A recorded revision, and the present one where it is another."""
    now = revision()
    return html.escape(recorded if recorded == now else f"{recorded} (the checkout is now at {now})")


def _listed(found: Mapping[str, str]) -> str:
    return html.escape(", ".join(f"{name} {version}" for name, version in found.items()))


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


def _solvers(figures: list[str]) -> str:
    """The constrained solvers in the plane."""
    return "\n".join(
        ['<h2 id="two-groups">The constrained solvers in the plane</h2>', prose("two_groups.html"), *figures]
    )


def _measured(figures: list[str]) -> str:
    """What solving and proving costs."""
    return "\n".join(['<h2 id="measured">What solving and proving costs</h2>', prose("measured.html"), *figures])


def _reproduce(recorded: Recorded) -> str:
    study = recorded.window[0]
    commands = (
        "# everything on this page\n"
        "make reproduce\n"
        "# the theorems: verdicts and curves\n"
        f"{VERIFY}\n"
        "# the study on real data\n"
        "python -m experiments run one_group_window\n"
        "# the solvers on two groups\n"
        "python -m experiments run two_groups\n"
        "# the times of branch and bound, and of the solver (with the peers), in out/experiments and out/bench\n"
        "python -m experiments run branch_and_bound\n"
        "make bench-solvers\n"
        "# figures and this page\n"
        "python -m paper_figures"
    )
    theorems = list(dict.fromkeys(_made_at(row["revision"]) for row in recorded.verdicts))
    libraries = list(dict.fromkeys(_listed(row["versions"]) for row in recorded.verdicts))
    pairs = [
        ("Revision of the theorems", "; ".join(theorems)),
        ("Versions of the theorems", "; ".join(libraries)),
        ("Revision of the study", _made_at(study["revision"])),
        ("Versions of the study", _listed(study["versions"])),
        ("Device of the study", html.escape(study["device"])),
    ]
    return f'<h2 id="reproduce">Reproduce</h2>\n<pre>{commands}</pre>\n{facts(pairs)}'


def _footer() -> str:
    return "<p>Made by <code>python -m paper_figures</code>. This file is complete in itself: it loads nothing.</p>"
