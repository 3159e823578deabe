"""Critical points and local minima of six penalties over lambda, for one to three variables."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "minima_at_small_lambda"
TITLE = "Local minima as λ goes to 0"
CURVES = {"counts": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """A panel for each dimension."""
    curve = recorded.curve(NAME, "counts")
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 3.0), layout="constrained", sharey=True)
    looks = (
        ("l0", "$\\ell_0$ minima", BLACK, "s-"),
        ("l_half", "$\\ell_{1/2}$ minima", VERMILLION, "^--"),
        ("mcp_1.2", "MCP, $\\gamma=1.2$", ORANGE, "v-."),
        ("mcp_5", "MCP, $\\gamma=5$", GREEN, "D:"),
        ("scad", "SCAD, a = 3.7", BLUE, "x-"),
        ("lasso", "LASSO", GREY, "o:"),
    )
    for axes, p, letter in zip(panels, (1, 2, 3), "abc", strict=True):
        chosen = curve["p"] == p
        for name, label, colour, look in looks:
            axes.plot(curve["lam_over_tau"][chosen], curve[name][chosen], look, color=colour, markersize=4, label=label)
        axes.set(xscale="log", xlabel="$\\lambda\\,/\\,\\tau$", title=f"({letter}) p = {p}")
        axes.set_yscale("log", base=2)
        light_grid(axes)
    panels[0].set_ylabel("mean number")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
