"""The constrained solvers and mask descent on two groups: contours, iterates, and the points where they rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, GREY, LETTERS, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

COLOURS = (BLUE, VERMILLION, ORANGE, GREEN)
LEVELS = 9
CONTOUR = "#c4c4c4"
SHOWN = 25
"""Iterates of a path that are drawn."""

LOSS = "loss $w^\\top H w / 2 - b^\\top w$"

TRACES = {
    "admm": "augmented Lagrangian",
    "iht": LOSS,
    "srste": "entries of the mask changed so far",
    "group_omp": LOSS,
    "ompr": LOSS,
}
"""Figure -> what its second panel shows against the step."""

BESIDE = {"admm": "x", "srste": "dense vector"}
"""Figure -> what is drawn by small marks beside the iterates."""


STARS = {"group_omp": "best of each axis"}
"""Figure -> what its stars are, where they are not the points that rest."""


@dataclass(frozen=True)
class SolverFigure:
    """The figure of one solver.  NAME: two_groups_<rows>, TITLE, as of a figure module.  rows: those of the study."""

    NAME: str
    TITLE: str
    rows: str

    def caption(self, recorded: Recorded) -> str:
        """What is seen, with the study and its seed."""
        return prose(f"{self.NAME}.txt", seed=recorded.two_groups[0]["seed"])

    def draw(self, recorded: Recorded, plt: Any) -> Any:
        """The plane and the trace; for mask descent one plane for each mask."""
        rows = [row for row in recorded.two_groups if row["figure"] == self.rows]
        labels = list(dict.fromkeys(row["label"] for row in rows if row["type"] == "grid"))
        if labels != ["loss"]:
            return _masks(rows, labels, plt)
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.6), layout="constrained", width_ratios=[1.1, 1])
        paths = [row for row in rows if row["type"] == "path"]
        _contours(left, _one(rows, "grid", "loss"))
        for axis_line in (left.axhline, left.axvline):
            axis_line(0, color=GREY, linewidth=1.6, zorder=1)
        _paths(left, paths, BESIDE.get(self.rows))
        _resting(left, _one(rows, "resting", "loss"))
        left.set_title(f"(a) iterates; stars: {STARS.get(self.rows, 'where they may rest')}")
        _trace(right, paths, TRACES[self.rows])
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 3))
        return figure


FIGURES = {
    figure.NAME: figure
    for figure in (
        SolverFigure("two_groups_admm", "ADMM on two groups", "admm"),
        SolverFigure("two_groups_iht", "Iterative hard thresholding on two groups", "iht"),
        SolverFigure("two_groups_srste", "SR-STE on two groups", "srste"),
        SolverFigure("two_groups_group_omp", "Group OMP on two groups", "group_omp"),
        SolverFigure("two_groups_ompr", "OMPR on two groups", "ompr"),
        SolverFigure("two_groups_mask_descent", "Mask descent on two groups", "mask_descent"),
    )
}
"""Name of the figure -> the figure."""


def _one(rows: list[dict[str, Any]], kind: str, label: str) -> dict[str, Any]:
    return next(row for row in rows if row["type"] == kind and row["label"] == label)


def _contours(axes: Any, grid: dict[str, Any]) -> None:
    axis = np.array(grid["axis"])
    value = np.array(grid["value"]).reshape(len(axis), len(axis))
    levels = np.quantile(value, np.linspace(0.04, 0.85, LEVELS))  # closer contours need a finer grid
    axes.contour(
        axis, axis, value, levels=np.unique(levels), colors=CONTOUR, linewidths=0.8, linestyles="solid", zorder=0
    )
    axes.set(xlabel="$w_1$", ylabel="$w_2$", aspect="equal", xlim=axis[[0, -1]], ylim=axis[[0, -1]])


def _paths(axes: Any, paths: list[dict[str, Any]], beside: str | None) -> None:
    for k, (path, colour, mark, dashes) in enumerate(zip(paths, COLOURS, MARKS, DASHES, strict=False)):
        w = np.array(path["w"])[:SHOWN]
        style = {"color": colour, "linewidth": 1.0 + _hidden(paths, k), "linestyle": dashes, "zorder": 3}
        axes.plot(*w.T, marker=mark, markersize=3.2 + 3 * _hidden(paths, k), label=path["label"], alpha=0.85, **style)
        if beside is not None:
            other = np.array(path["other"])[:SHOWN]
            axes.plot(*other.T, marker=".", markersize=2.5, linewidth=0.5, color=colour, alpha=0.6, zorder=2)


def _hidden(paths: list[dict[str, Any]], k: int) -> float:
    """What path k is drawn wider by, in points: 1.5 where a later path is the same and lies on it, else 0."""
    return 1.5 * any(path["w"] == paths[k]["w"] for path in paths[k + 1 :])


def _resting(axes: Any, row: dict[str, Any]) -> None:
    if row["points"]:
        points = np.array(row["points"])
        axes.plot(*points.T, "*", color=BLACK, markersize=11, markerfacecolor="white", linestyle="none", zorder=2)


def _trace(axes: Any, paths: list[dict[str, Any]], label: str) -> None:
    for k, (path, colour, mark, dashes) in enumerate(zip(paths, COLOURS, MARKS, DASHES, strict=False)):
        trace = path["trace"][:SHOWN]
        style = {"color": colour, "linewidth": 1.0 + _hidden(paths, k), "linestyle": dashes}
        axes.plot(np.arange(len(trace)), trace, marker=mark, markersize=2.8 + 3 * _hidden(paths, k), **style)
    axes.set(xlabel="step", ylabel=label, title="(b) against the step")
    if label == TRACES["admm"]:  # one order rises far above all else at its first step
        axes.set_yscale("symlog", linthresh=0.1)
    axes.xaxis.get_major_locator().set_params(integer=True)
    light_grid(axes)


def _masks(rows: list[dict[str, Any]], labels: list[str], plt: Any) -> Any:
    """Contours of the closed-form objective of every mask, with the iterates w = s(m) v from every start."""
    columns = min(3, len(labels))
    lines = -(-len(labels) // columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(WIDTH, 2.65 * lines), layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    for letter, axes, label in zip(LETTERS, panels.flat, labels, strict=False):
        own = [row for row in rows if row["label"] == label]
        _contours(axes, _one(own, "grid", label))
        axes.axhline(0, color=GREY, linewidth=0.6, zorder=1)
        axes.axvline(0, color=GREY, linewidth=0.6, zorder=1)
        for path, colour in zip([row for row in own if row["type"] == "path"], COLOURS, strict=False):
            w = np.array(path["w"])
            axes.plot(*w.T, color=colour, linewidth=1.0, zorder=3)
            axes.plot(*w[0], "o", color=colour, markersize=3.2, zorder=3)
            axes.plot(*w[-1], "s", color=colour, markersize=4, zorder=3)
        _resting(axes, _one(own, "resting", label))
        axes.set_title(f"({letter}) {label}")
    return figure
