"""Number of critical points and local minima of each penalty against lambda and dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.critical_points import counts

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, GREY, MARKS, ORANGE, VERMILLION, WIDTH, light_grid

NAME = "critical_points"
TITLE = "How many critical points there are"

LOOKS = {
    "l_0": ("$\\ell_0$ (exact)", BLACK),
    "l_1/2": ("$\\ell_{1/2}$ (found)", VERMILLION),
    "SMART, proved": ("SMART (proved)", "#8a5fa8"),
    "log-sum": ("log-sum (found)", GREEN),
    "MCP, gamma = 1.2": ("MCP, $\\gamma=1.2$ (exact)", BLUE),
    "MCP, gamma = 3": ("MCP, $\\gamma=3$ (exact)", ORANGE),
    "exp mask": ("exp mask (found)", GREY),
}
SHARE = 0.5
"""lambda / tau of the panel over the dimension."""


def caption(recorded: Recorded) -> str:
    """What is seen, with the study, its seed and sizes."""
    rows = recorded.committed(NAME)
    table = {key: np.array(values) for key, values in counts(rows).items()}
    p = max(row["p"] for row in rows)
    mcp = table["penalty"] == "MCP, gamma = 1.2"
    setting = rows[0]["config"]
    return prose(
        f"{NAME}.txt",
        seed=setting["seed"],
        instances=setting["instances"],
        starts=setting["starts"],
        p=p,
        share=f"{SHARE:g}",
        largest=int(table["largest_critical"][mcp].max()),
        pieces=f"{5**p:,}",
        edges=sum(edge for row in rows for entries in row["exact"].values() for _, _, edge in entries),
    )


def draw(recorded: Recorded, plt: Any) -> Any:
    """Mean number of local minima over lambda and over p; critical points of MCP and SCAD over p."""
    table = {key: np.array(values) for key, values in counts(recorded.committed(NAME)).items()}
    p = table["p"].max()
    figure, (a, b, c) = plt.subplots(1, 3, figsize=(WIDTH, 3.3), layout="constrained")
    for k, (name, (label, colour)) in enumerate(LOOKS.items()):
        look = {"color": colour, "marker": MARKS[k % len(MARKS)], "linestyle": DASHES[k % len(DASHES)], "markersize": 4}
        for axes, over, chosen in (
            (a, "lam_over_tau", table["p"] == p),
            (b, "p", np.isclose(table["lam_over_tau"], SHARE)),
        ):
            mine = chosen & (table["penalty"] == name)
            axes.plot(table[over][mine], table["mean"][mine], label=label, **look)
    a.set(xscale="log", xlabel="$\\lambda\\,/\\,\\tau$", ylabel="mean number", title=f"(a) local minima, $p={p}$")
    b.set(xlabel="variables $p$", title=f"(b) local minima, $\\lambda={SHARE:g}\\,\\tau$")
    _critical(c, table)
    for axes in (a, b, c):
        axes.set_yscale("log", base=2)
        light_grid(axes)
    handles, labels = a.get_legend_handles_labels()
    extra = c.get_legend_handles_labels()
    figure.legend([*handles, extra[0][-1]], [*labels, extra[1][-1]], loc="outside lower center", ncols=4)
    return figure


def _critical(axes: Any, table: dict[str, np.ndarray]) -> None:
    """The mean over instances, filled, and the largest number, open, each at the lambda where it is largest."""
    for name, colour, mark in (("MCP, gamma = 1.2", BLUE, MARKS[4]), ("MCP, gamma = 3", ORANGE, MARKS[5])):
        mine = table["penalty"] == name
        dimensions = np.unique(table["p"][mine])
        mean, largest = (
            np.array([table[key][mine & (table["p"] == p)].max() for p in dimensions])
            for key in ("mean_critical", "largest_critical")
        )
        axes.plot(dimensions, mean, color=colour, marker=mark, markersize=4)
        axes.plot(dimensions, largest, color=colour, marker=mark, markersize=4, linestyle=":", fillstyle="none")
    axes.plot(
        [], [], color=BLACK, marker="o", markersize=4, linestyle=":", fillstyle="none", label="largest number seen"
    )
    axes.set(xlabel="variables $p$", title="(c) critical points of MCP")
