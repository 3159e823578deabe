# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""Gaps of OMP with replacement, with enough groups and with too few."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "ompr_contracts"
TITLE = "OMP with replacement"
CURVES = {"gaps": 1, "package": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Exact swaps with kappa = 1; the package on random instances."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
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
    right.set(xlabel="swaps", ylabel="gap, at least 0", title="(b) random instances, dashed: bound")
    right.xaxis.get_major_locator().set_params(integer=True)
    for axes in (left, right):
        axes.legend(loc="upper right")
        light_grid(axes)
    return figure
