"""The cost of a group over its mask, with the penalty as the minimum."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLUE, DASHES, GREEN, GREY, VERMILLION, WIDTH, light_grid

NAME = "l1_mask_is_two_thirds"
TITLE = "Masks with l1 decay"
CURVES = {"masks": 8}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Three norms; the level of the penalty under each curve."""
    figure, axes = plt.subplots(figsize=(0.6 * WIDTH, 2.8), layout="constrained")
    masks = recorded.curve(NAME, "masks")
    for norm, colour, dashes in zip(("0.1", "1", "10"), (BLUE, GREEN, VERMILLION), DASHES, strict=False):
        axes.plot(masks["m"], masks[f"cost_{norm}"], linestyle=dashes, color=colour, label=f"$a = {norm}$")
        axes.axhline(masks[f"value_{norm}"][0], color=GREY, linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", ylim=(0.1, 100), xlabel="mask $m$", ylabel="$|m| + a^2 / m^2$")
    axes.set_title("cost of a group of norm $a$; dotted: penalty")
    axes.legend(loc="lower right")
    light_grid(axes)
    return figure
