# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""The report says what it should, honestly, and loads nothing."""

import html
import json
import re
from html.parser import HTMLParser

import pytest
from small_recordings import study_rows, verdict_row, write_study

import sparseopt as so
from paper_figures import report as report_module
from paper_figures.__main__ import FIGURES, main
from paper_figures.cards import PRINTED
from paper_figures.real_data import problems
from paper_figures.recorded import Recorded, prose
from paper_figures.report import write_report
from theory import THEOREMS

NAMES = [theorem.name for theorem in THEOREMS]
FRAME = '<?xml version="1.0"?><svg viewBox="0 0 1 1"><g id="a"></g></svg>'
VOID = {"meta", "br", "path", "use", "image", "rect"}


class Structure(HTMLParser):
    """Collects ids, references and attributes, and checks that elements nest."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.targets, self.loads, self.links, self.text = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        for key in ("src", "href", "xlink:href", "action", "data"):
            if key in values:
                elsewhere = self.links if tag == "a" else self.loads
                (self.targets if values[key].startswith("#") else elsewhere).append(values[key])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def write(folder):
    """The text of the report over figures that are mere frames, which takes no time."""
    (folder / "figures").mkdir(exist_ok=True)
    for name in FIGURES:
        (folder / "figures" / f"{name}.svg").write_text(
            '<?xml version="1.0"?><svg viewBox="0 0 1 1"><g id="a"></g></svg>'
        )
    write_report(Recorded(folder), FIGURES, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def report(folder):
    return write(folder)


def parsed(text):
    structure = Structure()
    structure.feed(text)
    assert structure.open == []
    return structure


def words(text):
    return " ".join(html.unescape("".join(parsed(text).text)).split())


@pytest.fixture
def few_figures(monkeypatch):
    """Drawing takes a second for each figure; that every one can be drawn is shown in test_figures."""
    names = ("one_group_global_optimum", "two_groups_iht")
    few = {name: FIGURES[name] for name in names}
    monkeypatch.setattr("paper_figures.__main__.FIGURES", few)
    return few


def test_the_command_names_what_it_wrote_and_the_page_is_complete_in_itself(folder, few_figures, capsys):
    assert main(["--out", str(folder)]) == 0
    figures = [folder / "figures" / f"{name}.{suffix}" for name in few_figures for suffix in ("svg", "png")]
    assert capsys.readouterr().out.splitlines() == [f"wrote {path}" for path in (*figures, folder / "report.html")]
    assert sorted((folder / "figures").iterdir()) == sorted(figures)
    report = (folder / "report.html").read_text(encoding="utf-8")
    structure = parsed(report)
    assert all(target.startswith("data:image/png;base64,") for target in structure.loads)
    assert "<script" not in report
    assert "<link" not in report
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", report)
    assert len(set(structure.ids)) == len(structure.ids)
    assert {target.removeprefix("#") for target in structure.targets} <= set(structure.ids)
    references = set(re.findall(r"url\(#([^)]+)\)", report))
    assert references <= set(structure.ids)


def test_every_card_links_to_its_code_and_to_itself(folder, report):
    structure = parsed(report)
    files = [(folder / target).resolve() for target in structure.links]
    assert all(file.is_file() for file in files)
    assert {file.name for file in files} >= {f"{name}.py" for name in NAMES} | {f"fig_{name}.py" for name in NAMES}
    assert [name for name in structure.ids if name in NAMES] == _cards_in_order(report)
    assert set(NAMES) <= {target.removeprefix("#") for target in structure.targets}


def _cards_in_order(report):
    return re.findall(r'<article class="card" id="(\w+)">', report)


def test_cards_and_summary_are_grouped_by_paper(report):
    """A part is a folder of theory; within it the order is that of the verdicts."""
    parts = re.findall(r'id="part-(\w+)"', report)
    assert parts == ["sequential_attention", "smart", "admm_patterns", "solvers", "open_questions"]
    files = report_module.source_files()
    folders = [files[name].parent.name for name in _cards_in_order(report)]
    assert folders == sorted(folders, key=parts.index)
    assert sorted(_cards_in_order(report)) == sorted(NAMES)
    summary = report[report.index('id="summary"') : report.index('id="terms"')]
    assert re.findall(r'href="#part-(\w+)"', summary) == parts
    assert re.findall(r'href="#(\w+)">Title', summary) == _cards_in_order(report)


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("word", PRINTED)
def test_what_became_of_the_printed_sentence_is_in_summary_and_card(word, folder):
    rows = [verdict_row(name, printed=word if name == "lambda_window" else "holds") for name in NAMES]
    (folder / "theory" / "verdicts.json").write_text(json.dumps(rows))
    text = write(folder)
    short, kind, meaning = PRINTED[word]
    shown = f'<span class="badge {kind}">{short}</span>'
    row = text[text.index('<a href="#lambda_window">') :]
    assert shown in row[: row.index("</tr>")]
    card = text[text.index('id="lambda_window"') :]
    assert f"{shown} {meaning}" in card[: card.index("</article>")]


def test_a_theorem_from_a_new_folder_has_its_own_part(folder, monkeypatch):
    files = report_module.source_files()
    new = files | {"lambda_window": files["lambda_window"].parent.parent / "a_new_paper" / "lambda_window.py"}
    monkeypatch.setattr(report_module, "source_files", lambda: new)
    assert '<h2 id="part-a_new_paper">A new paper</h2>' in write(folder)


def test_special_instances_are_folded_away_only_where_all_passed(folder):
    passed = [case | {"passed": True} for case in verdict_row("x")["fixed"]]
    rows = [verdict_row(name, **({"fixed": passed} if name == "lambda_window" else {})) for name in NAMES]
    (folder / "theory" / "verdicts.json").write_text(json.dumps(rows))
    text = write(folder)
    assert text.count("<details>\n<summary>Special and real instances: 2 of 2 passed") == 1
    assert text.count("<details open>\n<summary>Special and real instances: 1 of 2 passed") == len(NAMES) - 1


def test_it_says_what_was_claimed_and_what_came_out(report):
    text = words(report)
    for name in FIGURES:
        assert f'id="figure-{name}"' in report
    for name in NAMES:
        assert f"Title of {name}" in text
        assert f"python -m theory verify {name} --level standard --n 1239 --seed 7 --json out/again/{name}.json" in text
    assert "L + λ ∑g ‖ug‖ ≥ 0" in text
    assert "1,234 meet the hypotheses" in text
    assert "at instance seed 987654321" in text
    assert "−2.5 × 10−17 (tolerance 4.0 × 10−15)" in text
    assert "4,321 competitors tried, 0 below" in text
    assert "1,234 proved of 1,234 asked for" in text
    assert "0.20 = 2.0 × 1029 tolerances, rational bounds" in text
    assert "q(a + b) ≤ q(a) + q(b)" in text
    assert "not necessary" in text
    assert "not run: no scikit-learn" in text
    assert "python -m theory verify --json out/theory/verdicts.json --curves out/theory/curves" in text
    assert "python 3.11.1, numpy 2.1" in text
    assert "not subadditive, q(1/2) + q(1/2) < q(1)" in text
    assert "numpy" in text


def test_recorded_revisions_are_shown_and_the_present_one_where_it_differs(folder, monkeypatch):
    monkeypatch.setattr("paper_figures.report.revision", lambda: "0123456789ab")
    text = words(write(folder))
    assert "ba9876543210 (the checkout is now at 0123456789ab)" in text
    assert "0123456789ab (the checkout" not in text


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("where", ["verdict", "not run", "study"])
def test_a_contradiction_gives_exit_status_1_and_a_new_report(where, folder, few_figures, capsys):
    (folder / "report.html").write_text("an old report, all green")
    rows = [verdict_row(name) for name in NAMES if name in few_figures]
    if where == "verdict":
        rows[0] |= {"verdict": "fails", "ok": False, "failure": "instance seed 3: 1 <= 0"}
        (folder / "theory" / "curves" / "one_group_global_optimum.contour.csv").unlink()
    if where == "not run":
        rows[0] |= {"ok": False, "not_run": ["diabetes"]}
    if where == "study":
        write_study(folder, [r | ({"verdict": "undecided"} if r["type"] == "active" else {}) for r in study_rows()])
    (folder / "theory" / "verdicts.json").write_text(json.dumps(rows))
    assert main(["--out", str(folder)]) == 1
    found = capsys.readouterr()
    assert f"wrote {folder / 'report.html'}" in found.out
    assert found.err.startswith("contradicted: ")
    badge = {"verdict": "fails, expected holds", "not run": "holds, not run: diabetes", "study": "contradicted"}[where]
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert f'<span class="badge bad">{badge}' in text
    assert ("There is no figure" in text) == (where == "verdict")
    assert (">What is wrong<" in text) == (where == "verdict")


def test_narrow_screens_cut_nothing_off(report):
    """Lines wrap; a figure keeps a readable size, scrolls by itself, and says so."""
    assert "white-space: pre-wrap" in report
    narrow = report[report.index("@media (max-width") : report.index("@media print")]
    assert re.search(r"\.plate \{[^}]*overflow-x: auto", narrow)
    assert "swipe sideways" in narrow
    wide = report[: report.index("@media (max-width")]
    assert not re.search(r"\.plate[^}]*(min-width|overflow-x)", wide)


def test_the_text_on_the_ten_digits_is_true():
    def width(digit):
        data = so.datasets.digits(digit)
        lasso = so.GroupLasso(1.0, data.groups, weights="none")
        window = so.certify.lambda_window(so.Problem(data.X, so.LeastSquares(data.y), lasso))
        return 1 - window.lower / window.upper

    widths = [width(digit) for digit in range(10)]
    assert max(range(10), key=widths.__getitem__) == 7
    assert f"{100 * widths[7]:.2g} %, {100 * widths[0]:.1g} %" == "17 %, 0.3 %"
    assert "17 %" in prose("real_data.html")
    assert "0.3 %" in prose("real_data.html")


def test_counterexamples_that_do_not_separate_and_wrong_verdicts_are_shown(folder):
    example = verdict_row("x")["counterexamples"][0] | {"separated": False}
    bad = verdict_row("lambda_window", verdict="powerless", ok=False, counterexamples=[example], worst_margin=None)
    rows = [*(verdict_row(theorem.name) for theorem in THEOREMS if theorem.name != bad["name"]), bad]
    (folder / "theory" / "verdicts.json").write_text(json.dumps(rows))
    text = write(folder)
    assert '<span class="badge bad">powerless, expected holds</span>' in text
    assert '<span class="badge bad">does not break</span>' in text
    assert "0 of 1" in words(text)


def test_a_necessary_hypothesis_without_counterexample_is_open(folder):
    rows = [verdict_row(name, counterexamples=[]) for name in NAMES]
    (folder / "theory" / "verdicts.json").write_text(json.dumps(rows))
    assert '<span class="badge bad">open</span>' in write(folder)


def test_real_data_are_summed_up(report):
    text = words(report)
    assert "8 certificates, 80 competitors" in text
    assert "none below" in text
    assert "beaten, as it should be" in text
    assert "subadditivity is undecided" in text


CONTRADICTIONS = {
    "active groups inside the window": ("active", {"in_window": True}, {"n_active": 2}),
    "is not certified": ("active", {}, {"verdict": "undecided"}),
    "the certificate for Ratio is refuted": ("certificate", {"rho": "Ratio"}, {"verdict": "refuted"}),
    "the certificate for ExpMask is proved": ("certificate", {"rho": "ExpMask"}, {"verdict": "proved"}),
    "is below for Log(1)": ("competitor", {"rho": "Log(1)"}, {"margin": -1e-9}),
}


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("sentence", CONTRADICTIONS)
def test_what_contradicts_the_theory_is_said(sentence, folder):
    kind, chosen, change = CONTRADICTIONS[sentence]
    rows = study_rows()
    assert problems(Recorded(folder)) == []
    row = next(row for row in rows if row["type"] == kind and chosen.items() <= row.items())
    row.update(change)
    write_study(folder, rows)
    found = problems(Recorded(folder))
    assert len(found) == 1
    assert sentence in found[0]
    assert '<span class="badge bad">contradicted</span>' in write(folder)


def test_an_unfinished_study_is_not_reported(folder):
    write_study(folder, study_rows(), closed=False)
    with pytest.raises(ValueError, match="holds no finished run"):
        write(folder)


def test_a_missing_figure_names_the_command(folder):
    with pytest.raises(ValueError, match="run `python -m paper_figures`"):
        write_report(Recorded(folder), FIGURES, folder / "report.html")


def test_text_from_the_data_is_escaped(folder):
    rows = [verdict_row(name, title="<b>x</b> & y", source="<script>") for name in NAMES]
    (folder / "theory" / "verdicts.json").write_text(json.dumps(rows))
    assert "<script" not in write(folder)
