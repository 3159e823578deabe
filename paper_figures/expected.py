"""Figure data that are committed: thinned, rounded tables of what the figures draw, in expected/<figure>.<table>.csv.

`python -m paper_figures --accept` writes them from the recorded data; the tests compare them with regenerated data.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import studies
from .figures import CURVES
from .recorded import Recorded

FOLDER = Path(__file__).with_name("expected")

DIGITS = 6
"""Significant digits of the committed numbers."""

Table = dict[str, list[Any]]


def tables(recorded: Recorded) -> dict[str, Callable[[], Table]]:
    """Name -> function that makes the table from the recorded data.  Numbers are not rounded yet."""
    return {
        "one_group_global_optimum.margins": lambda: _medians(recorded.curve("one_group_global_optimum", "margins")),
        "one_group_global_optimum.certificates": lambda: _columns(
            recorded.window_rows("certificate"), ("dataset", "rho", "verdict", "lam_ratio", "n_active", "norm")
        ),
        "one_group_global_optimum.competitors": lambda: _competitors(recorded.window_rows("competitor")),
        "lambda_window.windows": lambda: _columns(
            recorded.window_rows("window"),
            ("dataset", "lambda_max", "lower_ratio", "group_name", "n_samples", "n_features", "n_groups"),
        ),
        "lambda_window.active": lambda: _columns(
            recorded.window_rows("active"), ("dataset", "lam_ratio", "n_active", "in_window", "verdict")
        ),
        **{f"{theorem}.{curve}": _thinner(recorded, theorem, curve, step) for theorem, curve, step in CURVES},
        "two_groups.paths": lambda: _paths([row for row in recorded.two_groups if row["type"] == "path"]),
        "two_groups.resting": lambda: _points([row for row in recorded.two_groups if row["type"] == "resting"]),
        "branch_and_bound.searches": lambda: _columns(
            recorded.branch_and_bound,
            ("penalty", "n_groups", "instance", "cpu_seconds", "nodes", "proved", "objective", "true_groups_found"),
        ),
        **studies.tables(recorded),
        "solver_cost.best": lambda: _best(recorded.solver_cost),
        "two_groups.contours": lambda: _grids([row for row in recorded.two_groups if row["type"] == "grid"]),
    }


def accept(recorded: Recorded, folder: Path = FOLDER) -> list[Path]:
    """Write every table, rounded to DIGITS significant digits; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, make in tables(recorded).items():
        columns = make()
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_rounded(value) for value in row] for row in zip(*columns.values(), strict=True))
        paths.append(path)
    return paths


def _rounded(value: Any) -> str:
    number = isinstance(value, float | np.floating)
    return f"{value:.{DIGITS}g}" if number else str(value)


def _columns(rows: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> Table:
    rows = list(rows)
    return {name: [row[name] for row in rows] for name in names}


def _thinned(curve: Mapping[str, np.ndarray], step: int) -> Table:
    """Every step-th row."""
    return {name: list(values[::step]) for name, values in curve.items()}


def _thinner(recorded: Recorded, theorem: str, curve: str, step: int) -> Callable[[], Table]:
    return lambda: _thinned(recorded.curve(theorem, curve), step)


def _medians(curve: Mapping[str, np.ndarray]) -> Table:
    """For every q: number of competitors, median distance and median excess."""
    names = list(dict.fromkeys(curve["q"].tolist()))
    chosen = [curve["q"] == name for name in names]
    return {
        "q": names,
        "competitors": [int(rows.sum()) for rows in chosen],
        "median_distance": [float(np.median(curve["distance"][rows])) for rows in chosen],
        "median_excess": [float(np.median(curve["excess"][rows])) for rows in chosen],
    }


def _paths(rows: list[dict[str, Any]]) -> Table:
    """Every path of a solver in the plane at its first steps and its last one."""
    table: Table = {name: [] for name in ("figure", "label", "step", "w1", "w2", "trace")}
    for row in rows:
        for step in sorted({0, 1, 2, 5, len(row["w"]) - 1} & set(range(len(row["w"])))):
            values = (row["figure"], row["label"], step, *row["w"][step], row["trace"][step])
            for name, value in zip(table, values, strict=True):
                table[name].append(value)
    return table


def _points(rows: list[dict[str, Any]]) -> Table:
    """The points where the solvers rest."""
    found = [(row["figure"], row["label"], *point) for row in rows for point in row["points"]]
    return {name: [row[i] for row in found] for i, name in enumerate(("figure", "label", "w1", "w2"))}


def _grids(rows: list[dict[str, Any]]) -> Table:
    """Every 97th value of each grid."""
    found = [(row["figure"], row["label"], value) for row in rows for value in row["value"][::97]]
    return {name: [row[i] for row in found] for i, name in enumerate(("figure", "label", "value"))}


def _best(rows: list[dict[str, Any]]) -> Table:
    """The fastest run of each number of columns and threads, and the passes over X."""
    table = _columns(rows, ("p", "threads", "passes"))
    return table | {key: [min(row[key]) for row in rows] for key in ("wall_seconds", "cpu_seconds")}


def _competitors(rows: list[dict[str, Any]]) -> Table:
    """For every data set, q and attack: number, how many are below, and the median margin.

    Where a descent ends depends on rounding, so its margin is left out (NaN).
    """
    table: Table = {name: [] for name in ("dataset", "rho", "attack", "competitors", "below", "median_margin")}
    for key in dict.fromkeys((row["dataset"], row["rho"], row["attack"]) for row in rows):
        chosen = [row for row in rows if (row["dataset"], row["rho"], row["attack"]) == key]
        below = sum(row["margin"] < -row["allowance"] for row in chosen)
        median = float("nan") if key[2] == "local descent" else float(np.median([row["margin"] for row in chosen]))
        for name, value in zip(table, (*key, len(chosen), below, median), strict=True):
            table[name].append(value)
    return table
