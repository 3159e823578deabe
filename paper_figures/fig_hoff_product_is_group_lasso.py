"""Gradient descent on a mask and a weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "hoff_product_is_group_lasso"
TITLE = "The product with squared decay"
CURVES = {"flow": 12}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """The paths in the plane, the objective along them."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.0), layout="constrained")
    flow = recorded.curve(NAME, "flow")
    axis = np.linspace(-1.7, 1.7, 101)
    m, v = np.meshgrid(axis, axis)
    left.contour(m, v, (m * v - 1) ** 2 / 2 + (m**2 + v**2) / 8, levels=12, colors="#bbbbbb", linewidths=0.6)
    starts = dict.fromkeys(flow["start"].tolist())
    for name, colour, mark in zip(starts, (VERMILLION, BLUE, GREEN, ORANGE), MARKS, strict=False):
        rows = flow["start"] == name
        label = f"from ({flow['m'][rows][0]:g}, {flow['v'][rows][0]:g})"
        left.plot(flow["m"][rows], flow["v"][rows], "-", color=colour, linewidth=1)
        left.plot(flow["m"][rows][:1], flow["v"][rows][:1], mark, color=colour, markersize=5)
        right.plot(
            flow["step"][rows],
            flow["objective"][rows],
            color=colour,
            marker=mark,
            markevery=20,
            markersize=4,
            label=label,
        )
    left.set(xlabel="mask $m$", ylabel="weight $\\beta$", title="(a) paths, level lines", aspect="equal")
    right.set(xlabel="step", ylabel="objective", title="(b) from (0, 0) nothing moves")
    right.axhline(7 / 32, color=BLACK, linewidth=0.8, linestyle=":")
    right.legend(loc="upper right")
    light_grid(right)
    return figure
