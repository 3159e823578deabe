"""Unit balls of three penalties, and the slope at a small group."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLUE, DASHES, GREEN, GREY, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "softmax_mask_is_two_thirds_norm"
TITLE = "The normalised softmax mask"
CURVES = {"levels": 20, "slopes": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Level lines in the plane; the slope of the penalty in the smallest of three groups."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained", width_ratios=[1, 1.3])
    levels, slopes = recorded.curve(NAME, "levels"), recorded.curve(NAME, "slopes")
    angle = levels["angle"]
    lines = (
        ("group_lasso", "group LASSO", GREY, ":"),
        ("exp_mask", "exponential mask", BLUE, "--"),
        ("softmax", "softmax mask", VERMILLION, "-"),
    )
    for name, label, colour, dashes in lines:
        radius = levels[name] / levels[name][0]
        left.plot(radius * np.cos(angle), radius * np.sin(angle), dashes, color=colour, label=label)
    left.set(xlabel="$u_1$", ylabel="$u_2$", title="(a) level lines", aspect="equal")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    for (name, label), colour, dashes in zip(DECAYS.items(), (VERMILLION, ORANGE, GREEN), DASHES, strict=False):
        right.plot(slopes["a"], slopes[name], linestyle=dashes, color=colour, label=label)
    right.set(xscale="log", yscale="log", xlabel="norm $a$ of the third group", ylabel="slope of the penalty")
    right.set_title("(b) slope at (1, 1, a)")
    right.legend(loc="lower right", title="logit decay")
    light_grid(right)
    return figure


DECAYS = {"decay_0": "0", "decay_0.001": "0.001", "decay_0.1": "0.1"}
