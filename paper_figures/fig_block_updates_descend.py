"""Objective of block descent and the squares of its updates."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, WIDTH, light_grid

NAME = "block_updates_descend"
TITLE = "Block updates pay for their length"
CURVES = {"descent": 3}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Excess over sweeps, and what the updates account for."""
    curve = recorded.curve(NAME, "descent")
    figure, axes = plt.subplots(figsize=(0.7 * WIDTH, 3.0), layout="constrained")
    sweep = curve["sweep"]
    axes.plot(sweep, curve["excess"], "-", color=BLUE, label="$F(w)-F^*$, objective")
    axes.plot(sweep, curve["paid"], ":", color=BLACK, label="$\\Sigma |d|^2/2$ still to come")
    axes.set(yscale="log", xlabel="sweep", ylabel="objective", ylim=(1e-13, None))
    axes.set_title("block descent on orthonormal blocks")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    light_grid(axes)
    return figure
