"""The largest group norm and the number of active groups around lambda_max."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, WIDTH, light_grid

NAME = "lambda_max_is_sharp"
TITLE = "λ_max is sharp"
CURVES = {"norms": 6}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Norm and number of groups over lam / lambda_max."""
    curve = recorded.curve(NAME, "norms")
    ratio = curve["lam_over_lambda_max"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    left.plot(ratio, curve["largest_norm"], color=BLUE)
    left.set(ylabel="largest $|w_g|$", title="(a) size")
    right.plot(ratio, curve["active_groups"], drawstyle="steps-pre", color=BLUE)
    right.set(ylabel="active groups", title="(b) number")
    right.yaxis.get_major_locator().set_params(integer=True)
    for axes in (left, right):
        axes.axvline(1, color=BLACK, linewidth=0.8)
        axes.set_xlabel("$\\lambda\\,/\\,\\lambda_{max}$")
        light_grid(axes)
    raw = curve["raw_over_projected"][0]
    note = f"without fitting the\nintercept first:\n{raw:.2g} $\\lambda_{{max}}$"
    left.text(0.98, 0.6, note, transform=left.transAxes, color=VERMILLION, ha="right", fontsize=7.5)
    return figure
