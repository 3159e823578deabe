"""What gradual pruning keeps beyond one shot, over the shape of the schedule."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, WIDTH, light_grid

NAME = "gradual_pruning"
TITLE = "Pruning early and gradually"
CURVES = {"shapes": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Paired means with 99 % intervals over c."""
    curve = recorded.curve(NAME, "shapes")
    figure, axes = plt.subplots(figsize=(0.7 * WIDTH, 2.9), layout="constrained")
    for steps, colour, mark, offset in ((4, BLUE, "o", -0.12), (16, VERMILLION, "s", 0.12)):
        mean = curve[f"mean_{steps}"]
        reach = (mean - curve[f"lower_{steps}"], curve[f"upper_{steps}"] - mean)
        axes.errorbar(
            curve["c"] + offset,
            mean,
            reach,
            fmt=f"{mark}-",
            color=colour,
            markersize=4,
            capsize=2,
            label=f"{steps} steps",
        )
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.set(xlabel="shape $c$ of the schedule (0: linear, > 0: early)", ylabel="share kept less one shot")
    axes.set_title("40 blocks pruned to 10 with refits")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    light_grid(axes)
    return figure
