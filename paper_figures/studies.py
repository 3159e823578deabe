# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""The part of the report on open questions: figures of the kept rows, and whether a new run gives the same."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments import critical_points, phase_transition, pruning_schedules, smart_hypotheses

from .page import badge, table
from .recorded import MissingDataError, Recorded, prose

SUMMARIES: dict[str, dict[str, Callable[[Any], dict[str, list[Any]]]]] = {
    "phase_transition": {"recovery": phase_transition.recovery, "optimality": phase_transition.optimality},
    "critical_points": {"counts": critical_points.counts},
    "pruning_schedules": {"schedules": pruning_schedules.schedules, "blocks": pruning_schedules.block_sizes},
    "smart_hypotheses": {"shares": smart_hypotheses.shares},
}
"""Study -> table -> function that makes it from the rows; the tables are committed as figure data."""

CLOSE = 1e-4
"""Relative difference of numbers that are called equal: solvers stop at tolerances, and BLAS rounds as it likes."""


def tables(recorded: Recorded) -> dict[str, Callable[[], dict[str, list[Any]]]]:
    """Name of a table -> function that makes it from the kept rows."""
    return {
        f"{study}.{name}": lambda study=study, make=make: make(recorded.committed(study))
        for study, found in SUMMARIES.items()
        for name, make in found.items()
    }


def section(recorded: Recorded, figures: Sequence[str]) -> str:
    """The figures, and how many rows of a new run are those that are kept."""
    rows = [_again(recorded, study) for study in SUMMARIES]
    heads = ("Study", "#Rows kept", "#Made again", "#The same", "Run it again")
    compared = table(heads, rows)
    return "\n".join(
        ['<h2 id="experiments">Experiments on open questions</h2>', prose("experiments.html"), compared, *figures]
    )


def _again(recorded: Recorded, study: str) -> tuple[str, ...]:
    kept = recorded.committed(study)
    command = f"<code>python -m experiments run {html.escape(study)}</code>"
    name = html.escape(study.replace("_", " "))
    try:
        made, same = agreement(kept, recorded.again(study))
    except MissingDataError:
        return (name, f"{len(kept):,}", "–", badge("not run here", "note"), command)
    mark = badge(f"{same:,} of {made:,}", "good" if same == made else "note")
    return (name, f"{len(kept):,}", f"{made:,}", mark, command)


def agreement(kept: Sequence[dict[str, Any]], again: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How many rows of a run were kept from another one too, by the names of their parts, and how many are the same."""
    known = {_name(row): _payload(row) for row in kept}
    common = [row for row in again if _name(row) in known]
    return len(common), sum(_same(known[_name(row)], _payload(row)) for row in common)


def _name(row: dict[str, Any]) -> str:
    """The key without the digest of its run."""
    return row["key"].partition("/")[2]


def _payload(row: dict[str, Any]) -> dict[str, Any]:
    """What was found: all that comes after the number of rows of the part."""
    names = list(row)
    return {name: row[name] for name in names[names.index("rows_in_part") + 1 :]}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return bool(np.isclose(a, b, rtol=CLOSE, atol=CLOSE))
    return bool(a == b)
