"""python -m theory: output, exit status, error sentences, files and resuming."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

import theory.__main__ as command
from theory import THEOREMS, Counterexample, Evidence, Fixed

NAMES = [t.name for t in THEOREMS]


@pytest.fixture
def verify(tmp_path):
    def run(*arguments):
        return command.main(["verify", *arguments, "--n", "2", "--level", "quick", "--cache", str(tmp_path / "cache")])

    return run


def test_list(capsys):
    assert command.main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES)


def test_list_json(capsys):
    assert command.main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in rows] == NAMES
    assert all({"name", "ledger", "source", "kind", "verdict"} <= set(r) for r in rows)


def test_verify_writes_rows_and_curves(verify, tmp_path, capsys):
    rows, curves = tmp_path / "deep" / "rows.json", tmp_path / "curves"
    assert verify("lambda_window", "--json", str(rows), "--curves", str(curves), "--seed", "5") == 0
    (found,) = json.loads(rows.read_text())
    assert (found["name"], found["verdict"], found["ok"], found["seed"], found["n"]) == (
        "lambda_window",
        "holds",
        True,
        5,
        2,
    )
    names = sorted(p.name for p in curves.iterdir())
    assert names == ["lambda_window.active_groups.csv", "lambda_window.widths.csv"]
    with (curves / names[0]).open(newline="") as file:
        assert next(csv.reader(file)) == ["lam_over_tau", "active_groups", "window_lower_over_tau"]
    out = capsys.readouterr().out
    assert f"wrote {rows}" in out
    assert f"wrote {curves / names[1]}" in out


def test_an_interrupted_run_continues(verify, tmp_path, capsys, monkeypatch):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    run = command._run
    monkeypatch.setattr(command, "_run", lambda o, t: 1 / 0 if t.name == "lambda_window" else run(o, t))
    with pytest.raises(ZeroDivisionError):
        verify("inverse_sum_dominates", "lambda_window")
    monkeypatch.setattr(command, "_run", run)
    assert verify("inverse_sum_dominates", "lambda_window", "--json", str(first)) == 0
    assert "reused finished results of inverse_sum_dominates from" in capsys.readouterr().out
    assert verify("inverse_sum_dominates", "lambda_window", "--json", str(second)) == 0
    assert first.read_text() == second.read_text()


def test_a_damaged_result_is_computed_again(verify, tmp_path, capsys):
    assert verify("inverse_sum_dominates") == 0
    for path in (tmp_path / "cache").iterdir():
        path.write_text("[1, 2")
    assert verify("inverse_sum_dominates") == 0
    assert "reused" not in capsys.readouterr().out


def test_unexpected_verdict_gives_exit_status_1(verify, capsys, monkeypatch):
    wrong = replace(THEOREMS[0], expected="fails")
    monkeypatch.setattr(command, "THEOREMS", (wrong, *THEOREMS[1:]))
    assert verify(wrong.name) == 1
    assert f"{wrong.name}: holds, expected fails" in capsys.readouterr().out


def _unable(*_):
    raise RuntimeError("out of order")


BROKEN = {
    "draw": ("draw", "instance seed "),
    "conclusion": ("conclusion", "instance seed "),
    "fixed": ("fixed", "fixed check broken: "),
    "counterexample": ("counterexamples", "counterexample 'broken': "),
    "curves": ("curves", "the figure data cannot be made: "),
}


@pytest.mark.parametrize("part", BROKEN)
def test_an_error_in_one_theorem_fails_it_and_the_others_go_on(part, verify, tmp_path, capsys, monkeypatch):
    field, sentence = BROKEN[part]
    values = {
        "fixed": (Fixed("broken", "an error", _unable),),
        "counterexamples": (*THEOREMS[0].counterexamples, Counterexample("inverse", "broken", "an error", _unable)),
    }
    broken = replace(THEOREMS[0], **{field: values.get(field, _unable)})
    monkeypatch.setattr(command, "THEOREMS", (broken, THEOREMS[2]))
    rows, curves = tmp_path / "rows.json", tmp_path / "curves"
    curves.mkdir()
    (curves / f"{broken.name}.old.csv").write_text("a stale curve")
    assert verify("--json", str(rows), "--curves", str(curves)) == 1
    first, second = json.loads(rows.read_text())
    assert (first["verdict"], first["ok"], second["ok"]) == ("fails", False, True)
    assert first["failure"].startswith(sentence)
    assert "RuntimeError: out of order" in first["failure"]
    assert f"{broken.name}: fails, expected holds; {first['failure']}" in capsys.readouterr().out
    assert not (curves / f"{broken.name}.old.csv").exists()
    assert verify("--curves", str(curves)) == 1  # a failure is not kept


def test_a_failure_names_what_fails(verify, tmp_path, capsys, monkeypatch):
    false = Fixed("two below one", "a false claim", lambda: (Evidence("1 <= 2", 1, 2), Evidence("2 <= 1", 2, 1)))
    monkeypatch.setattr(command, "THEOREMS", (replace(THEOREMS[0], fixed=(false,)),))
    assert verify() == 1
    assert "expected holds; fixed check two below one: 2 <= 1 (margin -1, tolerance 0)" in capsys.readouterr().out


def test_checks_that_could_not_run_are_not_passed_in_silence(verify, tmp_path, capsys, monkeypatch):
    def missing():
        raise ImportError("scikit-learn is not installed")

    rows = tmp_path / "rows.json"
    lacking = replace(THEOREMS[0], fixed=(Fixed("diabetes", "real data", missing),))
    monkeypatch.setattr(command, "THEOREMS", (lacking,))
    for allowed in (False, True):
        assert verify("--json", str(rows), *["--allow-missing"] * allowed) == (not allowed)
        (row,) = json.loads(rows.read_text())
        assert (row["verdict"], row["ok"], row["not_run"]) == ("holds", allowed, ["diabetes"])
        assert "holds, not run: diabetes" in capsys.readouterr().out


def test_unknown_name_suggests_the_nearest(verify, capsys):
    assert verify("lamda_windw") == 2
    error = capsys.readouterr().err
    assert error == "theory: there is no theorem 'lamda_windw': did you mean lambda_window?\n"
    assert verify("zzzz") == 2
    assert NAMES[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["verify", "--seed", "x"], "argument --seed: 'x' is not a non-negative integer"),
        (["verify", "--seed", "-1"], "--seed"),
        (["verify", "--n", "0"], "argument --n: '0' is not a positive integer"),
        (["verify", "--n", "1e3"], "'1e3' is not a positive integer"),
        (["verify", "--level", "slow"], "choose from"),
        (["prove"], "choose from"),
        ([], "required"),
    ],
)
def test_bad_arguments_give_one_sentence(arguments, part, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert part in error
    assert error.count("\n") == 1


def test_unwritable_output_is_found_before_the_work(verify, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert verify("--json", str(tmp_path / "file" / "rows.json")) == 2
    assert "cannot write to" in capsys.readouterr().err
    assert verify("--json", str(tmp_path)) == 2
    assert "is a directory" in capsys.readouterr().err
    assert verify("--curves", str(tmp_path / "file")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
