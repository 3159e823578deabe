"""The recorder: resume after an interruption, repair of a truncated line, no mixing of configs or sources."""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from types import ModuleType

import pytest

from experiments import __main__ as command_line
from experiments import runner
from experiments.runner import Part, Run, read_rows, repair


@dataclass(frozen=True)
class Config:
    seed: int = 3
    n: int = 4


class Interrupted(Exception):
    pass


def toy_study(tmp_path, calls, stop_at=None):
    """A study of n parts of two rows; `calls` collects the parts computed; the part `stop_at` is interrupted."""

    def compute(i):
        calls.append(i)
        yield {"type": "toy", "value": i}
        if i == stop_at:
            raise Interrupted
        yield {"type": "toy", "value": i + 0.5}

    study = ModuleType("experiments.toy")
    study.__file__ = str(tmp_path / "toy.py")
    (tmp_path / "toy.py").write_text("# a study\n")
    study.Config = Config
    study.main = lambda config: (Part(f"part {i}", lambda i=i: compute(i)) for i in range(config.n))
    return study


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "toy.jsonl"


def values(path):
    return [row["value"] for row in read_rows(path)]


def test_rows_carry_what_makes_them_reproducible(tmp_path, path):
    assert Run(toy_study(tmp_path, []), Config(), path).execute() == 8
    row = read_rows(path)[0]
    assert row["study"] == "toy"
    assert row["seed"] == 3
    assert row["config"] == {"seed": 3, "n": 4}
    assert re.fullmatch(r"unknown|[0-9a-f]{12}(-dirty)?", row["revision"])
    assert {"python", "numpy", "scipy", "scikit-learn", "sparseopt"} <= row["versions"].keys()
    assert row["device"].endswith("CPU")
    keys = [row["key"] for row in read_rows(path)]
    assert len(set(keys)) == len(keys) == 8


def test_a_finished_run_is_not_computed_again(tmp_path, path):
    calls = []
    Run(toy_study(tmp_path, calls), Config(), path).execute()
    before = path.read_bytes()
    assert Run(toy_study(tmp_path, calls), Config(), path).execute() == 0
    assert path.read_bytes() == before
    assert calls == [0, 1, 2, 3]


def test_an_interrupted_run_continues_with_the_missing_parts(tmp_path, path):
    calls = []
    with pytest.raises(Interrupted):
        Run(toy_study(tmp_path, calls, stop_at=2), Config(), path).execute()
    with pytest.raises(ValueError, match="holds no finished run"):
        read_rows(path)
    calls.clear()
    assert Run(toy_study(tmp_path, calls), Config(), path).execute() == 4
    assert calls == [2, 3]
    assert values(path) == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_truncated_last_line_is_cut_off_and_its_part_completed(tmp_path, path, cut):
    Run(toy_study(tmp_path, []), Config(), path).execute()
    data = path.read_bytes()
    closing = data.rfind(b"\n", 0, len(data) - 1) + 1
    path.write_bytes(data[: closing - cut])
    calls = []
    Run(toy_study(tmp_path, calls), Config(), path).execute()
    assert calls == [3]
    assert values(path) == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]


def test_a_damaged_line_elsewhere_is_an_error(tmp_path, path):
    Run(toy_study(tmp_path, []), Config(), path).execute()
    lines = path.read_text().splitlines(keepends=True)
    lines[1] = lines[1][:20] + "\n"
    path.write_text("".join(lines))
    with pytest.raises(ValueError, match=r"line 2 of .* is damaged .* delete the file and run again"):
        repair(path)


def test_another_config_or_another_source_starts_anew_and_never_mixes(tmp_path, path):
    calls = []
    Run(toy_study(tmp_path, calls), Config(), path).execute()
    Run(toy_study(tmp_path, calls), Config(n=2), path).execute()
    assert calls == [0, 1, 2, 3, 0, 1]
    assert values(path) == [0, 0.5, 1, 1.5]
    changed = toy_study(tmp_path, calls)
    (tmp_path / "toy.py").write_text("# another study\n")
    Run(changed, Config(n=2), path).execute()
    assert calls[6:] == [0, 1]
    assert len(read_rows(path)) == 4


def test_going_back_to_an_older_config_needs_no_computation_but_makes_it_the_last_run(tmp_path, path):
    calls = []
    for config in (Config(), Config(n=2), Config()):
        Run(toy_study(tmp_path, calls), config, path).execute()
    assert calls == [0, 1, 2, 3, 0, 1]
    assert len(values(path)) == 8


@pytest.mark.parametrize("name", ["solve.py", "_native/csrc/cpu/block.cpp", "_native/CMakeLists.txt"])
def test_a_changed_source_of_sparseopt_changes_the_digest(name, tmp_path, path, monkeypatch):
    study = toy_study(tmp_path, [])
    before = Run(study, Config(), path).digest
    source = tmp_path / "checkout" / "sparseopt" / name
    source.parent.mkdir(parents=True)
    source.write_text("one")
    monkeypatch.setattr(runner, "ROOT", tmp_path / "checkout")
    first = Run(study, Config(), path).digest
    source.write_text("two")
    assert len({before, first, Run(study, Config(), path).digest}) == 3


def test_outside_git_the_revision_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert runner.revision() == "unknown"


def test_infinite_values_are_refused(tmp_path, path):
    study = toy_study(tmp_path, [])
    study.main = lambda config: [Part("bad", lambda: [{"value": float("inf")}])]
    with pytest.raises(ValueError, match="Out of range float"):
        Run(study, Config(), path).execute()


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(ValueError, match="python -m experiments run one_group_window"):
        read_rows(tmp_path / "one_group_window.jsonl")


def test_list_names_every_study(capsys):
    assert command_line.main(["list"]) == 0
    assert capsys.readouterr().out.startswith("one_group_window: The one-group window on real data")


def test_an_unknown_study_suggests_the_nearest(capsys):
    assert command_line.main(["run", "one_group_windw"]) == 2
    assert "did you mean 'one_group_window'?" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_leaves_a_file_that_can_be_continued(tmp_path):
    path = tmp_path / "killed.jsonl"
    command = [sys.executable, "-m", "experiments", "run", "two_groups", "--out", str(path), "--grid", "13"]
    command += ["--workers", "1"]
    with subprocess.Popen(command, cwd=runner.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (path.exists() and path.stat().st_size):
            time.sleep(0.01)
        process.kill()
    rows = len(repair(path))
    finished = subprocess.run(command, cwd=runner.ROOT, capture_output=True, text=True, check=True)
    assert f"wrote {path}" in finished.stdout
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert len(keys) == len(set(keys)) > rows
