"""The norm of a group against that of its factor, and the decay."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "powerpropagation_is_group_lasso"
TITLE = "Group powerpropagation"
CURVES = {"map": 8}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """The map for three powers; the decay as a function of the norm."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.7), layout="constrained")
    curve = recorded.curve(NAME, "map")
    for power, colour, dashes in ((1, GREEN, "--"), (2, BLUE, "-"), (3, VERMILLION, "-.")):
        left.plot(curve["beta"], curve[f"u_{power}"], dashes, color=colour, label=f"$\\alpha = {power}$")
        right.plot(curve[f"u_{power}"], curve["decay"], dashes, color=colour, label=f"$\\alpha = {power}$")
    left.set(xlabel="$|\\beta_g|$", ylabel="$|u_g|$", ylim=(0, 4), title="(a) the map")
    right.plot([0, 4], [0, 4], ":", color=BLACK, linewidth=0.8, label="group LASSO")
    right.set(
        xlabel="$|u_g|$", ylabel="decay $|\\beta_g|^2$", xlim=(0, 4), ylim=(0, 4), title="(b) what weight decay charges"
    )
    for axes in (left, right):
        axes.legend(loc="upper left" if axes is left else "lower right")
        light_grid(axes)
    return figure
