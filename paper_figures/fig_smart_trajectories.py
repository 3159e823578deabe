"""Which hypotheses hold along trajectories of SMART."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "smart_trajectories"
TITLE = "What the trajectories of SMART satisfy"
CURVES = {"shares": 1, "gaps": 20}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Shares over the number of steps; gap and temperature along one run."""
    shares, gaps = recorded.curve(NAME, "shares"), recorded.curve(NAME, "gaps")
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.9), layout="constrained")
    looks = (
        ("gap", "lead of 10 $\\tau_{end}$", BLUE, "o-"),
        ("settled", "kept set settles", GREEN, "s--"),
        ("optimal", "best set", VERMILLION, "^-."),
    )
    for name, label, colour, look in looks:
        left.plot(shares["steps"], shares[name], look, color=colour, markersize=4, label=label)
    left.set(
        xscale="log",
        xlabel="steps",
        ylabel="share of 12 trajectories",
        title="(a) hypotheses and outcome",
        ylim=(-0.05, 1.05),
    )
    left.legend(loc="lower right")
    right.plot(gaps["step"], gaps["gap"], color=BLUE, label="lead of the $k$-th score")
    right.plot(gaps["step"], gaps["tau"], "--", color=BLACK, label="temperature $\\tau$")
    right.set(yscale="log", xlabel="step", ylabel="lead, $\\tau$", title="(b) one trajectory")
    right.legend(loc="center right")
    for axes in (left, right):
        light_grid(axes)
    return figure
