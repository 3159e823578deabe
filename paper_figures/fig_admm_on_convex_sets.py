"""The rate of ADMM on convex sets against rho, and its movements against the sublinear bound."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, VERMILLION, WIDTH, light_grid

NAME = "admm_on_convex_sets"
TITLE = "ADMM on a convex set"
CURVES = {"rates": 2, "slow": 9}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Factors over rho, movements over sweeps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    rates, slow = recorded.curve(NAME, "rates"), recorded.curve(NAME, "slow")
    left.plot(rates["ratio"], rates["bound"], color=BLACK, linewidth=0.9, label="$(1 + \\delta)/2$")
    left.plot(rates["ratio"], rates["seen"], "o", color=VERMILLION, markersize=4, label="largest factor seen")
    left.axvline(1, color=BLUE, linewidth=0.8, linestyle="--", label="$\\rho$ = √($\\mu L$)")
    left.set(xscale="log", xlabel="$\\rho$ / √($\\mu L$)", ylabel="$|s^+ - s^*| / |s - s^*|$", title="(a) one sweep")
    left.legend(loc="lower right")
    right.plot(slow["sweep"], slow["bound"], color=BLACK, linewidth=0.9, label="$|s_0 - s^*|$ / √($j + 1$)")
    right.plot(slow["sweep"], slow["movement"], "--", color=VERMILLION, label="$|s_{j+1} - s_j|$")
    right.set(xscale="log", yscale="log", xlabel="sweep $j + 1$", ylabel="distance (units of w)", title="(b) movement")
    right.legend(loc="lower left")
    for axes in (left, right):
        light_grid(axes)
    return figure
