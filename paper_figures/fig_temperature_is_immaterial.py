"""What is reached at fixed temperatures, and the penalty of weight decay with and without decay of scores."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "temperature_is_immaterial"
TITLE = "The temperature does not change the problem"
CURVES = {"infimum": 2, "decayed": 2}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Losses and penalties over the temperature."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    infimum, decayed = recorded.curve(NAME, "infimum"), recorded.curve(NAME, "decayed")
    left.axhline(0, color=BLUE, label="infimum at every $\\tau$ > 0")
    left.axhline(0.5, color=BLACK, linewidth=0.9, linestyle="--", label="best hard mask")
    left.plot(infimum["tau"], infimum["reached"], "^", color=VERMILLION, markersize=4, label="reached by descent")
    left.set(xscale="log", xlabel="temperature $\\tau$", ylabel="loss", title="(a) without weight decay")
    left.legend(loc="upper right")
    for name, label, colour, dashes in (
        ("decay_0", "no decay of scores", BLUE, "-"),
        ("decay_0.1", "decay 0.1", GREEN, "--"),
        ("decay_1", "decay 1", VERMILLION, "-."),
    ):
        right.plot(decayed["tau"], decayed[name], dashes, color=colour, label=label)
    right.set(
        xscale="log", xlabel="temperature $\\tau$", ylabel="least penalty of (1, 1/2)", title="(b) with weight decay"
    )
    right.legend(loc="upper left")
    for axes in (left, right):
        light_grid(axes)
    return figure
