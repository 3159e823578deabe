"""Errors of the identity between ADMM and projected gradient steps, from a right and a wrong dual."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLUE, VERMILLION, WIDTH, light_grid

NAME = "admm_identities"
TITLE = "ADMM projects gradient steps"
CURVES = {"identities": 4}

FLOOR = 1e-17
"""Errors of 0 are drawn here."""


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """One panel for each order."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained", sharey=True)
    curve = recorded.curve(NAME, "identities")
    titles = {"order_z": "(a) order z, x, u", "order_x": "(b) order x, z, u"}
    for axes, (order, title) in zip(panels, titles.items(), strict=True):
        for name, label, colour, mark in (
            (f"{order}_wrong", "start with u = 0", VERMILLION, "^:"),
            (order, "start with $u = -\\nabla f(x)/\\rho$", BLUE, "o-"),
        ):
            errors = np.maximum(curve[name], FLOOR)
            axes.plot(curve["sweep"], errors, mark, color=colour, markersize=3, linewidth=1, label=label)
        axes.set(yscale="log", xlabel="sweep", title=title, xticks=range(0, 21, 5))
        axes.legend(loc="upper right")
        light_grid(axes)
    panels[0].set_ylabel("error of the projected point (units of w)")
    return figure
