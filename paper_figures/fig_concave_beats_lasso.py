"""The solution of the LASSO and the minimum of MCP on the design that misleads the LASSO."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "concave_beats_lasso"
TITLE = "A concave penalty recovers what the LASSO misses"
CURVES = {"supports": 3}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Coefficients over lam, LASSO and MCP."""
    curve = recorded.curve(NAME, "supports")
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.9), layout="constrained", sharey=True)
    looks = (("1", BLUE, "-", "o"), ("2", GREEN, "--", "x"), ("3", VERMILLION, "-.", "s"))
    for axes, kind, title in zip(panels, ("lasso", "mcp"), ("(a) LASSO", "(b) MCP, $\\gamma = 3$"), strict=True):
        for name, colour, dashes, mark in looks:
            label = f"$u_{name}$" + (" (not in the truth)" if name == "3" else "")
            axes.plot(
                curve["lam"], curve[f"{kind}_{name}"], mark, linestyle=dashes, color=colour, markersize=3, label=label
            )
        axes.axhline(0, color=BLACK, linewidth=0.5)
        axes.set(xlabel="$\\lambda$", title=title)
        light_grid(axes)
    panels[0].set_ylabel("coefficient at the minimum")
    panels[1].legend(loc="upper right")
    return figure
