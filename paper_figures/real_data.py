# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""The part of the report on real data: windows, certificates and the attack."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from .page import badge, table
from .recorded import Recorded, prose
from .typeset import number

UNCOVERED = ("ExpMask",)
"""Functions q of the study that are not subadditive: a proof for them would be an error."""


FUNCTIONS = {
    "Power(1/2)": "√<i>t</i>",
    "Power(2/3)": "<i>t</i><sup>2/3</sup>",
    "Log(1)": "log(1 + <i>t</i>)",
    "Ratio": "<i>t</i> / (1 + <i>t</i>)",
    "ExpMask": "exp mask",
}
"""Functions q of the study as formulas."""


def problems(recorded: Recorded) -> list[str]:
    """Sentences on everything in the study that contradicts the theory; empty when all is well."""
    found = []
    for row in recorded.window_rows("active"):
        if row["verdict"] != "proved":
            found.append(f"{row['dataset']}: the solution at {row['lam_ratio']:.4g} lambda_max is not certified")
        if row["in_window"] and row["n_active"] != 1:
            found.append(
                f"{row['dataset']}: {row['n_active']} active groups inside the window, at {row['lam_ratio']:.4g}"
            )
    for row in recorded.window_rows("certificate"):
        if (row["verdict"] == "proved") == (row["rho"] in UNCOVERED):
            found.append(f"{row['dataset']}: the certificate for {row['rho']} is {row['verdict']}")
    for row in recorded.window_rows("competitor"):
        if row["rho"] not in UNCOVERED and _below(row):
            found.append(f"{row['dataset']}: a competitor ({row['attack']}) is below for {row['rho']}")
    return found


def summary(recorded: Recorded) -> tuple[str, ...]:
    """The row of the summary table."""
    covered = [row for row in recorded.window_rows("competitor") if row["rho"] not in UNCOVERED]
    proved = sum(row["verdict"] == "proved" for row in recorded.window_rows("certificate"))
    worst = min(covered, key=lambda row: row["margin"] + row["allowance"])
    return (
        badge("A9", "entry"),
        '<a href="#real-data">One-group solutions of three real data sets are globally optimal</a>',
        "certified",
        f"{proved} certificates, {len(covered):,} competitors",
        f"{number(worst['margin'])} (tolerance {number(worst['allowance'])})",
        badge("holds", "good"),
        _verdict(recorded),
    )


def section(recorded: Recorded) -> str:
    """Everything the study found."""
    found = problems(recorded)
    errors = "".join(f"<p>{badge('contradiction', 'bad')} {html.escape(text)}</p>" for text in found)
    windows = table(
        ("Data", "#Samples", "#Columns", "#Groups", "First group", "#Window, % of λmax", "#One group down to"),
        [_window(recorded, row) for row in recorded.window_rows("window")],
    )
    certificates = table(
        ("Data", "q", "#Bound on the error", "#Objective", "#Distance to the minimiser", "Verdict"),
        [_certificate(row) for row in recorded.window_rows("certificate")],
    )
    attacks = table(("Data", "q", "#Competitors", "#Below", "Smallest margin", "Verdict"), _attacks(recorded))
    title = f'<h2 id="real-data">Real data {_verdict(recorded)}</h2>'
    parts = [
        title,
        errors,
        prose("real_data.html"),
        windows,
        prose("certificates.html"),
        certificates,
        _refused(recorded),
    ]
    return "\n".join([*parts, prose("attack.html"), attacks])


def _verdict(recorded: Recorded) -> str:
    return badge("holds", "good") if not problems(recorded) else badge("contradicted", "bad")


def _below(row: Mapping[str, Any]) -> bool:
    return row["margin"] < -row["allowance"]


def _name(dataset: str) -> str:
    return html.escape(dataset.replace("_", " "))


def _function(rho: str) -> str:
    return FUNCTIONS.get(rho, html.escape(rho))


def _window(recorded: Recorded, row: Mapping[str, Any]) -> tuple[str, ...]:
    one = [r["lam_ratio"] for r in recorded.window_rows("active", row["dataset"]) if r["n_active"] == 1]
    many = [r["lam_ratio"] for r in recorded.window_rows("active", row["dataset"]) if r["n_active"] > 1]
    last = min((ratio for ratio in one if ratio > max(many, default=0.0)), default=None)
    return (
        _name(row["dataset"]),
        str(row["n_samples"]),
        str(row["n_features"]),
        str(row["n_groups"]),
        html.escape(row["group_name"]),
        f"{100 * (row['upper_ratio'] - row['lower_ratio']):.2g}",
        "–" if last is None else f"{last:.3f} λ<sub>max</sub>",
    )


def _certificate(row: Mapping[str, Any]) -> tuple[str, ...]:
    kind = {"proved": "good", "refuted": "bad"}.get(row["verdict"], "note")
    upper = "–" if row["upper"] is None else number(row["upper"])
    distance = "–" if row["distance"] is None else number(row["distance"])
    cells = (_name(row["dataset"]), _function(row["rho"]), upper, number(row["scale"]), distance)
    return (*cells, badge(row["verdict"], kind))


def _attacks(recorded: Recorded) -> list[tuple[str, ...]]:
    rows = []
    for certificate in recorded.window_rows("certificate"):
        dataset, rho = certificate["dataset"], certificate["rho"]
        tried = [row for row in recorded.window_rows("competitor", dataset) if row["rho"] == rho]
        below = sum(map(_below, tried))
        smallest = min(tried, key=lambda row: row["margin"])
        margin = f"{number(smallest['margin'])} ({html.escape(smallest['attack'])})"
        if rho in UNCOVERED:
            verdict = badge("beaten, as it should be" if below else "not beaten", "note")
        else:
            verdict = badge("beaten", "bad") if below else badge("none below", "good")
        rows.append((_name(dataset), _function(rho), f"{len(tried)}", f"{below}", margin, verdict))
    return rows


def _refused(recorded: Recorded) -> str:
    reasons = {row["reason"] for row in recorded.window_rows("certificate") if row["rho"] in UNCOVERED}
    listed = "; ".join(html.escape(reason) for reason in sorted(reasons))
    return f"{prose('refused.html')}<p>What the program says: <i>{listed}</i>.</p>"
