"""The pruned entry under annealing, its phase transition, and annealing with trained scores."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, GREY, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "annealing_prunes"
TITLE = "How fast to anneal"
CURVES = {"runs": 7, "transition": 2, "trained": 1}

EXPONENTS = {"0.25": VERMILLION, "0.4": ORANGE, "0.5": BLACK, "0.6": GREY, "0.75": BLUE, "1": GREEN}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Runs over time, ends over p, losses over the number of steps."""
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained", width_ratios=[1.25, 1, 1])
    left, middle, right = panels
    runs, transition, trained = (recorded.curve(NAME, name) for name in ("runs", "transition", "trained"))
    for (p, colour), dashes in zip(EXPONENTS.items(), DASHES, strict=True):
        left.plot(runs["t"][1:], runs[f"p_{p}"][1:], linestyle=dashes, color=colour, label=f"p = {p}")
    left.set(xscale="log", yscale="log", xlabel="step t", ylabel="$u$ (dense optimum 1)", title="(a) pruned entry")
    left.legend(loc="lower left")
    for name, label, colour, mark in (("u_300", "t = 300", BLUE, "o-"), ("u_10000", "t = 10000", VERMILLION, "^--")):
        middle.plot(transition["p"], transition[name], mark, color=colour, markersize=3.5, linewidth=1, label=label)
    middle.plot([0.5], [0.5], "*", color=BLACK, markersize=9, label="limit at 1/2")
    middle.set(xlabel="exponent p", ylabel="$u$", title="(b) transition")
    middle.legend(loc="upper right")
    right.plot(trained["steps"], trained["loss"], "o-", color=BLUE, markersize=3.5, linewidth=1)
    for loss, dashes, label in ((4.5, ":", "wrong entry"), (0.5, "--", "right entry")):
        right.axhline(loss, color=BLACK, linewidth=0.8, linestyle=dashes, label=label)
    right.set(xscale="log", xlabel="steps of annealing", ylabel="loss", title="(c) trained scores")
    right.legend(loc="center left")
    for axes in panels:
        light_grid(axes)
    return figure
