"""The kept rows of the studies: parts made again are the same, and the report says how many were."""

from __future__ import annotations

import html
import json
import re
from importlib import import_module

import pytest

from paper_figures.recorded import MEASURED, Recorded
from paper_figures.studies import SUMMARIES, agreement, section

SMALL = {
    "phase_transition": ("recovery/22/4/0", "optimality/5/2/0"),
    "critical_points": ("2/0", "4/1"),
    "pruning_schedules": ("problems/0",),
    "smart_hypotheses": ("random/10/0", "breast_cancer/30/0"),
}
"""Parts that take little time."""


def rows_of(study, names):
    """The rows of some parts at the default sizes, with keys as the runner gives them."""
    module = import_module(f"experiments.{study}")
    parts = {part.name: part for part in module.main(module.Config())}
    return [
        {"key": f"again/{name}/{i}", "rows_in_part": 1} | row
        for name in names
        for i, row in enumerate(parts[name].compute())
    ]


@pytest.mark.parametrize("study", SUMMARIES)
def test_parts_made_again_are_the_kept_ones(study, tmp_path):
    kept = Recorded(tmp_path).committed(study)
    again = json.loads(json.dumps(rows_of(study, SMALL[study])))
    assert agreement(kept, again) == (len(again), len(again))
    assert len(again) >= len(SMALL[study])


def test_every_kept_row_carries_what_made_it(tmp_path):
    for study in SUMMARIES:
        for row in Recorded(tmp_path).committed(study):
            assert row["study"] == study
            assert row["seed"] == row["config"]["seed"] == 0
            assert re.fullmatch("[0-9a-f]{12}", row["revision"])
            assert row["versions"]["numpy"]


def test_a_row_that_differs_is_not_counted_as_the_same():
    kept = [{"key": "a/1/0", "rows_in_part": 1, "found": [1, 2.0], "name": "x"}]
    for changed, same in (
        ({"found": [1, 2.00001]}, 1),
        ({"found": [2, 2.0]}, 0),
        ({"name": "y"}, 0),
        ({"found": [1]}, 0),
    ):
        assert agreement(kept, [kept[0] | {"key": "b/1/0"} | changed]) == (1, same)
    assert agreement(kept, [kept[0] | {"key": "b/2/0"}]) == (0, 0)


def test_the_report_says_how_many_rows_are_the_same(folder):
    """Here the kept rows of one study are there twice, one of them changed; the others were not run."""
    text = (MEASURED / "critical_points.jsonl").read_text().splitlines(keepends=True)
    changed = json.loads(text[0]) | {"supports": [7]}
    (folder / "experiments" / "critical_points.jsonl").write_text(json.dumps(changed) + "\n" + "".join(text[1:]))
    shown = html.unescape(section(Recorded(folder), ["<figure></figure>"]))
    rows = len(text) - 1
    assert f"{rows - 1} of {rows}" in shown
    assert shown.count("not run here") == len(SUMMARIES) - 1
    assert "<figure></figure>" in shown
