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
SETS = [
    code
    for cells in re.findall(r"^\| (`so\.sets\..*?`) \|", TEXT, flags=re.MULTILINE)
    for code in re.findall("`(.*?)`", cells)
]
TOPK = re.findall(r"^\| `(so\.(?:soft_topk|[A-Za-z]*TopK)\(.*?)` \|", TEXT, flags=re.MULTILINE)
BATTERIES = re.findall(r"^\| `(so\.testing\..*?)` \|", TEXT, flags=re.MULTILINE)
CONSTRAINED = re.findall(r"^\| `((?:constrained|masked)\(.*?)` \|", TEXT, flags=re.MULTILINE)
WITHOUT_EXAMPLE = {"Datafit", "GramLeastSquares", "Quadratic", "GroupPenalty", "SmartDecay"}
"""Protocols and what has a constructor of another name; SmartDecay is solved by MaskDescent alone."""


@pytest.fixture(scope="module")
def prepared():
    names: dict = {}
    exec(next(block for block in BLOCKS if "def fit(" in block), names)
    return names


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("code", CONSTRAINED)
def test_every_example_of_a_constrained_solver(code, prepared):
    exec(next(block for block in BLOCKS if "def constrained(" in block), prepared)
    found = eval(code, prepared)
    assert found.status is so.Status.CONVERGED
    norms = prepared["groups"].norms(found.w)
    assert set(np.argsort(-norms)[:2].tolist()) == {0, 1}
    assert not code.startswith("constrained") or np.count_nonzero(norms) == 2


def test_every_constrained_solver_and_mask_has_an_example():
    names = set(re.findall(r"so\.solvers\.(?:masks\.)?([A-Za-z0-9]+)\(", " ".join(CONSTRAINED)))
    parametrisations = {mask.__name__ for mask in so.solvers.masks.Mask.__subclasses__()}
    assert names == {"ADMM", "IHT", "SRSTE", "GroupOMP", "OMPR"} | parametrisations


@pytest.mark.parametrize("code", SETS)
def test_every_example_of_a_set(code, prepared):
    the_set, argument = re.fullmatch(r"(.*)\.project\((.*)\)", code).groups()
    given, found = eval(argument, prepared), eval(code, prepared)
    assert eval(the_set, prepared).contains(found)
    assert not eval(the_set, prepared).contains(given)
    assert found.shape == given.shape


def test_every_set_has_an_example():
    used = set(re.findall(r"so\.sets\.([A-Za-z0-9]+)", " ".join(SETS)))
    assert used == set(so.sets.__all__) - {"Indicator"}  # which stands for a set in a problem


@pytest.mark.parametrize("code", TOPK)
def test_every_example_of_a_top_k(code, prepared):
    found = eval(code, prepared)
    assert found.shape == prepared["X"].shape
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum(axis=-1) == pytest.approx(5)
    largest = np.argsort(-prepared["X"], axis=-1)[:, :5]
    assert (np.take_along_axis(found, largest, axis=-1).min(axis=-1) >= np.sort(found, axis=-1)[:, -5]).all()


def test_every_top_k_and_temperature_is_named():
    named = set(re.findall(r"so\.([A-Za-z_]+)", " ".join(TOPK)))
    assert named == {name for name in so.__all__ if name.endswith("TopK")} | {"soft_topk"}
    assert all(f"so.{name}" in TEXT for name in so.__all__ if name.endswith("Temperature"))


@pytest.mark.parametrize("code", BATTERIES)
def test_every_example_of_a_battery(code, prepared):
    records = eval(code, prepared)
    assert {record.status for record in records} <= {"passed", "skipped"}
    assert sum(record.status == "passed" for record in records) >= 5


def test_every_battery_has_an_example():
    named = set(re.findall(r"so\.testing\.([a-z_]+)\(", " ".join(BATTERIES)))
    assert named == {name for name in so.testing.__all__ if name.startswith("check_")}


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


METHODS = re.findall(r"^\| `(methods\..*?\(\))` \|", TEXT, flags=re.MULTILINE)


SCRIPTS = [block for block in BLOCKS if "Sparsifier(" in block]


def pruned(script, code):
    pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    names: dict = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    exec(script.replace("methods.SMART()", code), names)
    torch.set_num_threads(threads)
    report = names["sp"].report()
    assert sum(row.kept for row in report.rows) / sum(row.units for row in report.rows) == pytest.approx(0.25, abs=0.01)
    if code == "methods.RigL()":  # weights behind dead outputs stay 0 where a unit has grown
        assert report.sparsity > 0.74
    else:
        assert report.sparsity == pytest.approx(0.75, abs=0.01)


def test_the_scripts_that_prune_are_short():
    assert len(SCRIPTS) == 2
    assert all(sum(bool(line.strip()) for line in script.splitlines()) <= 20 for script in SCRIPTS)


@pytest.mark.slow  # imports transformers
@pytest.mark.parametrize("code", METHODS)
@pytest.mark.parametrize("script", SCRIPTS, ids=["ResNet", "BERT"])
def test_the_scripts_run_with_every_method(script, code):
    pruned(script, code)


def test_every_method_has_a_row():
    from sparseopt.pruning import methods

    assert sorted(METHODS) == sorted(f"methods.{name}()" for name in methods.__all__ if name != "Method")
