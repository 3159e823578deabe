"""Recovery by group OMP over the number of rows."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLUE, VERMILLION, WIDTH, light_grid

NAME = "group_omp_recovers"
TITLE = "Group OMP recovers hardly coherent blocks"
CURVES = {"recovery": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Observed and promised recovery."""
    curve = recorded.curve(NAME, "recovery")
    figure, axes = plt.subplots(figsize=(0.7 * WIDTH, 2.8), layout="constrained")
    axes.plot(curve["rows"], curve["recovered"], "o-", color=BLUE, markersize=4, label="recovered")
    axes.plot(curve["rows"], curve["promised"], "s--", color=VERMILLION, markersize=4, label="condition holds")
    axes.set(
        xscale="log", xlabel="rows $n$", ylabel="share of 10 designs", title="8 blocks of 2 columns, 3 of them active"
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    light_grid(axes)
    return figure
