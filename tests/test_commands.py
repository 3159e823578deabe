"""The set-up and the commands: stamps, the build without a compiler, and a fresh clone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bootstrap():
    """The set-up script as a module."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / ".ci" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(bootstrap, tmp_path, monkeypatch):
    """A made-up checkout for it: just the files that the stamps depend on."""
    source = tmp_path / "sparseopt" / "_native" / "csrc" / "cpu"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", "sparseopt/_native/CMakeLists.txt"):
        (tmp_path / name).write_text("one")
    (source / "block.cpp").write_text("one")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "__file__", str(tmp_path / "constraints.txt"))
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        (None, ()),
        ("sparseopt/_native/csrc/cpu/block.cpp", ("native",)),
        ("sparseopt/_native/CMakeLists.txt", ("native",)),
        ("sparseopt/_native/csrc/new.h", ("native",)),
        ("constraints.txt", ("packages", "native")),
        ("pyproject.toml", ("packages", "native")),
    ],
)
def test_what_a_change_sets_up_again(bootstrap, checkout, changed, stages):
    before = bootstrap.wanted_stamps(kernels=False)
    for path in checkout.rglob("*"):
        os.utime(path, (0, 0))  # dates do not count
    if changed:
        (checkout / changed).write_text("two")
    assert bootstrap.stages_to_do(bootstrap.wanted_stamps(kernels=False), before) == stages


def test_another_interpreter_or_torch_choice_sets_up_again(bootstrap, checkout, monkeypatch):
    before = bootstrap.wanted_stamps(kernels=False)
    monkeypatch.setenv("SPARSEOPT_TORCH", "none")
    assert bootstrap.stages_to_do(bootstrap.wanted_stamps(kernels=False), before) == ("packages", "native")
    monkeypatch.delenv("SPARSEOPT_TORCH")
    monkeypatch.setattr(sys, "version", "3.99.0")
    assert bootstrap.stages_to_do(bootstrap.wanted_stamps(kernels=False), before) == bootstrap.STAGES


class Interrupted(Exception):
    """Stands for control-C."""


def test_an_interrupted_set_up_goes_on_where_it_stopped(bootstrap, checkout, monkeypatch):
    done, broken = [], {"packages"}

    class Environment:
        def __init__(self, folder, kernels):
            self.folder = folder

        def interpreter(self):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            done.append("interpreter")

        def packages(self):
            if broken:
                raise Interrupted
            done.append("packages")

        def native(self):
            done.append("native")

    monkeypatch.setattr(bootstrap, "Environment", Environment)
    with pytest.raises(Interrupted):
        bootstrap.set_up(checkout / ".venv", kernels=False)
    assert done == ["interpreter"]
    broken.clear()
    bootstrap.set_up(checkout / ".venv", kernels=False)
    bootstrap.set_up(checkout / ".venv", kernels=False)
    assert done == ["interpreter", "packages", "native"]
    (checkout / "sparseopt/_native/csrc/cpu/block.cpp").write_text("two")
    bootstrap.set_up(checkout / ".venv", kernels=False)
    assert done == ["interpreter", "packages", "native", "native"]


def test_a_half_written_stamp_counts_as_none(bootstrap, tmp_path):
    (tmp_path / "setup.json").write_text('{"interpreter": "ab')
    assert bootstrap.read_stamps(tmp_path / "setup.json") == {}


@pytest.mark.parametrize("state", ["editable", "wheel"])
@pytest.mark.parametrize("choice", ["OFF", "ON", None])
def test_the_choice_of_cuda_reaches_the_build(choice, state, monkeypatch):
    settings = pytest.importorskip(
        "scikit_build_core.settings.skbuild_read_settings", reason="only the set-up needs it"
    )
    monkeypatch.delenv("SPARSEOPT_CUDA", raising=False)
    if choice is not None:
        monkeypatch.setenv("SPARSEOPT_CUDA", choice)
    found = settings.SettingsReader.from_file(ROOT / "pyproject.toml", state=state).settings.cmake.define
    assert found["SPARSEOPT_CUDA"] == (choice or "AUTO")
    assert ("SPARSEOPT_EMULATOR" in found) == (state == "editable")


def test_an_old_interpreter_is_refused_in_one_sentence(bootstrap, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed, this is 3\.9"):
        bootstrap.main()


def test_no_wheel_of_torch_is_one_clear_sentence(bootstrap, checkout, monkeypatch):
    monkeypatch.delenv("SPARSEOPT_TORCH", raising=False)
    monkeypatch.setattr(bootstrap, "interpreter_has", lambda module: False)
    environment = bootstrap.Environment(checkout / ".venv", kernels=False)
    commands = []
    monkeypatch.setattr(environment, "pip", lambda *a, **k: commands.append(a))
    with pytest.raises(SystemExit, match="SPARSEOPT_TORCH=none"):
        environment.torch()
    assert all(any(a.startswith("torch==") for a in command) for command in commands)
    if sys.platform == "linux":  # never the packages with CUDA
        assert all(any(a.endswith("+cpu") for a in command) for command in commands)


def test_the_report_of_the_build():
    result = subprocess.run([sys.executable, "-m", "sparseopt"], capture_output=True, text=True, check=True, cwd=ROOT)
    first_words = [line.split("  ")[0] for line in result.stdout.splitlines()]
    for what in ("sparseopt", "python", "native core", "cuda devices", "threads", "numpy", "scipy", "array-api-compat"):
        assert what in first_words
    assert "torch" in first_words


def test_the_report_of_the_build_takes_no_arguments():
    command = [sys.executable, "-m", "sparseopt", "foo"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 2
    assert "unrecognized arguments: foo" in result.stderr
    assert result.stdout == ""


STEP = """#!/bin/sh
echo "step $2"
case "$FAILING" in *$2*) failed=1;; esac
[ "$2" = theory ] && [ "$FAILING" != "theory crashes" ] && echo new > out/theory/verdicts.json
[ "$2" = paper_figures ] && { cp out/theory/verdicts.json out/report.html || exit 1; }
exit ${failed:-0}
"""
"""Stands for Python in the steps of `make reproduce`: the report is a copy of the verdicts."""


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("failing", "report"),
    [
        ("", "new\n"),
        ("theory", "new\n"),
        ("paper_figures", "new\n"),
        ("theory crashes", None),
        ("experiments", None),
    ],
)
def test_a_failing_step_of_reproduce_fails_and_leaves_no_old_report(failing, report, tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "step").write_text(STEP)
    (tmp_path / "step").chmod(0o755)
    (tmp_path / "out" / "theory").mkdir(parents=True)
    for old in ("report.html", "theory/verdicts.json"):
        (tmp_path / "out" / old).write_text("old")
    command = ["make", "reproduce", "PYTHON=true", "PY=./step"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | {"FAILING": failing}
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
    assert (result.returncode != 0) == bool(failing), result.stdout + result.stderr
    found = tmp_path / "out" / "report.html"
    assert (found.read_text() if found.exists() else None) == report


def test_the_report_without_the_core():
    env = os.environ | {"SPARSEOPT_DISABLE_NATIVE": "1"}
    without_torch = "import runpy, sys; sys.modules['torch'] = None; runpy.run_module('sparseopt', run_name='__main__')"
    command = [sys.executable, "-c", without_torch]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=env)
    assert "native core        no: switched off by SPARSEOPT_DISABLE_NATIVE=1" in result.stdout
    assert "unknown (torch, which is asked, is not installed)" in result.stdout


def clone(folder):
    """The committed state in a new folder."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout, or git is not installed")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    return folder


def without_compilers(folder):
    """A folder to be the whole PATH: this interpreter and what pip needs, but no compiler."""
    folder.mkdir()
    for tool in ("env", "sh", "uname", "git", "cmake", "ninja"):
        if shutil.which(tool):
            (folder / tool).symlink_to(shutil.which(tool))
    return str(folder)


@pytest.mark.slow
def test_a_wheel_without_a_compiler_is_pure_python(tmp_path):
    checkout = clone(tmp_path / "checkout")
    environment = {"PATH": without_compilers(tmp_path / "bin"), "HOME": os.environ.get("HOME", str(tmp_path))}
    build = ["-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(tmp_path), str(checkout)]
    refused = environment | {"SPARSEOPT_REQUIRE_NATIVE": "1"}
    assert subprocess.run([sys.executable, *build], capture_output=True, env=refused, check=False).returncode != 0
    subprocess.run([sys.executable, *build], check=True, env=environment)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    site = Path(pytest.__file__).parent.parent  # on the path by name: the editable install of this checkout stays out
    command = [sys.executable, "-S", "-c", PURE_PYTHON, str(wheel), str(site)]
    subprocess.run(command, check=True, cwd=tmp_path)


PURE_PYTHON = """
import sys, zipfile
wheel, site = sys.argv[1:]
sys.path[:0] = [wheel, site]
import numpy as np, sparseopt
from sparseopt._native import HAS_NATIVE, block_prox, build_info
assert sparseopt.__file__.startswith(wheel), sparseopt.__file__
assert not HAS_NATIVE, build_info()
assert "not built" in build_info()["reason"], build_info()
x = block_prox(np.full((4, 4), 3.0), (2, 2), sparseopt.penalties.Linear(), 3.0)
assert np.allclose(x, 1.5), x
assert not any(name.endswith((".cpp", ".cu", ".so")) for name in zipfile.ZipFile(wheel).namelist())
"""


INSIDE = "SPARSEOPT_TESTS_OF_A_CLONE"
"""Set for the commands in a fresh clone, so that its tests make no clone of their own."""

HALF_AN_HOUR = 1800


def make(checkout, *targets, **variables):
    """(seconds, output) of make in a checkout, with the interpreter behind this environment and these variables.

    The core is compiled without CUDA and without optimisation, packages without bytecode: the set-up of this checkout
    has done all that.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    start = time.time()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTEST"))}
    env |= {
        INSIDE: "1",
        "SPARSEOPT_CUDA": "OFF",
        "SKBUILD_CMAKE_BUILD_TYPE": "Debug",
        "PIP_NO_COMPILE": "1",
    } | variables
    command = ["make", f"PYTHON={base}", *targets]
    result = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True, check=False, env=env, timeout=HALF_AN_HOUR
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return time.time() - start, result.stdout


@pytest.mark.slow
@pytest.mark.first
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.skipif(INSIDE in os.environ, reason="these are the tests of a fresh clone already")
def test_the_commands_in_a_fresh_clone(tmp_path):
    """A few files of the tests and the quick level of the theorems stand for all, which .ci/run runs."""
    checkout = clone(tmp_path / "checkout")
    make(checkout, "setup")
    seconds, output = make(checkout, "setup")
    assert "up to date" in output
    assert seconds < 5
    _, output = make(checkout, "reproduce", "LEVEL=quick")
    assert "out/report.html" in output.strip().splitlines()[-1]
    assert (checkout / "out" / "report.html").stat().st_size > 0
    _, output = make(checkout, "test", PYTEST_ADDOPTS="tests/test_commands.py tests/native/test_blocks.py")
    assert "wrote out/tests/fast.xml" in output
    status = subprocess.run(["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True)
    assert status.stdout == ""
    assert "help" in make(checkout, "help")[1]
