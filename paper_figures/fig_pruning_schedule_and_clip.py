"""The sparsity schedule for several rates, and what two clips change."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "pruning_schedule_and_clip"
TITLE = "Schedule and clip"
CURVES = {"schedule": 5, "clip": 4}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """s(t) over t; entries changed by the clips."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    schedule, clip = recorded.curve(NAME, "schedule"), recorded.curve(NAME, "clip")
    for name, (label, colour, dashes) in RATES.items():
        left.plot(schedule["t"], schedule[name], linestyle=dashes, color=colour, label=label)
    left.set(xlabel="share of the time $t$", ylabel="share of the final sparsity", title="(a) schedules")
    left.legend(loc="lower right")
    right.plot(clip["spread"], clip["printed"], "-", color=VERMILLION, label="$[n d, n / d]$, as printed")
    right.plot(clip["spread"], clip["sensible"], "--", color=BLUE, label="$1 / d$ from above")
    right.axhline(100, color=BLACK, linewidth=0.8, linestyle=":", label="k = 100")
    right.set(xlabel="largest logit", ylabel="masks changed, of 1000", title="(b) clips, d = 0.1")
    right.legend(loc="center right")
    for axes in (left, right):
        light_grid(axes)
    return figure


RATES = {
    "c_8": ("c = 8", BLUE, "--"),
    "c_4": ("c = 4", VERMILLION, "-"),
    "c_1": ("c = 1", GREEN, "-."),
    "linear": ("linear", BLACK, ":"),
    "c_-4": ("c = -4", ORANGE, (0, (6, 1.5, 1, 1.5))),
}
