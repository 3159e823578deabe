"""An out/ folder with small recorded data."""

import json

import pytest
from small_recordings import curves, plane_rows, study_rows, verdict_row, write_curve, write_study

from paper_figures.recorded import Recorded
from theory import THEOREMS


@pytest.fixture
def folder(tmp_path):
    """An out/ folder with everything that the figures and the report read."""
    out = tmp_path / "out"
    for name, columns in curves().items():
        write_curve(out, name, columns)
    write_study(out, study_rows())
    write_study(out, plane_rows(), study="two_groups", seed=7)
    names = [theorem.name for theorem in THEOREMS]
    (out / "theory" / "verdicts.json").write_text(json.dumps([verdict_row(name) for name in names]))
    return out


@pytest.fixture
def recorded(folder):
    return Recorded(folder)
