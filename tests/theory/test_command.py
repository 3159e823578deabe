"""python -m theory: output, exit status, error sentences, files and resuming."""

from __future__ import annotations

import csv
import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace

import pytest

import theory.__main__ as command
from theory import (
    THEOREMS,
    Counterexample,
    Evidence,
    Fixed,
    Hypothesis,
    MissingExtra,
    Theorem,
    check,
    check_all,
    discover,
)

NAMES = [t.name for t in THEOREMS]


def theorem(name):
    """x^2 >= 0 for x in (-1, 1), which costs nothing."""
    return Theorem(
        name=name,
        ledger="A1",
        title="Squares",
        statement="x^2 >= 0",
        source="a school book",
        kind="certified",
        hypotheses=(Hypothesis("real", "x is real", lambda x: 1 - abs(x.imag)),),
        draw=lambda rng: complex(rng.uniform(-1, 1)),
        conclusion=lambda x: (Evidence("0 <= x^2", 0.0, (x * x).real),),
        counterexamples=(Counterexample("real", "i", "i^2 = -1", lambda: 1j),),
        fixed=(Fixed("one", "1 > 0", lambda: (Evidence("0 <= 1", 0, 1),)),),
        curves=lambda seed: {"parabola": {"x": [0.0, 1.0], "y": [0.0, 1.0]}, "dot": {"x": [seed]}},
    )


FIRST, SECOND, THIRD = (theorem(name) for name in ("first_square", "second_square", "third_square"))


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """Runs the command on three theorems that cost nothing."""
    monkeypatch.setattr(command, "THEOREMS", (FIRST, SECOND, THIRD))
    always = ["--n", "2", "--workers", "1", "--cache", str(tmp_path / "cache")]
    return lambda *arguments: command.main(["verify", *arguments, *always])


def test_list(capsys):
    assert command.main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES)


def test_list_of_one_shows_its_hypotheses(monkeypatch, capsys):
    monkeypatch.setattr(command, "THEOREMS", (FIRST, SECOND))
    assert command.main(["list", "second_square"]) == 0
    out = capsys.readouterr().out
    assert "first_square" not in out
    assert "Hypothesis real: x is real\n    without it, i: i^2 = -1\n" in out
    assert command.main(["list", "secnd_square", "--json"]) == 2
    assert capsys.readouterr().err == "theory: there is no theorem 'secnd_square': did you mean second_square?\n"


def test_list_json(capsys):
    assert command.main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in rows] == NAMES
    assert all({"name", "ledger", "source", "kind", "verdict"} <= set(r) for r in rows)


def test_verify_writes_rows_and_curves(verify, tmp_path, capsys):
    rows, curves = tmp_path / "deep" / "rows.json", tmp_path / "curves"
    assert verify("second_square", "--json", str(rows), "--curves", str(curves), "--seed", "5") == 0
    (found,) = json.loads(rows.read_text())
    values = {"name": "second_square", "ledger": "A1", "kind": "certified", "verdict": "holds", "ok": True, "seed": 5}
    assert values.items() <= found.items()
    assert (found["n"], found["instances"]) == (2, 2)
    assert {"worst_margin", "seconds"} <= found.keys()
    names = sorted(p.name for p in curves.iterdir())
    assert names == ["second_square.dot.csv", "second_square.parabola.csv"]
    with (curves / names[0]).open(newline="") as file:
        assert list(csv.reader(file)) == [["x"], ["5"]]
    out = capsys.readouterr().out
    assert f"wrote {rows}" in out
    assert f"wrote {curves / names[1]}" in out


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_interrupted_run_continues(error, verify, tmp_path, capsys, monkeypatch):
    first, second = tmp_path / "first.json", tmp_path / "second.json"

    def interrupted(requests, **choices):
        yield next(check_all(requests, **choices))
        raise error

    monkeypatch.setattr(command, "check_all", interrupted)
    if error is KeyboardInterrupt:
        assert verify() == 130
        assert capsys.readouterr().err.endswith("run it again\n")
    else:
        with pytest.raises(ZeroDivisionError):
            verify()
    monkeypatch.setattr(command, "check_all", check_all)
    assert verify("--json", str(first)) == 0
    assert "reused finished results of first_square from" in capsys.readouterr().out
    assert verify("--json", str(second)) == 0
    assert first.read_text() == second.read_text()


@pytest.mark.slow
def test_rows_do_not_depend_on_the_number_of_workers(tmp_path):
    found = []
    for workers in ("1", "2", "3"):
        path = tmp_path / f"{workers}.json"
        chosen = ["inverse_sum_dominates", "lambda_window", "--n", "9", "--workers", workers]
        assert command.main(["verify", *chosen, "--json", str(path), "--cache", str(tmp_path / workers)]) == 0
        found.append([{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(path.read_text())])
    assert found[0] == found[1] == found[2]


def test_a_missing_extra_is_named_and_what_rests_on_it_is_sampled(verify, tmp_path, capsys, monkeypatch):
    def missing():
        raise MissingExtra('python-flint is not installed: pip install "sparseopt[certify]"')

    lacking = replace(FIRST, fixed=(Fixed("digits of W", "in ball arithmetic", missing, certifies=True),))
    monkeypatch.setattr(command, "THEOREMS", (lacking,))
    path = tmp_path / "rows.json"
    assert verify("--json", str(path), "--allow-missing") == 0
    (row,) = json.loads(path.read_text())
    assert (row["kind"], row["not_run"]) == ("sampled", ["digits of W"])
    assert 'digits of W: not run: python-flint is not installed: pip install "sparseopt[certify]"' in (
        capsys.readouterr().out
    )


RESTS_ON_BALLS = {
    "duality_gap_bounds": ("three arithmetics", "certified"),
    "exp_mask_is_lambert": ("Lambert function", "sampled"),
    "exp_mask_is_not_subadditive": ("digits", "sampled"),
    "fista_rate": ("certificates in balls", "sampled"),
}


@pytest.mark.parametrize("name", RESTS_ON_BALLS)
def test_without_python_flint_a_theorem_holds_and_says_what_it_lacks(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)  # importing it raises ImportError
    (case,) = (t for t in THEOREMS if t.name == name)
    lacking, kind = RESTS_ON_BALLS[name]
    part = replace(case, fixed=tuple(f for f in case.fixed if f.name == lacking))
    report = check(part, 2, allow_missing=True)
    assert (report.ok, report.kind, report.not_run) == (True, kind, (lacking,))
    assert report.fixed[0].problem == 'not run: python-flint is not installed: pip install "sparseopt[certify]"'


def test_without_pepit_recording_ends_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "PEPit", None)
    monkeypatch.delitem(sys.modules, "theory.solvers.estimation")  # it is run as if from the command line
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("theory.solvers.estimation", run_name="__main__")
    assert stop.value.code == 'theory: PEPit is not installed: pip install "sparseopt[pep]"'


def test_without_joblib_one_sentence_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "THEOREMS", (FIRST,))
    monkeypatch.setitem(sys.modules, "joblib", None)  # importing it raises ImportError
    arguments = ["verify", "--n", "8", "--cache", str(tmp_path), "--workers"]
    assert command.main([*arguments, "2"]) == 2
    assert capsys.readouterr().err == 'theory: joblib is not installed: pip install "sparseopt[cli]"\n'
    assert command.main([*arguments, "1"]) == 0


def test_a_damaged_result_is_computed_again(verify, tmp_path, capsys):
    assert verify("first_square") == 0
    for path in (tmp_path / "cache").iterdir():
        path.write_text("[1, 2")
    assert verify("first_square") == 0
    assert "reused" not in capsys.readouterr().out


def test_unexpected_verdict_gives_exit_status_1(verify, capsys, monkeypatch):
    wrong = replace(FIRST, expected="fails")
    monkeypatch.setattr(command, "THEOREMS", (wrong, SECOND))
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
        "counterexamples": (*FIRST.counterexamples, Counterexample("real", "broken", "an error", _unable)),
    }
    broken = replace(FIRST, **{field: values.get(field, _unable)})
    monkeypatch.setattr(command, "THEOREMS", (broken, SECOND))
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
    monkeypatch.setattr(command, "THEOREMS", (replace(FIRST, fixed=(false,)),))
    assert verify() == 1
    assert "expected holds; fixed check two below one: 2 <= 1 (margin -1, tolerance 0)" in capsys.readouterr().out


def test_checks_that_could_not_run_are_not_passed_in_silence(verify, tmp_path, capsys, monkeypatch):
    def missing():
        raise ImportError("scikit-learn is not installed")

    rows = tmp_path / "rows.json"
    lacking = replace(FIRST, fixed=(Fixed("diabetes", "real data", missing),))
    monkeypatch.setattr(command, "THEOREMS", (lacking,))
    for allowed in (False, True):
        assert verify("--json", str(rows), *["--allow-missing"] * allowed) == (not allowed)
        (row,) = json.loads(rows.read_text())
        assert (row["verdict"], row["ok"], row["not_run"]) == ("holds", allowed, ["diabetes"])
        assert "holds, not run: diabetes" in capsys.readouterr().out


def test_unknown_name_suggests_the_nearest(verify, capsys):
    assert verify("secnd_squar") == 2
    error = capsys.readouterr().err
    assert error == "theory: there is no theorem 'secnd_squar': did you mean second_square?\n"
    assert verify("zzzz") == 2
    assert FIRST.name in capsys.readouterr().err
    assert verify("a1") == 2
    assert "did you mean first_square or second_square or third_square?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["verify", "--seed", "x"], "argument --seed: 'x' is not a non-negative integer"),
        (["verify", "--seed", "-1"], "--seed"),
        (["verify", "--n", "0"], "argument --n: '0' is not a positive integer"),
        (["verify", "--n", "1e3"], "'1e3' is not a positive integer"),
        (["verify", "--n", "9" * 5000], "'999999999999999999'... (5000 characters) is not a positive integer"),
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
    assert verify("--json", str(tmp_path / ("a" * 300))) == 2
    assert "File name too long; what is finished is kept in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["list", "verify pruning_schedule_and_clip --n 3 --workers 1"]
)  # more, and less than a buffer holds
def test_a_reader_that_has_seen_enough(words, tmp_path):
    cache = ["--cache", str(tmp_path)] if words.startswith("verify") else []
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        found = subprocess.run(
            [sys.executable, "-m", "theory", *words.split(), *cache],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )
    assert found.returncode == 141
    assert "BrokenPipe" not in found.stderr


def test_a_theorem_without_a_number_comes_last():
    entries = ["new", "B1", "A10", "A2"]
    found = sorted((replace(FIRST, ledger=entry) for entry in entries), key=discover._place)
    assert [t.ledger for t in found] == ["A2", "A10", "B1", "new"]
