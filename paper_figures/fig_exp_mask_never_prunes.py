"""Group norms along the strength, for three penalties."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "exp_mask_never_prunes"
TITLE = "The exponential mask never prunes"
CURVES = {"path": 6}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """One panel for each of the two groups."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained", sharey=True)
    path = recorded.curve(NAME, "path")
    for axes, group, letter in zip(panels, (1, 2), "ab", strict=True):
        for name, (label, colour, dashes) in PENALTIES.items():
            axes.plot(path["lam"], path[f"{name}_{group}"], dashes, color=colour, label=label)
        axes.axhline(0, color=BLACK, linewidth=0.6)
        axes.set(
            xscale="log",
            xlabel="strength $\\lambda$",
            ylabel=f"$|u_{group}|$",
            title=f"({letter}) gradient {3 - group} at 0",
        )
        light_grid(axes)
    panels[0].legend(loc="upper right")
    return figure


PENALTIES = {
    "lasso": ("group LASSO", BLUE, "--"),
    "two_thirds": ("$l_{2/3}$", GREEN, "-."),
    "exp_mask": ("exponential mask", VERMILLION, "-"),
}
