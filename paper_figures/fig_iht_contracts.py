"""Contraction factors of hard thresholding, and the expansion of the hard threshold."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, WIDTH, light_grid

NAME = "iht_contracts"
TITLE = "Hard thresholding contracts"
CURVES = {"factors": 3, "expansion": 6}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


GOLDEN = (1 + 5**0.5) / 2


def draw(recorded: Recorded, plt: Any) -> Any:
    """Observed factors with the bound; the expansion with its supremum."""
    factors, expansion = recorded.curve(NAME, "factors"), recorded.curve(NAME, "expansion")
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    left.plot([0, 0.65], [0, 0.65 * GOLDEN], color=BLACK, linewidth=0.8, label="φ δ")
    left.plot(factors["delta"], factors["factor"], "o", color=BLUE, markersize=3, label="runs")
    left.axvline(1 / GOLDEN, color=VERMILLION, linewidth=0.8, linestyle="--", label="δ = 0.618")
    left.set(xlabel="$\\delta_{3s}$", ylabel="largest factor of a step", title="(a) contraction")
    left.legend(loc="upper left")
    right.plot(expansion["c"], expansion["expansion"], color=BLUE)
    right.axhline(GOLDEN, color=BLACK, linewidth=0.8)
    right.axvline(1 / GOLDEN, color=VERMILLION, linewidth=0.8, linestyle="--")
    right.set(xlabel="$c$", ylabel="expansion at $v=(c,c)$", title="(b) hard threshold", ylim=(0, 1.75))
    for axes in (left, right):
        light_grid(axes)
    return figure
