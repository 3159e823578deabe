"""Duality gap, distance to the minimum and distance of the fits over the iterations."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, WIDTH, light_grid

NAME = "duality_gap_bounds"
TITLE = "The duality gap bounds the distance to the minimum"
CURVES = {"descent": 8}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """One panel for each method."""
    curve = recorded.curve(NAME, "descent")
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained", sharey=True)
    for axes, method, title in zip(
        panels, ("proximal_gradient", "fista"), ("(a) proximal gradient", "(b) FISTA with restarts"), strict=True
    ):
        axes.plot(curve["iteration"], curve[f"{method}_gap"], "-", color=BLACK, label="gap")
        axes.plot(curve["iteration"], curve[f"{method}_value"], "--", color=BLUE, label="$P(w)-P^*$")
        fit = curve[f"{method}_fit"]
        axes.plot(curve["iteration"], fit, ":", color=VERMILLION, label="$|X(w-w^*)|^2/2n$")
        axes.set(yscale="log", xlabel="iteration", title=title, ylim=(1e-13, 20))
        light_grid(axes)
    panels[0].set_ylabel("relative to $P(0)-P^*$")
    panels[0].legend(loc="lower left")
    return figure
