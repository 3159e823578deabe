"""Which hypotheses of SMART's convergence hold over the number of steps, on random quadratics and real data."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.smart_hypotheses import KEPT_GROUPS, RANDOM, shares

from .recorded import Recorded, prose
from .style import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    LETTERS,
    MARKS,
    ORANGE,
    VERMILLION,
    WIDTH,
    light_grid,
    with_interval,
)

NAME = "smart_hypotheses"
TITLE = "Which hypotheses of SMART's convergence hold"

LOOKS = {
    "settled": ("kept set settles", GREEN),
    "gap": ("scores keep a gap", BLUE),
    "near": ("ends near the restricted minimiser", ORANGE),
    "best": ("keeps a best set", VERMILLION),
    "best_magnitude": ("the largest groups of the dense fit are best", GREY),
}


def caption(recorded: Recorded) -> str:
    """What is seen, with the study, its seed and sizes."""
    rows = recorded.committed(NAME)
    table = {key: np.array(values) for key, values in shares(rows).items()}
    longest = table["steps"] == table["steps"].max()
    found = {what: table["share"][longest & (table["what"] == what)] for what in ("all", "near_given_all", "best")}
    return prose(
        f"{NAME}.txt",
        seed=rows[0]["config"]["seed"],
        runs=rows[0]["config"]["runs"],
        kept=KEPT_GROUPS,
        longest=table["steps"].max(),
        held=f"{100 * found['all'].min():.0f}",
        near=f"{100 * np.nanmin(found['near_given_all']):.0f}",
        best=" %, ".join(f"{100 * value:.0f}" for value in found["best"]),
    )


def draw(recorded: Recorded, plt: Any) -> Any:
    """A panel for each source of quadratics."""
    table = {key: np.array(values) for key, values in shares(recorded.committed(NAME)).items()}
    sources = list(dict.fromkeys(table["source"].tolist()))
    figure, panels = plt.subplots(
        1, len(sources), figsize=(WIDTH, 3.1), layout="constrained", sharey=True, squeeze=False
    )
    for letter, axes, source in zip(LETTERS, panels[0], sources, strict=False):
        for k, (name, (label, colour)) in enumerate(LOOKS.items()):
            mine = (table["source"] == source) & (table["what"] == name)
            x = table["steps"][mine] * 1.05 ** (k - 2)
            look = {"color": colour, "marker": MARKS[k], "linestyle": DASHES[k], "label": label}
            with_interval(axes, x, *(table[key][mine] for key in ("share", "lower", "upper")), **look)
        title = "random quadratics" if source == RANDOM else source.replace("_", " ")
        axes.set(xscale="log", xlabel="steps", title=f"({letter}) {title}", ylim=(-0.04, 1.04))
        light_grid(axes)
    panels[0][0].set_ylabel("share of trajectories")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
