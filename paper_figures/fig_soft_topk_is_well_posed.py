"""The soft top-k at several temperatures, and the norm of its Jacobian."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "soft_topk_is_well_posed"
TITLE = "The soft top-k"
CURVES = {"masks": 3, "slopes": 4}

TEMPERATURES = {"1": BLUE, "0.3": GREEN, "0.1": ORANGE, "0.03": VERMILLION}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """f over the scores, and the scaled norm over the temperature."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    masks, slopes = recorded.curve(NAME, "masks"), recorded.curve(NAME, "slopes")
    for (tau, colour), dashes, mark in zip(TEMPERATURES.items(), DASHES, MARKS, strict=False):
        style = {"linestyle": dashes, "marker": mark, "markersize": 3, "linewidth": 1}
        left.plot(masks["x"], masks[f"tau_{tau}"], color=colour, label=f"τ = {tau}", **style)
    left.set(xlabel="score $x_i$", ylabel="$f_i$", title="(a) masks of 6 in 16 scores")
    left.legend(loc="upper left")
    right.plot(slopes["tau"], slopes["scaled_norm"], color=BLUE, label="4 τ |J|")
    right.axhline(1, color=BLACK, linewidth=0.8, linestyle="--", label="bound")
    right.set(xscale="log", xlabel="temperature τ (units of the scores)", ylabel="4 τ |J|", title="(b) Jacobian")
    right.legend(loc="center right")
    for axes in (left, right):
        light_grid(axes)
    return figure
