"""The proxes of eight penalties."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, GREY, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "prox_formulas"
TITLE = "Proxes of the concave penalties"
CURVES = {"prox": 10}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Continuous proxes, and those that jump."""
    curve = recorded.curve(NAME, "prox")
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.2), layout="constrained", sharey=True)
    kinds = (
        (("lasso", "$t$"), ("mcp", "MCP, $\\gamma=3$"), ("scad", "SCAD, a = 3.7"), ("exp_mask", "exp mask")),
        (("half", "√t"), ("two_thirds", "$t^{2/3}$"), ("log", "$\\log(1+2t)$"), ("l0", "$1[t>0]$")),
    )
    for axes, names, title in zip(panels, kinds, ("(a) continuous", "(b) with a jump"), strict=True):
        axes.plot(curve["v"], curve["v"], color=GREY, linewidth=0.6)
        for (name, label), colour, dashes in zip(names, (BLUE, GREEN, ORANGE, VERMILLION), DASHES, strict=False):
            values = curve[name].copy()
            values[1:][abs(values[1:] - values[:-1]) > 0.2] = float("nan")
            axes.plot(curve["v"], values, color=colour, linestyle=dashes, label=label)
        axes.axhline(0, color=BLACK, linewidth=0.5)
        axes.set(xlabel="$v$", title=title)
        axes.legend(loc="upper left")
        light_grid(axes)
    panels[0].set_ylabel("prox at step 1")
    return figure
