"""Groups shown to be zero over the steps of FISTA, at three strengths."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLUE, DASHES, GREEN, MARKS, VERMILLION, WIDTH, light_grid

NAME = "gap_safe_screening"
TITLE = "Gap-safe screening"
CURVES = {"screened": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Screened groups, and those that are zero at the solution."""
    curve = recorded.curve(NAME, "screened")
    figure, axes = plt.subplots(figsize=(0.7 * WIDTH, 2.9), layout="constrained")
    for ratio, colour, dashes, mark in zip(
        ("0.5", "0.2", "0.1"), (BLUE, GREEN, VERMILLION), DASHES, MARKS, strict=False
    ):
        label = f"$\\lambda = {ratio}\\,\\lambda_{{max}}$"
        axes.plot(
            curve["step"], curve[f"screened_{ratio}"], mark, linestyle=dashes, color=colour, markersize=3, label=label
        )
        axes.axhline(curve[f"zero_{ratio}"][0], color=colour, linewidth=0.7, linestyle=dashes)
    axes.set(xlabel="steps of FISTA", ylabel="groups", title="screened (marks), zero at the solution (lines)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_ylim(0, None)
    light_grid(axes)
    return figure
