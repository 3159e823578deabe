"""How the figures of worst-case rates look: textbook bound, tight bound, its proofs and what runs do, in one panel."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded
from .style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, WIDTH, light_grid


def draw_rates(recorded: Recorded, plt: Any, name: str, ylabel: str, *, logarithmic: bool = True) -> Any:
    """The rates over the number of steps, and as shares of the textbook bound."""
    rates, proofs = recorded.curve(name, "rates"), recorded.curve(name, "proofs")
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.0), layout="constrained", width_ratios=[1.25, 1])
    k, textbook = rates["k"], rates["textbook"]
    inside = [int(value) - 1 for value in proofs["k"]]
    for axes, unit, part in ((left, 1.0, 1.0), (right, textbook, textbook[inside])):
        axes.plot(k, textbook / unit, "-", color=BLACK, linewidth=1, label="textbook bound")
        axes.plot(k, rates["tight"] / unit, "--", color=BLUE, label="tight bound")
        axes.plot(
            proofs["k"],
            proofs["proved"] / part,
            "s",
            color=BLUE,
            markersize=5,
            fillstyle="none",
            label="proved exactly",
        )
        axes.plot(proofs["k"], proofs["pepit"] / part, "+", color=ORANGE, markersize=5, label="PEPit")
        if "worst_instance" in rates:
            axes.plot(
                k, rates["worst_instance"] / unit, ".", color=VERMILLION, markersize=3.5, label="worst instance, run"
            )
        axes.plot(k, rates["observed"] / unit, ":", color=GREEN, label="worst of 12 random runs")
        axes.set_xlabel("steps $k$")
        if logarithmic:
            axes.set_xscale("log")
        axes.set_yscale("log")
        light_grid(axes)
    left.set(ylabel=ylabel, title="(a) rates")
    right.set(ylabel="share of the textbook bound", title="(b) how loose the textbook is")
    left.legend(loc="lower left")
    lowest = max(float((rates["observed"] / textbook).min()), 1e-4)
    right.set_ylim(0.5 * lowest, 1.4)
    return figure
