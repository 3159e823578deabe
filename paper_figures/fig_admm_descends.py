"""How ADMM on a set comes to rest, for which strengths its support does, and an orbit of period 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "admm_descends"
TITLE = "ADMM on a nonconvex set"
CURVES = {"moves": 5, "settled": 2, "orbit": 1, "map": 17}

RUNS = (
    ("rho_18", "$\\rho = 18$", VERMILLION, "-"),
    ("rho_20", "$\\rho = 20$", BLUE, "--"),
    ("rho_38", "$\\rho = 38$", GREEN, "-."),
)


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Movements, shares of runs that settle, as a curve and as a map, and the orbit."""
    figure, panels = plt.subplots(2, 2, figsize=(WIDTH, 5.6), layout="constrained")
    (left, middle), (shares, right) = panels
    moves, settled, orbit = (recorded.curve(NAME, name) for name in ("moves", "settled", "orbit"))
    for name, label, colour, dashes in RUNS:
        left.plot(moves["sweep"], moves[name], dashes, color=colour, label=label)
    left.set(xlabel="sweep", ylabel="$|x^+ - x|$ (units of $w$)", title="(a) movement", yscale="log")
    left.legend(loc="lower left")
    for name, label, colour, mark in (("order_z", "z first", BLUE, "o-"), ("order_x", "x first", ORANGE, "^:")):
        middle.plot(settled["ratio"], settled[name], mark, color=colour, markersize=3, label=label)
    middle.axvline(1, color=BLACK, linewidth=0.8, linestyle="--", label="$\\rho = L$")
    middle.set(xlabel="$\\rho / L$", ylabel="share of runs", title="(b) supports that rest", ylim=(-0.03, 1.05))
    middle.legend(loc="lower right")
    shades = _map(shares, recorded.curve(NAME, "map"))
    figure.colorbar(shades, ax=shares, ticks=[0, 0.25, 0.5, 0.75, 1]).ax.set(title="share", xlabel=" ")
    _orbit(right, orbit)
    for axes in (left, middle, right):
        light_grid(axes)
    return figure


def _map(axes: Any, cells: Any) -> Any:
    """Share of runs whose support rests, over rho / L and the correlation of the entries; the shades."""
    ratios, correlations = (np.unique(cells[name]) for name in ("ratio", "correlation"))
    rests = cells["rests"].reshape(len(ratios), len(correlations)).T
    shades = axes.pcolormesh(ratios, correlations, rests, cmap="cividis", vmin=0, vmax=1)
    axes.axvline(1, color=BLACK, linewidth=1.2, linestyle="--")
    axes.text(1.02, 0.05, "$\\rho = L$", color=BLACK, ha="left", fontsize=8)
    axes.set(xlabel="$\\rho / L$", ylabel="correlation of the entries", title="(c) supports that rest, z first")
    return shades


def _orbit(axes: Any, orbit: Any) -> None:
    for i, number in enumerate(("odd", "even")):
        ends = [[orbit[f"{name}_{j}"][i] for name in "xz"] for j in (1, 2)]
        colour = (BLUE, VERMILLION)[i]
        axes.plot(*ends, "--", color=colour, linewidth=0.8)
        axes.plot(orbit["x_1"][i], orbit["x_2"][i], "o^"[i], color=colour, label=f"x, {number} sweeps")
        axes.plot(orbit["z_1"][i], orbit["z_2"][i], "sD"[i], color=colour, mfc="white", label=f"z, {number} sweeps")
    axes.axhline(0, color=BLACK, linewidth=0.6)
    axes.axvline(0, color=BLACK, linewidth=0.6)
    axes.set(xlabel="first entry", ylabel="second entry", title="(d) period 2, $\\rho = 18$", aspect="equal")
    axes.set(xlim=(-0.4, 0.1), ylim=(-0.1, 0.4))
    axes.legend(loc="upper left")
