"""Recovery against samples and active groups, and how often the proved minimum of MCP is reached."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.phase_transition import BASE, CONCAVE, METHODS, optimality, recovery
from theory.intervals import sign_test

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, GREY, MARKS, ORANGE, VERMILLION, WIDTH, light_grid, with_interval

NAME = "phase_transition"
TITLE = "Concave penalties against the group LASSO, paired"

LABELS = {"log-sum": "log-sum", "l_2/3": "$\\ell_{2/3}$", "MCP": "MCP", BASE: BASE, "group OMP": "group OMP"}
COLOURS = dict(zip(METHODS, (BLACK, BLUE, VERMILLION, GREEN, GREY), strict=True))
REACHED = {
    "truth": ("the minimum is the truth", BLACK),
    "path": ("path of MCP ends there", ORANGE),
    "reweighted": ("reweighting ends there", BLUE),
    "lasso": ("group LASSO recovers", GREY),
}


def caption(recorded: Recorded) -> str:
    """What is seen, with the study, its seed and sizes."""
    rows = recorded.committed(NAME)
    setting, table, proofs = rows[0]["config"], recovery(rows), optimality(rows)
    log, power = (_against_lasso(table, name) for name in ("log-sum", "l_2/3"))
    return prose(
        f"{NAME}.txt",
        **{key: setting[key] for key in ("seed", "instances", "groups", "size", "active", "fixed", "proved_groups")},
        k=setting["proved_active"],
        log=log,
        power=power,
        level=f"{float(sign_test(*power)):.1g}",
        proofs=sum(proofs["proved"]),
        searches=sum(proofs["trials"]),
        true=round(sum(np.array(proofs["truth"]) * proofs["proved"])),
    )


def _against_lasso(table: dict[str, list[Any]], method: str) -> tuple[int, int]:
    """Instances that the method alone recovers, and those that the group LASSO alone recovers."""
    own = [i for i, name in enumerate(table["method"]) if name == method]
    return sum(table["wins"][i] for i in own), sum(table["losses"][i] for i in own)


def draw(recorded: Recorded, plt: Any) -> Any:
    """Shares with 95 % intervals over samples and active groups; wins against losses; the proved minimum."""
    rows = recorded.committed(NAME)
    setting, table = rows[0]["config"], {key: np.array(values) for key, values in recovery(rows).items()}
    figure, panels = plt.subplots(2, 2, figsize=(WIDTH, 5.4), layout="constrained")
    (a, b), (c, d) = panels
    _shares(a, table, table["active"] == setting["active"], "samples")
    _shares(b, table, table["samples"] == setting["fixed"], "active")
    a.set(xlabel="samples $n$", title=f"(a) {setting['active']} of {setting['groups']} groups active")
    b.set(xlabel="active groups", title=f"(b) {setting['fixed']} samples")
    _pairs(c, table)
    _proved(d, {key: np.array(values) for key, values in optimality(rows).items()})
    d.set_title(f"(d) proved minimum of MCP, {setting['proved_active']} of {setting['proved_groups']} active")
    for axes in (a, b, d):
        axes.set(ylabel="share of instances", ylim=(-0.04, 1.04))
        light_grid(axes)
    b.legend(loc="lower left")
    d.legend(loc="lower right")
    return figure


def _shares(axes: Any, table: dict[str, np.ndarray], chosen: np.ndarray, over: str) -> None:
    """A line for each method; they stand a little beside each other."""
    for k, method in enumerate(METHODS):
        mine = chosen & (table["method"] == method)
        order = np.argsort(table[over][mine])
        x, share, lower, upper = (table[key][mine][order] for key in (over, "share", "lower", "upper"))
        look = {"color": COLOURS[method], "marker": MARKS[k], "linestyle": DASHES[k], "label": LABELS[method]}
        with_interval(axes, x + 0.05 * (x[1] - x[0]) * (k - 2), share, lower, upper, **look)
    axes.set_xticks(np.unique(table[over][chosen]))


def _pairs(axes: Any, table: dict[str, np.ndarray]) -> None:
    """Instances that a method alone recovers, and those that the group LASSO alone recovers, over all shapes."""
    names = [*CONCAVE, "group OMP"]
    wins, losses = (
        np.array([table[key][table["method"] == name].sum() for name in names]) for key in ("wins", "losses")
    )
    rows = np.arange(len(names))[::-1]
    axes.barh(rows, wins, color=BLUE, height=0.55, label="recovered by it alone")
    axes.barh(rows, -losses, color=ORANGE, height=0.55, hatch="///", edgecolor="white", label="by the LASSO alone")
    for row, win, loss in zip(rows, wins, losses, strict=True):
        for end, count, beside, side in ((win, win, 3, "left"), (-loss, loss, -3, "right")):
            place = {"xytext": (beside, 0), "textcoords": "offset points", "va": "center", "ha": side}
            axes.annotate(f"{count}", (end, row), fontsize=7.5, **place)
    axes.axvline(0, color=BLACK, linewidth=0.8)
    reach = 1.25 * max(wins.max(), losses.max(), 1)
    axes.set(xlim=(-reach, reach), yticks=rows, yticklabels=[LABELS[name] for name in names])
    axes.set_xticks(axes.get_xticks(), [f"{abs(tick):g}" for tick in axes.get_xticks()])
    axes.set(
        xlim=(-reach, reach), ylim=(-1.3, len(names) - 0.5), xlabel="instances", title="(c) paired with the group LASSO"
    )
    axes.legend(loc="lower center", ncols=2, columnspacing=1.0, handlelength=1.4)


def _proved(axes: Any, table: dict[str, np.ndarray]) -> None:
    for k, (name, (label, colour)) in enumerate(REACHED.items()):
        look = {"color": colour, "marker": MARKS[k], "linestyle": DASHES[k], "label": label}
        x = table["samples"] + 0.12 * (k - 1.5)
        with_interval(axes, x, table[name], table[f"{name}_lower"], table[f"{name}_upper"], **look)
    axes.set_xticks(table["samples"])
    axes.set_xlabel("samples $n$")
