"""Sparsity along the path, and what one variable can reach."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, GREEN, VERMILLION, WIDTH, light_grid

NAME = "sum_of_q_is_another_problem"
TITLE = "The sum of q and its inverse sum"
CURVES = {"path": 4, "reach": 10}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Active groups over lam; minimisers in one variable."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    path, reach = recorded.curve(NAME, "path"), recorded.curve(NAME, "reach")
    lines = (("inverse_sum", r"$q^{-1}(\Sigma q)$", BLUE, "o", 0.03), ("sum", r"$\Sigma q$", VERMILLION, "^", -0.03))
    for name, label, colour, mark, shift in lines:
        left.plot(path["lam"], path[name] + shift, mark, color=colour, markersize=3, label=label)
    left.set(xlabel=r"strength $\lambda$", ylabel="active groups", yticks=[0, 1, 2], title="(a) two groups, $q$ = √$t$")
    left.legend(loc="center left")
    kinds = (
        ("lasso", r"$q^{-1}(\Sigma q)$: LASSO", BLACK, ":"),
        ("two_thirds", "$t^{2/3}$", GREEN, "--"),
        ("half", "√$t$", VERMILLION, "-"),
    )
    for name, label, colour, dashes in kinds:
        right.plot(reach["lam"], reach[name], dashes, color=colour, label=label)
    right.set(xlabel=r"strength $\lambda$", ylabel="minimiser", title="(b) one variable, loss $(x - 1)^2 / 2$")
    right.legend(loc="upper right")
    for axes in (left, right):
        light_grid(axes)
    return figure
