"""Active groups of the k-support problem against lam, and the sandwich along a line."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "smart_global_optimum"
TITLE = "Global optimality of SMART with weight decay"
CURVES = {"active": 2, "slice": 20}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Groups over lam, objectives over the line."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    active, line = recorded.curve(NAME, "active"), recorded.curve(NAME, "slice")
    proved = active["proved"] > 0
    left.plot(active["ratio"], active["active"], color=BLACK, linewidth=0.8)
    marks = ((~proved, "not proved", VERMILLION, "^"), (proved, "proved globally optimal", GREEN, "o"))
    for rows, label, colour, mark in marks:
        left.plot(active["ratio"][rows], active["active"][rows], mark, color=colour, markersize=4, label=label)
    left.axvline(1, color=BLUE, linewidth=0.8, linestyle="--", label="explicit strength")
    left.set(xscale="log", xlabel="$\\lambda$ / explicit strength", ylabel="active groups", title="(a) 8 groups, k = 3")
    left.legend(loc="lower left")
    right.plot(line["t"], line["smart"], color=VERMILLION, label="SMART")
    right.plot(line["t"], line["k_support"], "--", color=BLUE, label="k-support")
    right.axvline(0, color=BLACK, linewidth=0.8, linestyle=":")
    right.set(xlabel="way from the minimiser to the other axis", ylabel="objective", title="(b) two groups, k = 1")
    right.legend(loc="upper right")
    for axes in (left, right):
        light_grid(axes)
    return figure
