"""Who may import whom, and what `import sparseopt` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BASE = {"_array", "_native", "deadline", "groups", "k_support"}
FORMULAS = {"penalties", "sets", "datafits", "soft_topk"}
PROBLEM = BASE | FORMULAS | {"first_reading", "problem", "recentred", "span_fit", "unpenalised"}
SOLVERS = {"result", "solve", "advice", "finer_fit", "range", "solvers"}
SOLVERS |= {"path", "solution_path", "standardise", "certify"}
PATHS = {"gram", "selection"}
ALLOWED = {
    "_array": set(),
    "_native": set(),
    "deadline": set(),
    "groups": {"_array"},
    "growth": {"_array"},
    "k_support": set(),
    "provenance": set(),
    **{part: BASE | {part} for part in FORMULAS},
    "soft_topk": BASE | {"soft_topk", "sets"},  # whose projection is one of the alternatives
    "span_fit": BASE | FORMULAS,
    "unpenalised": BASE | FORMULAS | {"span_fit"},
    "first_reading": BASE | FORMULAS,
    "problem": BASE | FORMULAS | {"first_reading", "recentred", "unpenalised"},  # which makes a problem of a problem
    "recentred": BASE | {"datafits", "problem"},
    **{part: PROBLEM | SOLVERS for part in SOLVERS},
    **{part: PROBLEM | SOLVERS for part in PATHS},
    "datasets": BASE,
    "estimators": PROBLEM | SOLVERS | PATHS,
    "testing": PROBLEM | SOLVERS,
    "kernels": BASE | {"penalties", "sets", "soft_topk"},
    "pruning": BASE | {"penalties", "sets", "soft_topk", "kernels", "growth"},
}
"""Which parts of sparseopt each part may import (itself always): the arrows of the design."""

HEAVY = {
    "torch": {"kernels", "pruning", "__main__"},
    "matplotlib": {"solution_path", "pruning"},
    "sklearn": {"datasets", "estimators"},
    "pandas": set(),
    "joblib": {"selection", "estimators", "solvers"},
    "dask": {"gram"},
    "hypothesis": {"testing"},
    "flint": {"certify"},
}
"""Modules that only these parts may import, and (outside kernels and pruning) only inside functions."""

OPTIONAL = ("dask", "torch", "matplotlib", "sklearn", "pandas", "joblib", "hypothesis", "flint")
UNWANTED = (*OPTIONAL, "scipy.optimize", "scipy.stats")


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path, *, top_level: bool = False) -> frozenset[str]:
    """Absolute dotted names that a file imports; top_level: without those inside functions."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    names, stack = set(), [parsed(file)]
    while stack:
        node = stack.pop()
        if top_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            names |= {f"{module}.{alias.name}" for alias in node.names}
        if not isinstance(node, ast.expr):  # which no import is part of
            stack += ast.iter_child_nodes(node)
    return frozenset(names)


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def part(file: Path) -> str:
    return file.relative_to(ROOT / "sparseopt").with_suffix("").parts[0]


def imported_parts(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("sparseopt.") and not name.endswith("__version__")}


@pytest.mark.parametrize("file", sources("sparseopt"), ids=lambda f: str(f.relative_to(ROOT)))
def test_sparseopt_respects_its_layers(file):
    own = part(file)
    if own in ("__init__", "__main__"):
        return
    assert own in ALLOWED, f"{own} is in no layer: add it to ALLOWED, where the design puts it"
    excess = imported_parts(imports(file)) - ALLOWED[own] - {own}
    assert not excess, f"{file.name} of layer {own} imports {sorted(excess)}"


@pytest.mark.parametrize("file", sources("sparseopt"), ids=lambda f: str(f.relative_to(ROOT)))
def test_heavy_modules_are_imported_where_they_may(file):
    own, everywhere, at_top = part(file), imports(file), imports(file, top_level=True)
    for heavy, allowed in HEAVY.items():
        if any(name.split(".")[0] == heavy for name in everywhere):
            assert own in allowed, f"{own} imports {heavy}"
    if own not in ("kernels", "pruning"):
        unwanted = tuple(name for name in UNWANTED if not (own == "estimators" and name == "sklearn"))
        late = {name for name in at_top if name.startswith(unwanted)}
        assert not late, f"{sorted(late)} must be imported inside the functions that need them"


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("sparseopt", {"theory", "experiments", "paper_figures", "tests"}),
        ("theory", {"experiments", "paper_figures", "tests", "torch", "matplotlib"}),
        ("experiments", {"paper_figures", "tests", "matplotlib"}),
        ("paper_figures", {"sparseopt", "tests", "torch"}),
    ],
)
def test_packages_import_downwards_only(package, forbidden):
    for file in sources(package):
        found = {name.split(".")[0] for name in imports(file)} & forbidden
        if package == "paper_figures":
            found -= {"sparseopt"} if _only_version(file) else set()
        assert not found, f"{file.relative_to(ROOT)} imports {sorted(found)}"


def _only_version(file: Path) -> bool:
    """The report may ask for the version and the build, nothing that computes."""
    names = {name for name in imports(file) if name.split(".")[0] == "sparseopt"}
    return names <= {"sparseopt", "sparseopt.__version__", "sparseopt._native.build_info", "sparseopt.__main__"}


def test_no_private_name_of_a_solver_or_datafit_is_used_by_the_certificates():
    for file in sources("sparseopt/certify"):
        taken = {name for name in imports(file) if name.rsplit(".", 1)[-1].startswith("_")}
        assert not taken - {"__future__.annotations"}, f"{file.name} imports {sorted(taken)}"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_import_loads_nothing_heavy():
    loaded = run("import sys, sparseopt; print(*sys.modules)").split()
    assert not {name for name in UNWANTED if name in loaded}


def test_names_are_there_after_the_import():
    run("import sparseopt as so; so.penalties.Power, so.solvers.FISTA, so.certify.duality_gap, so.testing.check_set")


def test_import_is_cheap():
    timer = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"
    baseline, own = [], []
    for _ in range(5):  # once, unless something else was in the way
        baseline.append(float(run(timer.format("numpy, scipy.sparse"))))
        own.append(float(run(timer.format("sparseopt"))))
        if min(own) <= 1.5 * min(baseline) + 0.1:
            return
    raise AssertionError(f"{min(own):.2f} s of CPU, NumPy and scipy.sparse alone {min(baseline):.2f} s")


def test_the_package_is_marked_as_typed():
    assert (ROOT / "sparseopt" / "py.typed").is_file()
