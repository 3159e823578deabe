"""Figures draw from recorded data only, the same to the byte, below the size limit; missing data name a command."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from small_recordings import add_curves

from paper_figures import fig_branch_and_bound, fig_solver_cost
from paper_figures.__main__ import FIGURES, main
from paper_figures.recorded import MissingDataError, Recorded
from paper_figures.studies import SUMMARIES
from paper_figures.style import LIMIT, house_style, save


@pytest.mark.sample(every=20)
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_deterministic_small_and_labelled(name, recorded, tmp_path):
    """Drawn twice, the second time under settings of a user's own, which play no role."""
    written = []
    add_curves(recorded.folder, name)
    for settings in ({}, {"font.size": 30, "axes.grid": True}):
        with mpl.rc_context(settings), house_style() as plt:
            figure = FIGURES[name].draw(recorded, plt)
            written.append(save(figure, tmp_path / str(len(written)), name))
            assert all(axes.get_xlabel() and axes.get_title(loc="left") for axes in figure.axes)
            assert figure.axes
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()
        assert 1000 < first.stat().st_size <= LIMIT
    assert [path.suffix for path in written[0]] == [".svg", ".png"]
    assert not re.search(r"<dc:date>|20\d\d-\d\d-\d\d", written[0][0].read_text())


@pytest.mark.parametrize("name", FIGURES)
def test_the_caption_names_theorem_and_seed(name, recorded):
    caption = FIGURES[name].caption(recorded)
    assert name in caption
    measured = name in (fig_branch_and_bound.NAME, fig_solver_cost.NAME, *SUMMARIES)  # committed with seed 0
    assert f"seed {0 if measured else 7}" in caption.lower()
    assert not re.search(r"\{\w+\}", caption), "a value was not filled in"


def test_a_figure_that_is_too_large_is_refused(recorded, tmp_path):
    with house_style() as plt:
        figure, axes = plt.subplots()
        axes.plot(np.random.default_rng(0).normal(size=(8000, 2)), "o")
        with pytest.raises(ValueError, match="allowed are 200000"):
            save(figure, tmp_path, "large")


def test_a_formula_in_a_font_that_readers_lack_is_refused(tmp_path):
    with house_style() as plt:
        figure, axes = plt.subplots()
        axes.set_xlabel("$w_g$")
        (svg, _) = save(figure, tmp_path, "plain")
        families = set(re.findall(r"font-family: ([^;\"]+)", svg.read_text()))
        assert families == {"'DejaVu Sans', 'Verdana', sans-serif"}
        axes.set_ylabel(r"$\sqrt{e / 2}$")
        with pytest.raises(ValueError, match="which readers lack"):
            save(figure, tmp_path, "root")


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("experiments/one_group_window.jsonl", "python -m experiments run one_group_window"),
        ("experiments/two_groups.jsonl", "python -m experiments run two_groups"),
        ("theory/verdicts.json", "python -m theory verify --json out/theory/verdicts.json"),
        ("theory/curves/one_group_global_optimum.contour.csv", "--curves out/theory/curves"),
    ],
)
def test_missing_data_give_one_sentence_with_the_command(missing, command, folder, capsys, monkeypatch):
    chosen = {"one_group_global_optimum": FIGURES["one_group_global_optimum"]}
    monkeypatch.setattr("paper_figures.__main__.FIGURES", chosen)
    (folder / missing).unlink()
    assert main(["--out", str(folder)]) == 1
    message = capsys.readouterr().err.strip()
    assert missing.rpartition("/")[2] in message
    assert command in message
    assert len(message.splitlines()) == 1


def test_damaged_data_are_named(folder):
    (folder / "theory" / "verdicts.json").write_text("[{")
    with pytest.raises(MissingDataError, match="damaged"):
        _ = Recorded(folder).verdicts
    path = folder / "theory" / "curves" / "lambda_window.widths.csv"
    path.write_text("a,b\n1\n")
    with pytest.raises(MissingDataError, match="rows of another length"):
        Recorded(folder).curve("lambda_window", "widths")
    (folder / "theory" / "verdicts.json").write_text("[]")
    with pytest.raises(MissingDataError, match="lambda_window is not in"):
        Recorded(folder).verdict("lambda_window")


def test_the_legend_of_the_widths_hides_no_mark_and_looks_like_none(recorded):
    with house_style() as plt:
        figure = FIGURES["lambda_window"].draw(recorded, plt)
        figure.canvas.draw()
        panel = figure.axes[-1]
        (legend,) = [found for part in figure.subfigs for found in part.legends]
        assert panel.get_legend() is None
        assert not panel.get_window_extent().overlaps(legend.get_window_extent())


@pytest.mark.parametrize("missing", ["branch_and_bound", "solver_cost"])
def test_missing_measurements_name_the_command(missing, folder, tmp_path):
    recorded = Recorded(folder, measured=tmp_path / "nothing")
    with pytest.raises(
        MissingDataError, match=r"is missing: run `(python -m experiments run branch_and_bound|make bench)"
    ):
        getattr(recorded, missing)


def test_searches_without_a_proof_are_open_marks(recorded, monkeypatch):
    """Times above the limit would be seen; a search that was cut off is not drawn as one that ended."""
    rows = [row | {"proved": row["n_groups"] < 40} for row in recorded.branch_and_bound]
    monkeypatch.setitem(recorded.__dict__, "branch_and_bound", rows)
    with house_style() as plt:
        figure = fig_branch_and_bound.draw(recorded, plt)
        for axes in figure.axes:
            marks = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
            assert len(marks) == len(rows)
            for mark in marks:
                assert (mark.get_markerfacecolor() == "white") == (mark.get_xdata()[0] > 38)
    unproved = sum(not row["proved"] for row in rows)
    assert f"{len(rows) - unproved} of {len(rows)}" in fig_branch_and_bound.caption(recorded)
