"""The distance of the soft top-k to the hard mask against the gap over the temperature."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, WIDTH, light_grid

NAME = "soft_topk_limit"
TITLE = "How fast the soft top-k hardens"
CURVES = {"errors": 6}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Errors, the bound, and their ratio."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    curve = recorded.curve(NAME, "errors")
    ratio = curve["gap_over_tau"]
    left.plot(ratio, curve["bound"], color=BLACK, linewidth=0.8, label="bound")
    kinds = (("two_level", "two levels", VERMILLION, "o"), ("random", "random scores", BLUE, "^"))
    for name, label, colour, mark in kinds:
        left.plot(ratio, curve[name], mark, color=colour, markersize=2.5, label=label)
        right.plot(ratio, curve[name] / curve["bound"], mark, color=colour, markersize=2.5, label=label)
    left.set(yscale="log", xlabel="$D\\,/\\,\\tau$", ylabel="$\\Sigma_i |f_i - top_k|$", title="(a) distance")
    right.set(xlabel="$D\\,/\\,\\tau$", ylabel="distance / bound", title="(b) share of the bound", ylim=(0, 1.05))
    left.legend(loc="lower left")
    right.legend(loc="center right")
    for axes in (left, right):
        light_grid(axes)
    return figure
