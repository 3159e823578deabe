"""The sandwich of Theorem 1.1 in the plane, and the margins of every competitor, on random and on real data."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, GREY, GRID, LETTERS, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "one_group_global_optimum"
TITLE = "One group is globally optimal, and no competitor is below"
CURVES = {"contour": 23}

ATTACKS = {
    "gaussian": ("random, 8 scales", BLUE, "o"),
    "zero": ("zero", BLACK, "P"),
    "one other group": ("one other group", GREEN, "^"),
    "two groups": ("two groups", ORANGE, "s"),
    "local descent": ("local descent", VERMILLION, "D"),
}
FUNCTIONS = {
    "Power(1/2)": "√t",
    "Power(2/3)": "$t^{2/3}$",
    "Log(1)": "$\\log(1+t)$",
    "Ratio": "$t/(1+t)$",
    "ExpMask": "exp mask",
}
OPAQUE = {"loc": "upper right", "frameon": True, "framealpha": 0.9, "edgecolor": "none"}
LINEAR_BELOW = 1e-6
"""Margins below this, in units of the objective, are drawn on a linear scale around 0."""


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    rows = recorded.window_rows("competitor")
    covered = [row for row in rows if row["rho"] != "ExpMask"]
    below = [row for row in rows if row["margin"] < -row["allowance"]]
    letters = [LETTERS[2 + i] for i in range(len(recorded.datasets))]
    return prose(
        f"{NAME}.txt",
        seed=recorded.verdict(NAME)["seed"],
        study_seed=rows[0]["seed"],
        panels=f"({', '.join(letters)})",
        covered=f"{len(covered):,}",
        below=sum(row["rho"] != "ExpMask" for row in below),
        mask=sum(row["rho"] == "ExpMask" for row in below),
    )


def draw(recorded: Recorded, plt: Any) -> Any:
    """Contour and random margins above, one panel for each data set below."""
    names = recorded.datasets
    figure = plt.figure(figsize=(WIDTH, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    left, right = above.subplots(1, 2)
    _contour(left, recorded.curve(NAME, "contour"))
    _random_margins(right, recorded.curve(NAME, "margins"))
    panels = below.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for letter, axes, name in zip(LETTERS[2:], panels, names, strict=False):
        _real_margins(axes, recorded.window_rows("competitor", name))
        axes.set_title(f"({letter}) {name.replace('_', ' ')}")
    _attack_legend(below, panels[0])
    return figure


def _contour(axes: Any, curve: dict[str, np.ndarray]) -> None:
    x, y = np.unique(curve["x"]), np.unique(curve["y"])
    upper, lower = (curve[name].reshape(len(y), len(x)) for name in ("inverse_sum", "group_lasso"))
    best = np.unravel_index(np.argmin(upper), upper.shape)
    levels = upper[best] + np.array([0.005, 0.02, 0.06, 0.12, 0.2, 0.3])
    solid = axes.contour(x, y, upper, levels=levels, colors=BLUE, linewidths=1.3, linestyles="solid")
    dashed = axes.contour(x, y, lower, levels=levels, colors=ORANGE, linewidths=1.3, linestyles="dashed")
    axes.axhline(0, color=GRID, linewidth=0.8, zorder=0)
    axes.axvline(0, color=GRID, linewidth=0.8, zorder=0)
    (star,) = axes.plot(x[best[1]], y[best[0]], "*", color=BLACK, markersize=11, linestyle="none")
    handles = [solid.legend_elements()[0][0], dashed.legend_elements()[0][0], star]
    axes.legend(handles, ["$F_R$ for $q$ = √t", "group LASSO", "$b^*$, minimum of both"], **OPAQUE)
    axes.set(xlabel="$u_1$", ylabel="$u_2$", title="(a) the sandwich in the plane", aspect="equal")


def _random_margins(axes: Any, curve: dict[str, np.ndarray]) -> None:
    shown = np.isfinite(curve["excess"]) & (curve["distance"] > 0)
    bound = shown & (curve["bound"] > 0)
    positive = np.concatenate([curve["bound"][bound], curve["excess"][shown & (curve["excess"] > 0)]])
    floor = 10.0 ** np.floor(np.log10(positive.min(initial=1.0)))
    names = list(dict.fromkeys(curve["q"].tolist()))
    colours = [BLUE, ORANGE, GREEN, VERMILLION, BLACK, GREY]
    for name, colour, mark in zip(names, colours, MARKS, strict=False):
        rows = shown & (curve["q"] == name)
        excess = np.maximum(curve["excess"][rows], floor)
        style = {"color": colour, "markersize": 2.6, "alpha": 0.8, "rasterized": True}
        axes.plot(curve["distance"][rows], excess, mark, label=name, **style)
    order = np.argsort(curve["distance"][bound])
    axes.plot(
        curve["distance"][bound][order], curve["bound"][bound][order], "-", color=BLACK, linewidth=1, label="bound"
    )
    axes.set(xscale="log", yscale="log", xlabel="distance $|u - b^*|$", ylabel="$F_R(u) - F_R(b^*)$")
    axes.set_title("(b) competitors on a random instance")
    axes.legend(loc="lower right", ncols=2, handletextpad=0.2, columnspacing=0.8)
    light_grid(axes)


def _real_margins(axes: Any, rows: list[dict[str, Any]]) -> None:
    """One strip for each q, every competitor a mark; the jitter is fixed by the order of the rows."""
    for height, rho in enumerate(reversed(FUNCTIONS)):
        chosen = [row for row in rows if row["rho"] == rho]
        for attack, (_, colour, mark) in ATTACKS.items():
            margins = np.array([row["margin"] for row in chosen if row["attack"] == attack])
            jitter = 0.6 * (np.arange(len(margins)) * 0.618 % 1 - 0.5)
            style = {"color": colour, "markersize": 2.8, "alpha": 0.75, "rasterized": True, "markeredgewidth": 0}
            axes.plot(margins, height + jitter, mark, linestyle="none", **style)
    axes.axvline(0, color=BLACK, linewidth=0.8)
    axes.set_xscale("symlog", linthresh=LINEAR_BELOW, linscale=0.6)
    axes.set_xticks([-1e-1, -1e-3, 0, 1e-5, 1e-3, 1e-1, 1e1], ["$-10^{-1}$", "", "0", "", "$10^{-3}$", "", "10"])
    axes.set_yticks(range(len(FUNCTIONS)), list(reversed(FUNCTIONS.values())))
    axes.set_xlabel("margin / objective")
    light_grid(axes, "x")


def _attack_legend(figure: Any, axes: Any) -> None:
    handles = [
        axes.plot([], [], mark, color=colour, linestyle="none", markersize=4, label=label)[0]
        for label, colour, mark in ATTACKS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), handletextpad=0.1)
