"""Unit balls of the penalty of SMART with weight decay, and its growth beside k active groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREY, VERMILLION, WIDTH, light_grid

NAME = "smart_decay_penalty"
TITLE = "The penalty of SMART with weight decay"
CURVES = {"balls": 20, "growth": 5}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Level lines in the plane, growth on logarithmic scales."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained", width_ratios=[1, 1.3])
    balls, growth = recorded.curve(NAME, "balls"), recorded.curve(NAME, "growth")
    angle = balls["angle"]
    lines = (
        (np.ones_like(angle), GREY, ":", "$|a|^2$"),
        (balls["k_support"], BLUE, "--", "k-support²"),
        (balls["omega"], VERMILLION, "-", "$\\Omega_1$"),
    )
    for radius, colour, dashes, label in lines:
        left.plot(radius * np.cos(angle), radius * np.sin(angle), dashes, color=colour, label=label)
    left.set(xlabel="$a_1$", ylabel="$a_2$", title="(a) level 1, k = 1", aspect="equal")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    right.plot(growth["eps"], growth["excess"], color=VERMILLION, label="$\\Omega_2(2, 1, \\epsilon) - 5$")
    right.plot(growth["eps"], growth["bound"], "--", color=BLACK, linewidth=0.8, label="$3\\,\\epsilon^{2/3}$")
    right.set(
        xscale="log", yscale="log", xlabel="$\\epsilon$ (units of $a$)", ylabel="growth", title="(b) a third group"
    )
    right.legend(loc="upper left")
    for axes in (left, right):
        light_grid(axes)
    return figure
