"""Where a study is computed changes nothing in its rows; what is missing is said in one sentence."""

import json
import sys
import time
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest

from experiments import __main__ as command_line
from experiments.backends import Dask, Joblib, Slurm
from experiments.runner import Part, Run, read_rows


@dataclass(frozen=True)
class Config:
    seed: int = 3
    n: int = 6


def study(tmp_path):
    """A study of n parts; in a module of the tests, it is sent to workers as it stands, not by its name."""

    def rows(seed, i):
        """Two rows that depend on a sum which BLAS may split among threads; the first parts are the slowest."""
        X = np.random.default_rng([seed, i]).standard_normal((120, 120))
        time.sleep(0.02 * (3 - i) * (i < 3))
        yield from ({"type": "toy", "value": float((X @ X)[k, k])} for k in range(2))

    made = ModuleType("experiments.toy")
    made.__file__ = str(tmp_path / "toy.py")
    (tmp_path / "toy.py").write_text("# a study\n")
    made.Config = Config
    made.main = lambda config: [Part(f"part {i}", lambda i=i, seed=config.seed: rows(seed, i)) for i in range(config.n)]
    return made


@pytest.fixture
def alone(tmp_path):
    """The rows of one worker."""
    return rows_of(tmp_path, Joblib())


def rows_of(tmp_path, backend):
    path = tmp_path / f"{type(backend).__name__}-{backend.workers}.jsonl"
    assert Run(study(tmp_path), Config(), path, backend).execute() == 12
    return read_rows(path)


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one_in_the_same_order(tmp_path, alone):
    assert rows_of(tmp_path, Joblib(2)) == alone
    assert [row["part"] for row in alone] == sorted(list(range(6)) * 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_jobs_that_are_submitted_give_the_same_rows(tmp_path, alone):
    pytest.importorskip("submitit", reason="submitit is not installed")
    assert rows_of(tmp_path, Slurm(tmp_path / "jobs", per_job=4, cluster="debug")) == alone


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_dask_and_local_jobs_give_the_same_rows(tmp_path, alone):
    pytest.importorskip("distributed", reason="distributed is not installed")
    pytest.importorskip("submitit", reason="submitit is not installed")
    assert rows_of(tmp_path, Dask(2)) == alone
    assert rows_of(tmp_path, Slurm(tmp_path / "jobs", workers=2, per_job=3, cluster="local")) == alone


def test_rows_that_were_finished_before_a_crash_are_kept_and_end_in_the_order_of_the_study(tmp_path, alone):
    """Three parts of a run are recorded, in another order than that of the study; the rest is computed after it."""

    @dataclass(frozen=True)
    class Crashing:
        workers: int = 1

        def results(self, calls):
            for i in (4, 1, 2):
                yield i, calls[i]()
            raise SystemExit("killed")

    path = tmp_path / "crashed.jsonl"
    with pytest.raises(SystemExit):
        Run(study(tmp_path), Config(), path, Crashing()).execute()
    assert Run(study(tmp_path), Config(), path, Joblib()).execute() == 6
    assert read_rows(path) == alone
    written = [json.loads(line)["part"] for line in path.read_text().splitlines()[:-1]]
    assert written == [4, 4, 1, 1, 2, 2, 0, 0, 3, 3, 5, 5]


def test_what_is_missing_or_wrong_is_said_in_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.backends.shutil.which", lambda name: None)
    run = ["run", "two_groups", "--out", str(tmp_path / "rows.jsonl")]
    assert command_line.main([*run, "--backend", "slurm"]) == 2
    assert "sbatch is not on the PATH" in capsys.readouterr().err
    assert command_line.main([*run, "--full"]) == 2
    assert capsys.readouterr().err == "experiments: two_groups has one size only: run it without --full\n"
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert command_line.main([*run, "--backend", "dask"]) == 2
    assert 'pip install "sparseopt[dask]"' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command_line.main([*run, "--workers", "two"])
    assert "'two' is not a positive integer" in capsys.readouterr().err


def test_another_seed_gives_other_rows(tmp_path, alone):
    path = tmp_path / "other.jsonl"
    Run(study(tmp_path), replace(Config(), seed=4), path).execute()
    assert [row["value"] for row in read_rows(path)] != [row["value"] for row in alone]
