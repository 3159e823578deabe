"""Where two groups under the exponential mask cost less than one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, VERMILLION, WIDTH, light_grid

NAME = "exp_mask_is_not_subadditive"
TITLE = "Two groups can cost less than one"
CURVES = {"map": 57, "partner": 5}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """The defect S over the plane, with the curve b*(a) where it changes sign."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained")
    grid, partner = recorded.curve(NAME, "map"), recorded.curve(NAME, "partner")
    side = int(np.sqrt(len(grid["S"])))
    a, b, S = (grid[name].reshape(side, side) for name in ("a", "b", "S"))
    size = float(np.abs(S).max())
    shades = left.contourf(a, b, S, levels=np.linspace(-size, size, 22), cmap="PuOr")
    left.contour(a, b, S, levels=[0], colors=BLACK, linewidths=1)
    figure.colorbar(shades, ax=left, ticks=[-1, -0.5, 0, 0.5, 1]).ax.set(title="$S$", xlabel=" ")
    left.set(xlabel="$a$", ylabel="$b$", title="(a) $q(a) + q(b) - q(a + b)$", aspect="equal")
    right.plot(partner["a"], partner["b"], color=VERMILLION, label="$b^*(a)$")
    right.plot(partner["a"], partner["a"], ":", color=BLACK, linewidth=0.8, label="$b = a$")
    right.set(xscale="log", yscale="log", xlabel="$a$", ylabel="$b^*(a)$", title="(b) subadditive above the curve")
    right.set_xticks([0.2, 0.5, 1, 2, 5], labels=["0.2", "0.5", "1", "2", "5"], minor=False)
    right.set_xticks([], minor=True)
    right.legend(loc="upper right")
    light_grid(right)
    return figure
