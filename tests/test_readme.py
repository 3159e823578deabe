"""The README as a user meets it: its code runs as it stands, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import sparseopt as so

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
EXAMPLES = [
    (cell, link)
    for cell, link in re.findall(
        r"^\| `((?:fit|so\.solve|so\.certify)\(?.*?)` \|.*?\]\((.*?)\)", TEXT, flags=re.MULTILINE
    )
    if cell.endswith(")")
]
WITHOUT_EXAMPLE = {"Datafit", "GramLeastSquares", "Quadratic", "GroupPenalty", "SmartDecay"}
"""Protocols and what has a constructor of another name; SmartDecay is solved by MaskDescent alone."""


@pytest.fixture(scope="module")
def prepared():
    names: dict = {}
    exec(next(block for block in BLOCKS if "def fit(" in block), names)
    return names


def test_the_first_example(capsys):
    exec(BLOCKS[0], {})
    comment = re.search(r"# (\[.*)$", BLOCKS[0], flags=re.MULTILINE)
    assert capsys.readouterr().out.strip() == comment[1]


@pytest.mark.parametrize(("code", "file"), EXAMPLES)
def test_every_example(code, file, prepared):
    found = eval(code, prepared)
    assert (ROOT / file).is_file()
    if isinstance(found, so.certify.Certificate):
        assert found.verdict == "proved"
        return
    assert found.status is so.Status.CONVERGED
    assert {0, 1} <= set(prepared["groups"].active(found.w).tolist())  # the two groups that matter
    assert np.isnan(found.gap) or found.gap <= 1e-6


def test_every_loss_and_every_penalty_has_an_example():
    used = set(re.findall(r"so\.([A-Za-z0-9]+)\(", " ".join(code for code, _ in EXAMPLES)))
    grouped = {name for name in so.penalties.__all__ if name.startswith("Group") or hasattr(so, name)}
    wanted = (set(so.datafits.__all__) | grouped) - WITHOUT_EXAMPLE
    assert wanted <= used
    assert len(EXAMPLES) == 21
    assert {"Problem"} < used


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / target).exists(), target
