"""Which share of runs of SR-STE comes to rest, and on the best mask, against its pull."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, light_grid

NAME = "srste_fixed_points"
TITLE = "SR-STE between oscillation and frozen masks"
CURVES = {"flips": 3}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Both shares over lam / L."""
    figure, axes = plt.subplots(figsize=(4.8, 2.9), layout="constrained")
    curve = recorded.curve(NAME, "flips")
    lines = (
        ("moving", "masks still change", VERMILLION, "^:"),
        ("best", "rest on the best mask", BLUE, "o-"),
    )
    for name, label, colour, mark in lines:
        axes.plot(curve["ratio"], curve[name], mark, color=colour, markersize=3.5, linewidth=1, label=label)
    axes.axvline(1, color=BLACK, linewidth=0.8, linestyle="--", label="$\\lambda = L$")
    axes.set(xlabel="$\\lambda / L$", ylabel="share of runs", title="two correlated entries, one is kept")
    axes.set_ylim(-0.03, 1.05)
    axes.legend(loc="center right")
    light_grid(axes)
    return figure
