"""What the runs recorded: curves and verdicts of the theorems, rows of the studies.  Read only, never computed."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.runner import ROOT, read_rows

VERIFY = "python -m theory verify --json out/theory/verdicts.json --curves out/theory/curves"

MEASURED = ROOT / "experiments" / "results" / "cpu"
"""Committed measurements: times, which nobody can make again to the digit."""


class MissingDataError(ValueError):
    """Recorded data are missing or damaged; the message names the command that makes them."""


@dataclass(frozen=True)
class Recorded:
    """The files under `folder`, the out/ of a checkout: theory/verdicts.json, theory/curves/, experiments/.

    measured: folder of the committed measurements.
    """

    folder: Path
    measured: Path = MEASURED

    def curve(self, theorem: str, name: str) -> dict[str, np.ndarray]:
        """Columns of theory/curves/<theorem>.<name>.csv: float arrays [m], or strings where a column is not numeric.

        Raises MissingDataError, naming the command that makes the file, when it is missing or empty.
        """
        return read_curve(self.folder / "theory" / "curves" / f"{theorem}.{name}.csv")

    @cached_property
    def verdicts(self) -> list[dict[str, Any]]:
        """The rows of theory/verdicts.json.  Raises MissingDataError when the file is missing or damaged."""
        path = self.folder / "theory" / "verdicts.json"
        if not path.exists():
            raise MissingDataError(f"{path} is missing: run `{VERIFY}`")
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise MissingDataError(f"{path} is damaged ({error.msg}): run `{VERIFY}`") from error

    def verdict(self, theorem: str) -> dict[str, Any]:
        """The row of one theorem.  Raises MissingDataError when it was not verified."""
        for row in self.verdicts:
            if row["name"] == theorem:
                return row
        raise MissingDataError(f"{theorem} is not in {self.folder / 'theory' / 'verdicts.json'}: run `{VERIFY}`")

    @cached_property
    def window(self) -> list[dict[str, Any]]:
        """All rows of the study one_group_window.  Raises MissingDataError when there is no finished run."""
        return self.again("one_group_window")

    @cached_property
    def two_groups(self) -> list[dict[str, Any]]:
        """All rows of the study two_groups.  Raises MissingDataError when there is no finished run."""
        return self.again("two_groups")

    def committed(self, study: str) -> list[dict[str, Any]]:
        """The rows of the committed run of a study.  Raises MissingDataError when there is none."""
        return _rows(self.measured / f"{study}.jsonl")

    def again(self, study: str) -> list[dict[str, Any]]:
        """The rows of the last run of a study here.  Raises MissingDataError when there is no finished one."""
        return _rows(self.folder / "experiments" / f"{study}.jsonl")

    @cached_property
    def branch_and_bound(self) -> list[dict[str, Any]]:
        """The rows of the committed run of the study branch_and_bound.  Raises MissingDataError when there is none."""
        return self.committed("branch_and_bound")

    @cached_property
    def solver_cost(self) -> list[dict[str, Any]]:
        """The committed rows of the benchmark solver_cost.  Raises MissingDataError when they are missing."""
        path = self.measured / "solver_cost.jsonl"
        if not path.exists():
            raise MissingDataError(f"{path} is missing: run `make bench-solvers` and copy out/bench/{path.name}")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def window_rows(self, kind: str, dataset: str | None = None) -> list[dict[str, Any]]:
        """The rows of one type ("window", "active", "certificate", "competitor"), of all data sets or of one."""
        return [row for row in self.window if row["type"] == kind and dataset in (None, row["dataset"])]

    def require(self) -> None:
        """Raise MissingDataError at once when verdicts or studies are missing, rather than after the first figures."""
        _ = self.verdicts, self.window, self.two_groups

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, in the order of the study."""
        return [row["dataset"] for row in self.window_rows("window")]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return read_rows(path)
    except ValueError as error:
        raise MissingDataError(str(error)) from error


def read_curve(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file with a header row, as `Recorded.curve` describes them."""
    if not path.exists():
        raise MissingDataError(f"{path} is missing: run `{VERIFY}`")
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if not rows or any(len(row) != len(header) for row in rows):
        raise MissingDataError(f"{path} has no rows, or rows of another length than its header: run `{VERIFY}`")
    return {name: _column(values) for name, values in zip(header, zip(*rows, strict=True), strict=True)}


def prose(name: str, **values: Any) -> str:
    """The text of paper_figures/prose/<name>; a .txt file is one paragraph with {placeholders} for `values`."""
    text = (Path(__file__).parent / "prose" / name).read_text(encoding="utf-8")
    return " ".join(text.split()).format(**values) if name.endswith(".txt") else text


def _column(values: tuple[str, ...]) -> np.ndarray:
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return np.array(values)
