"""out/report.html: one page that says what was claimed, how it was checked, and what came out."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.runner import revision

from . import fig_branch_and_bound, fig_solver_cost, fig_two_groups, studies
from .cards import PRINTED, card, made_at, printed_badge, source_files, verdict_badge, worst
from .page import badge, facts, inline_figure, page, table
from .real_data import section as real_data_section
from .real_data import summary as real_data_summary
from .recorded import VERIFY, Recorded, prose
from .typeset import plain

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

PARTS = {
    "sequential_attention": "SequentialAttention++",
    "smart": "SMART",
    "admm_patterns": "ADMM pattern pruning and SR-STE",
    "solvers": "Guarantees of the solvers",
    "open_questions": "Open questions",
}
"""Folder of theory -> title; a folder that is not listed is shown under its own name, without a text about it."""

MEASURED = (fig_branch_and_bound.NAME, fig_solver_cost.NAME)
"""Figures of committed measurements."""

NO_FIGURE = "<p>There is no figure: its data are missing.</p>"


def write_report(recorded: Recorded, figures: Mapping[str, Any], path: Path) -> Path:
    """Write the page to `path`; the figures are read from out/figures, drawn before.  Returns the path.

    figures: theorem name -> figure module, with its TITLE and caption; a theorem without one is shown without figure.
    Raises ValueError when a file is missing.
    """
    folder, now = recorded.folder / "figures", revision()
    inlined = {
        name: inline_figure(folder / f"{name}.svg", figure.TITLE, figure.caption(recorded))
        for name, figure in figures.items()
    }
    sections = [
        _summary(recorded),
        prose("terms.html") + _glossary(),
        *(_part(part, rows, inlined, path.parent, now) for part, rows in _parts(recorded.verdicts).items()),
        studies.section(recorded, [inlined[name] for name in studies.SUMMARIES if name in inlined]),
        real_data_section(recorded),
        _solvers([inlined[name] for name in fig_two_groups.FIGURES if name in inlined]),
        _measured([inlined[name] for name in MEASURED if name in inlined]),
        _reproduce(recorded, now),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    kicker = f'<p class="kicker">sparseopt · page made at revision {html.escape(now)}</p>'
    header = f"{kicker}\n<h1>{TITLE}</h1>\n{prose('lead.html')}\n{_contents(recorded)}"
    path.write_text(page(f"sparseopt: {TITLE.lower()}", header, sections, _footer()), encoding="utf-8")
    return path


def _parts(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Part -> its rows, in the order of the ledger: a part is a folder of theory."""
    files = source_files()
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        part = files[row["name"]].parent.name if row["name"] in files else "others"
        found.setdefault(part, []).append(row)
    return found


def _part_title(part: str) -> str:
    return PARTS.get(part, part.replace("_", " ").capitalize())


def _contents(recorded: Recorded) -> str:
    """Links to the sections."""
    links = [("summary", "Summary"), ("terms", "How to read this page")]
    links += [(f"part-{part}", _part_title(part)) for part in _parts(recorded.verdicts)]
    links += [("experiments", "Experiments on open questions"), ("real-data", "Real data")]
    links += [("two-groups", "The constrained solvers in the plane")]
    links += [("measured", "What solving and proving costs"), ("reproduce", "Reproduce")]
    items = "\n".join(f'<li><a href="#{html.escape(target)}">{html.escape(text)}</a></li>' for target, text in links)
    return f'<nav aria-label="Contents">\n<ul>\n{items}\n</ul>\n</nav>'


def _summary(recorded: Recorded) -> str:
    """The counts, and a row for every statement, under the name of its part."""
    heads = (
        "Entry",
        "Statement",
        "Evidence",
        "#Instances",
        "#Worst margin",
        "As printed",
        "As stated here",
    )
    rows: list[Sequence[str] | str] = []
    for part, own in _parts(recorded.verdicts).items():
        rows.append(f'<a href="#part-{html.escape(part)}">{html.escape(_part_title(part))}</a>')
        rows += [_summary_row(row) for row in own]
    rows += ['<a href="#real-data">Real data</a>', real_data_summary(recorded)]
    return f'<h2 id="summary">Summary</h2>\n{_counts(recorded.verdicts)}\n' + table(heads, rows, kind="summary")


def _summary_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        badge(row["ledger"], "entry"),
        f'<a href="#{html.escape(row["name"])}">{plain(row["title"])}</a>',
        plain(row["kind"]),
        f"{row['instances']:,}",
        worst(row),
        printed_badge(row),
        verdict_badge(row),
    )


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many statements passed, and what became of the printed sentences."""
    passed = sum(row["ok"] for row in rows)
    counts = Counter(row["printed"] for row in rows)
    found = [f"{counts[word]} {badge(PRINTED[word][0], PRINTED[word][1])}" for word in PRINTED if counts[word]]
    return (
        f"<p><b>{passed} of {len(rows)}</b> statements passed their check as they are stated here. "
        f"As printed in the papers and textbooks: {', '.join(found)}.</p>\n{prose('summary.html')}"
    )


def _glossary() -> str:
    """What the words of verdicts mean."""
    printed = [(badge(word, kind), html.escape(meaning)) for word, kind, meaning in PRINTED.values()]
    words = [(badge(word, kind), html.escape(meaning)) for word, (kind, meaning) in VERDICTS.items()]
    kinds = [(f"<b>{word}</b>", html.escape(meaning)) for word, meaning in KINDS.items()]
    pieces = (("As printed", printed), ("As stated here", words), ("Evidence", kinds))
    return "\n".join(table((head, "Meaning"), rows, kind="words") for head, rows in pieces)


def _part(part: str, rows: Sequence[Mapping[str, Any]], figures: Mapping[str, str], folder: Path, now: str) -> str:
    """The heading of a part, what it is about, and its cards; now: the present revision."""
    title = f'<h2 id="part-{html.escape(part)}">{html.escape(_part_title(part))}</h2>'
    about = prose(f"part_{part}.html") if part in PARTS else ""
    return "\n".join([title, about, *(card(row, figures.get(row["name"], NO_FIGURE), folder, now) for row in rows)])


def _listed(found: Mapping[str, str]) -> str:
    return html.escape(", ".join(f"{name} {version}" for name, version in found.items()))


def _solvers(figures: list[str]) -> str:
    """The constrained solvers in the plane."""
    return "\n".join(
        ['<h2 id="two-groups">The constrained solvers in the plane</h2>', prose("two_groups.html"), *figures]
    )


def _measured(figures: list[str]) -> str:
    """What solving and proving costs."""
    return "\n".join(['<h2 id="measured">What solving and proving costs</h2>', prose("measured.html"), *figures])


def _reproduce(recorded: Recorded, now: str) -> str:
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
        "# the experiments on open questions, a small run of each; --full for a large one\n"
        + "".join(f"python -m experiments run {name}\n" for name in studies.SUMMARIES)
        + "# the times of branch and bound, and of the solver (with the peers), in out/experiments and out/bench\n"
        "python -m experiments run branch_and_bound\n"
        "make bench-solvers\n"
        "# figures and this page\n"
        "python -m paper_figures"
    )
    theorems = list(dict.fromkeys(made_at(row["revision"], now) for row in recorded.verdicts))
    libraries = list(dict.fromkeys(_listed(row["versions"]) for row in recorded.verdicts))
    pairs = [
        ("Revision of the theorems", "; ".join(theorems)),
        ("Versions of the theorems", "; ".join(libraries)),
        ("Revision of the study", made_at(study["revision"], now)),
        ("Versions of the study", _listed(study["versions"])),
        ("Device of the study", html.escape(study["device"])),
    ]
    return f'<h2 id="reproduce">Reproduce</h2>\n<pre>{commands}</pre>\n{facts(pairs)}'


def _footer() -> str:
    return "<p>Made by <code>python -m paper_figures</code>. This file is complete in itself: it loads nothing.</p>"
