"""How ADMM on a set comes to rest, where its support comes to rest, and an orbit of period 2."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "admm_descends"
TITLE = "ADMM on a nonconvex set"
CURVES = {"moves": 5, "settled": 2, "orbit": 1}

RUNS = (
    ("rho_18", "$\\rho = 18$", VERMILLION, "-"),
    ("rho_20", "$\\rho = 20$", BLUE, "--"),
    ("rho_38", "$\\rho = 38$", GREEN, "-."),
)


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Movements, shares of runs that settle, and the orbit."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 3.0), layout="constrained")
    moves, settled, orbit = (recorded.curve(NAME, name) for name in ("moves", "settled", "orbit"))
    for name, label, colour, dashes in RUNS:
        left.plot(moves["sweep"], moves[name], dashes, color=colour, label=label)
    left.set(xlabel="sweep", ylabel="$|x^+ - x|$", title="(a) movement", yscale="log")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, columnspacing=1.0)
    for name, label, colour, mark in (("order_z", "z first", BLUE, "o-"), ("order_x", "x first", ORANGE, "^:")):
        middle.plot(settled["ratio"], settled[name], mark, color=colour, markersize=3, label=label)
    middle.axvline(1, color=BLACK, linewidth=0.8, linestyle="--", label="$\\rho = L$")
    middle.set(xlabel="$\\rho / L$", ylabel="share of runs", title="(b) supports that rest", ylim=(-0.03, 1.05))
    middle.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, columnspacing=1.0)
    _orbit(right, orbit)
    for axes in (left, middle, right):
        light_grid(axes)
    return figure


def _orbit(axes: Any, orbit: Any) -> None:
    for i, number in enumerate(("odd", "even")):
        ends = [[orbit[f"{name}_{j}"][i] for name in "xz"] for j in (1, 2)]
        colour = (BLUE, VERMILLION)[i]
        axes.plot(*ends, "--", color=colour, linewidth=0.8)
        axes.plot(orbit["x_1"][i], orbit["x_2"][i], "o^"[i], color=colour, label=f"x, {number} sweeps")
        axes.plot(orbit["z_1"][i], orbit["z_2"][i], "sD"[i], color=colour, mfc="white", label=f"z, {number} sweeps")
    axes.axhline(0, color=BLACK, linewidth=0.6)
    axes.axvline(0, color=BLACK, linewidth=0.6)
    axes.set(xlabel="first entry", ylabel="second entry", title="(c) period 2, $\\rho = 18$", aspect="equal")
    axes.set(xlim=(-0.4, 0.1), ylim=(-0.1, 0.4))
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.22), ncols=2, columnspacing=1.0)
