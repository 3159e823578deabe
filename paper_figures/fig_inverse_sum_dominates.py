"""The inverse-sum regulariser against the group LASSO, and the holes in the range of q."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "inverse_sum_dominates"
TITLE = "The inverse sum dominates the group LASSO"
CURVES = {"range_holes": 10, "inverse": 10}

FUNCTIONS = {
    "ratio": ("$t/(1+t)$", BLUE),
    "tanh": ("$\\tanh t$", GREEN),
    "jump": ("$t+1[t>0]$", ORANGE),
    "staircase": ("$t+\\lceil t\\rceil$", VERMILLION),
}
PENALTIES = {
    "Power(1/2)": ("√t", BLUE),
    "Power(2/3)": ("$t^{2/3}$", GREEN),
    "Log(1)": ("$\\log(1+t)$", ORANGE),
    "Ratio": ("$t/(1+t)$", BLACK),
    "ExpMask": ("exp mask", VERMILLION),
}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"], study_seed=recorded.window[0]["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """q, its generalised inverse, and the excess on real competitors."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    _functions(left, recorded.curve(NAME, "range_holes"))
    _inverses(middle, recorded.curve(NAME, "inverse"))
    _excess(right, recorded)
    return figure


def _functions(axes: Any, curve: dict[str, np.ndarray]) -> None:
    for (name, (label, colour)), dashes in zip(FUNCTIONS.items(), DASHES, strict=False):
        axes.plot(curve["t"], _broken(curve["t"], curve[name]), linestyle=dashes, color=colour, label=label)
    axes.set(xlabel="$t$", ylabel="$q(t)$", title="(a) bounded, or with jumps")
    axes.legend(loc="upper left")
    light_grid(axes)


def _inverses(axes: Any, curve: dict[str, np.ndarray]) -> None:
    for (name, (label, colour)), dashes in zip(FUNCTIONS.items(), DASHES, strict=False):
        values = curve[name]
        axes.plot(
            curve["y"], np.where(np.isfinite(values), values, np.nan), linestyle=dashes, color=colour, label=label
        )
    axes.set(xlabel="$y$", ylabel="$q^{-}(y)$", ylim=(-0.1, 4), title="(b) generalised inverse")
    light_grid(axes)


def _excess(axes: Any, recorded: Recorded) -> None:
    """Excess of the regulariser over the group LASSO: the difference of the two margins."""
    rows = [row for row in recorded.window_rows("competitor") if row["attack"] in ("gaussian", "two groups")]
    for (rho, (label, colour)), mark in zip(PENALTIES.items(), MARKS, strict=False):
        chosen = [row for row in rows if row["rho"] == rho]
        excess = [row["margin"] - row["margin_group_lasso"] for row in chosen]
        distance = [row["distance"] for row in chosen]
        style = {"color": colour, "markersize": 2.6, "alpha": 0.7, "label": label, "rasterized": True}
        axes.plot(distance, excess, mark, markeredgewidth=0, **style)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.set_yscale("symlog", linthresh=1e-4, linscale=0.5)
    axes.set_yticks([-1e1, -1e-1, -1e-3, 0, 1e-3, 1e-1, 1e1])
    axes.set(xscale="log", xlabel="distance $|u - b^*|$", ylabel="$\\lambda(R_q - \\Sigma_g |u_g|)$ / objective")
    axes.set_title("(c) real data")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0.0, markerscale=2)
    light_grid(axes)


def _broken(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values with a gap wherever they jump by more than ten steps of t."""
    jumps = np.diff(values, prepend=values[0]) > 10 * np.diff(t, prepend=t[0]).max()
    return np.where(jumps, np.nan, values)
