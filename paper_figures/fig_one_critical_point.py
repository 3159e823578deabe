"""Number of critical points of MCP over lambda and concavity."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLUE, GREEN, MARKS, VERMILLION, WIDTH, light_grid

NAME = "one_critical_point"
TITLE = "One critical point of MCP"
CURVES = {"counts": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Mean and largest count over lam / tau, a line for each gamma."""
    curve = recorded.curve(NAME, "counts")
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    gammas = sorted(set(curve["gamma"].tolist()))
    for axes, column, title in zip(panels, ("mean", "largest"), ("(a) mean", "(b) largest"), strict=True):
        for gamma, colour, mark in zip(gammas, (VERMILLION, GREEN, BLUE), MARKS, strict=False):
            chosen = curve["gamma"] == gamma
            share = curve["convex"][chosen][0]
            label = f"$\\gamma = {gamma:g}$ ({100 * share:.0f} % convex)"
            axes.plot(
                curve["lam_over_tau"][chosen],
                curve[column][chosen],
                f"{mark}-",
                color=colour,
                markersize=9 if colour == GREEN else 4,  # the lines of the two larger gamma may lie on each other
                markerfacecolor="none" if colour == GREEN else colour,
                label=label,
            )
        axes.set(xlabel="$\\lambda\\,/\\,\\tau$", title=title, ylim=(0, None))
        light_grid(axes)
    panels[0].set_ylabel("critical points")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
