"""The shapes of eight penalties, and their proxes."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, GREY, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "prox_formulas"
TITLE = "Proxes of the concave penalties"
CURVES = {"prox": 10, "shapes": 25}

CONTINUOUS = (("lasso", "$t$"), ("mcp", "MCP, $\\gamma=3$"), ("scad", "SCAD, a = 3.7"), ("exp_mask", "exp mask"))
JUMPING = (("half", "√t"), ("two_thirds", "$t^{2/3}$"), ("log", "$\\log(1+2t)$"), ("l0", "$1[t>0]$"))


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """The penalties above, their proxes below: those that are continuous, and those that jump."""
    shapes, proxes = recorded.curve(NAME, "shapes"), recorded.curve(NAME, "prox")
    figure, panels = plt.subplots(2, 2, figsize=(WIDTH, 5.2), layout="constrained", sharey="row")
    titles = ("(a) continuous prox: penalty", "(b) prox with a jump: penalty", "(c) prox", "(d) prox")
    for axes, title in zip(panels.flat, titles, strict=True):
        axes.axhline(0, color=BLACK, linewidth=0.5)
        axes.set(xlabel="$t$" if "penalty" in title else "$v$", title=title)
        light_grid(axes)
    for column, names in enumerate((CONTINUOUS, JUMPING)):
        above, below = panels[:, column]
        below.plot(proxes["v"], proxes["v"], color=GREY, linewidth=0.6)
        for (name, label), colour, dashes in zip(names, (BLUE, GREEN, ORANGE, VERMILLION), DASHES, strict=False):
            style = {"color": colour, "linestyle": dashes, "label": label}
            above.plot(shapes["t"], _broken(shapes[name]), **style)
            below.plot(proxes["v"], _broken(proxes[name]), **style)
        above.legend(loc="upper left")
    panels[0, 0].set_ylabel("penalty of a group of norm $t$")
    panels[1, 0].set_ylabel("prox at step 1")
    return figure


def _broken(values: Any) -> Any:
    """The values with a gap after every jump."""
    values = values.copy()
    values[1:][abs(values[1:] - values[:-1]) > 0.2] = float("nan")
    return values
