# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""Gaps of OMP with replacement, with enough groups and with too few, and where it ends well."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "ompr_contracts"
TITLE = "OMP with replacement"
CURVES = {"gaps": 1, "package": 1, "map": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Exact swaps with kappa = 1; the package on random instances; successes over groups held and condition."""
    figure, (left, right, ends) = plt.subplots(
        1, 3, figsize=(WIDTH, 2.9), layout="constrained", width_ratios=[1, 1, 1.15]
    )
    _map(ends, recorded.curve(NAME, "map"))
    gaps, package = recorded.curve(NAME, "gaps"), recorded.curve(NAME, "package")
    left.plot(gaps["swap"], gaps["bound"], "--", color=BLACK, linewidth=0.9, label="bound")
    left.plot(gaps["swap"], np.maximum(gaps["enough"], 0), "o-", color=BLUE, markersize=4, label="$k$′ = $k + 1$")
    left.plot(
        gaps["swap"], np.maximum(gaps["equal"], 0), "^-.", color=VERMILLION, markersize=4, label="$k$′ = $k$ (printed)"
    )
    left.set(xlabel="swaps", ylabel="gap, at least 0", title=r"(a) $\kappa = 1$, $k = 3$")
    for index, colour, mark in zip(range(4), (BLUE, GREEN, ORANGE, VERMILLION), MARKS, strict=False):
        rows = package["instance"] == index
        right.plot(
            package["swap"][rows],
            package["gap"][rows],
            f"{mark}-",
            color=colour,
            markersize=4,
            label=f"instance {index + 1}",
        )
        right.plot(package["swap"][rows], package["bound"][rows], "--", color=colour, linewidth=0.9)
    right.set(xlabel="swaps", ylabel="gap, at least 0", title="(b) random; dashed: bound")
    right.xaxis.get_major_locator().set_params(integer=True)
    for axes in (left, right):
        axes.legend(loc="upper right")
        light_grid(axes)
    return figure


def _map(axes: Any, cells: Any) -> None:
    """Successes as shades and as numbers; a frame where the theorem speaks."""
    from matplotlib.patches import Rectangle

    conditions, held = (np.unique(cells[name]) for name in ("condition", "kept"))
    reached, covered = (cells[name].reshape(len(conditions), len(held)).T for name in ("reached", "covered"))
    axes.pcolormesh(np.arange(len(conditions)), np.arange(len(held)), reached, cmap="cividis", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(reached):
        ink = BLACK if value > 0.5 else "white"
        axes.text(column, row, f"{100 * value:.0f}", color=ink, ha="center", va="center", fontsize=7)
        if covered[row, column] == 1:
            frame = {"xy": (column - 0.46, row - 0.46), "width": 0.92, "height": 0.92}
            axes.add_patch(Rectangle(**frame, fill=False, edgecolor=BLACK, linewidth=1.4))
    axes.set_xticks(range(len(conditions)), [f"{value:g}" for value in conditions])
    axes.set_yticks(range(len(held)), [f"{value:g}" for value in held])
    axes.set(xlabel="condition of the Hessian", ylabel="groups held, $k$′", title="(c) successes in %, $k = 2$")
