"""Group norms around lambda_max, and their paths on real data."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, GREY, VERMILLION, WIDTH, light_grid

NAME = "lambda_max_is_sharp"
TITLE = "λ_max is sharp"
CURVES = {"norms": 6, "paths": 23}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Norm and number of groups over lam / lambda_max; below, a path of every group on three data sets."""
    figure = plt.figure(figsize=(WIDTH, 5.2), layout="constrained")
    above, below = figure.subfigures(2, 1)
    _sharp(above.subplots(1, 2), recorded.curve(NAME, "norms"))
    paths = recorded.curve(NAME, "paths")
    names = list(dict.fromkeys(paths["dataset"].tolist()))
    for letter, axes, name in zip("cde", below.subplots(1, len(names)), names, strict=False):
        _paths(axes, paths, name)
        axes.set_title(f"({letter}) {name.replace('_', ' ')}")
        axes.set_ylabel("$|w_g|$, every group" if letter == "c" else "")
    return figure


def _sharp(panels: Any, curve: Any) -> None:
    left, right = panels
    ratio = curve["lam_over_lambda_max"]
    left.plot(ratio, curve["largest_norm"], color=BLUE)
    left.set(ylabel="largest $|w_g|$", title="(a) size")
    right.plot(ratio, curve["active_groups"], drawstyle="steps-pre", color=BLUE)
    right.set(ylabel="active groups", title="(b) number")
    right.yaxis.get_major_locator().set_params(integer=True)
    for axes in panels:
        _edge(axes)
    note = f"without fitting the\nintercept first:\n{curve['raw_over_projected'][0]:.2g} $\\lambda_{{max}}$"
    left.text(0.98, 0.6, note, transform=left.transAxes, color=VERMILLION, ha="right", fontsize=7.5)


def _paths(axes: Any, paths: Any, name: str) -> None:
    """A line for every group; the first three to enter in colours and dashes, the others grey."""
    own = paths["dataset"] == name
    groups = np.unique(paths["group"][own])
    rows = [own & (paths["group"] == group) for group in groups]
    entered = [paths["lam_over_lambda_max"][row][paths["norm"][row] > 0].max(initial=0.0) for row in rows]
    first = np.argsort(entered, kind="stable")[::-1]
    for place, index in reversed(list(enumerate(first))):
        colour, dashes = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."))[place] if place < 3 else (GREY, "-")
        x, y = paths["lam_over_lambda_max"][rows[index]], paths["norm"][rows[index]]
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.5 if place < 3 else 0.6)
    axes.set_xscale("log")
    _edge(axes)


def _edge(axes: Any) -> None:
    axes.axvline(1, color=BLACK, linewidth=0.8)
    axes.set_xlabel("$\\lambda\\,/\\,\\lambda_{max}$")
    light_grid(axes)
