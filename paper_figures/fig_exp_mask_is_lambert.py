# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""The Lambert penalty with its derivatives, and its growth."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "exp_mask_is_lambert"
TITLE = "The exponential mask is the Lambert penalty"
CURVES = {"shape": 10, "growth": 5}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """q, q', q'' near 0; q over a^2 and over the squared logarithm."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.9), layout="constrained")
    shape, growth = recorded.curve(NAME, "shape"), recorded.curve(NAME, "growth")
    lines = (
        ("q", "$q$", BLUE, "-"),
        ("slope", "$q$′", GREEN, "--"),
        ("curvature", "$q$″", VERMILLION, "-."),
    )
    for column, label, colour, dashes in lines:
        left.plot(shape["a"], shape[column], dashes, color=colour, label=label)
    left.axhline(0, color=BLACK, linewidth=0.6)
    left.axvline(INFLECTION, color=BLACK, linewidth=0.8, linestyle=":", label="inflection √(e/2)")
    left.set(xlabel="group norm $a$", ylabel="value", title="(a) the penalty and its derivatives")
    left.legend(loc="upper left", bbox_to_anchor=(0.27, 1.0))
    right.plot(growth["a"], growth["over_square"], color=BLUE, label="$q / a^2$")
    right.plot(growth["a"], growth["over_log_square"], "--", color=ORANGE, label="$q / \\log^2 a$")
    right.axhline(1, color=BLACK, linewidth=0.6)
    right.set(
        xscale="log", ylim=(0, 3), xlabel="group norm $a$", ylabel="ratio", title="(b) ridge near 0, log² far out"
    )
    right.legend(loc="upper right")
    for axes in (left, right):
        light_grid(axes)
    return figure


INFLECTION = 1.165821990798562
"""sqrt(e / 2)."""
