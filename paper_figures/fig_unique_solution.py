"""How many random integer designs have one solution or several."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLUE, VERMILLION, WIDTH, light_grid

NAME = "unique_solution"
TITLE = "Independent directions make the solution unique"
CURVES = {"multiplicity": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Stacked counts over lam, with and without the hypothesis."""
    curve = recorded.curve(NAME, "multiplicity")
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.6), layout="constrained", sharey=True)
    places = range(len(curve["lam"]))
    for axes, kind, title in zip(
        panels, ("independent", "dependent"), ("(a) independent directions", "(b) dependent directions"), strict=True
    ):
        one, several = curve[f"{kind}_one"], curve[f"{kind}_several"]
        axes.bar(places, one, color=BLUE, label="one solution")
        axes.bar(places, several, bottom=one, color=VERMILLION, hatch="//", label="several solutions")
        axes.set_xticks(list(places), [f"{lam:g}" for lam in curve["lam"]])
        axes.set(xlabel="$\\lambda$", title=title)
        light_grid(axes, "y")
    panels[0].set_ylabel("designs")
    panels[1].legend(loc="upper right")
    return figure
