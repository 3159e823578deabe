"""The gap of group OMP against its bound."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, WIDTH, light_grid

NAME = "group_omp_contracts"
TITLE = "Group OMP"
CURVES = {"gaps": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Gap and bound over the steps."""
    figure, axes = plt.subplots(figsize=(0.6 * WIDTH, 2.7), layout="constrained")
    gaps = recorded.curve(NAME, "gaps")
    axes.plot(gaps["step"], gaps["bound"], "--", color=BLACK, linewidth=0.9, label="bound")
    axes.plot(gaps["step"], gaps["gap"], "o-", color=BLUE, markersize=4, label="group OMP")
    axes.set(xlabel="groups added", ylabel="gap to the best 3 groups", title="7 groups, condition 20")
    axes.legend(loc="upper right")
    light_grid(axes)
    return figure
