"""Time and nodes of branch and bound against the number of groups, from the committed measurements."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLUE, DASHES, GREEN, GREY, LETTERS, MARKS, VERMILLION, WIDTH, light_grid

NAME = "branch_and_bound"
TITLE = "Proofs of global optimality by branch and bound"

PENALTIES = {"l0": "group l0", "mcp": "group MCP", "scad": "group SCAD"}
COLOURS = (BLUE, VERMILLION, GREEN)
PANELS = {"cpu_seconds": "CPU seconds", "nodes": "relaxations solved"}

BOUND = 60.0
"""CPU seconds in which 40 groups shall be proved."""


def caption(recorded: Recorded) -> str:
    """What is seen, with the study, its seed, and how many searches ended with a proof."""
    rows = recorded.branch_and_bound
    setting = rows[0]["config"]
    largest = max(row["n_groups"] for row in rows)
    slowest = max(row["cpu_seconds"] for row in rows if row["n_groups"] == largest)
    return prose(
        f"{NAME}.txt",
        **{key: setting[key] for key in ("seed", "size", "samples", "active", "signal_to_noise")},
        proved=sum(row["proved"] for row in rows),
        searches=len(rows),
        largest=largest,
        slowest=f"{slowest:.2g}",
    )


def draw(recorded: Recorded, plt: Any) -> Any:
    """Seconds and relaxations; marks are instances, lines their geometric means, open marks have no proof."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.2), layout="constrained")
    for letter, axes, (key, name) in zip(LETTERS, panels, PANELS.items(), strict=False):
        for shift, kind in enumerate(PENALTIES):
            rows = [row for row in recorded.branch_and_bound if row["penalty"] == kind]
            _penalty(axes, rows, key, shift)
        axes.set(yscale="log", xlabel="groups of 3", ylabel=name, title=f"({letter}) {name}")
        axes.set_xticks(sorted({row["n_groups"] for row in recorded.branch_and_bound}))
        light_grid(axes, "y")
    left = panels[0]
    left.axhline(BOUND, color=GREY, linewidth=0.8, linestyle=":")
    left.text(0.02, BOUND / 1.15, "60 s", color=GREY, fontsize=7.5, va="top", transform=left.get_yaxis_transform())
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(PENALTIES))
    return figure


def _penalty(axes: Any, rows: list[dict[str, Any]], key: str, shift: int) -> None:
    """One penalty; its marks stand a little beside those of the others."""
    counts = sorted({row["n_groups"] for row in rows})
    means = [np.exp(np.mean([np.log(row[key]) for row in rows if row["n_groups"] == count])) for count in counts]
    beside = 0.5 * (shift - 1)
    style = {"color": COLOURS[shift], "marker": MARKS[shift], "markersize": 3.5}
    axes.plot(
        np.array(counts) + beside, means, color=COLOURS[shift], linestyle=DASHES[shift], linewidth=1.1, marker="none"
    )
    for row in rows:
        face = COLOURS[shift] if row["proved"] else "white"
        axes.plot(row["n_groups"] + beside, row[key], linestyle="none", markerfacecolor=face, **style)
    axes.plot([], [], label=list(PENALTIES.values())[shift], linestyle=DASHES[shift], linewidth=1.1, **style)
