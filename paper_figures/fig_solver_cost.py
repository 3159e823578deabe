"""Time of one solve against the number of columns and of threads, from the committed measurements."""

from __future__ import annotations

from typing import Any

from .recorded import Recorded, prose
from .style import BLUE, DASHES, LETTERS, MARKS, VERMILLION, WIDTH, light_grid

NAME = "solver_cost"
TITLE = "Cost of one solve against columns and threads"

PANELS = {"wall_seconds": "wall-clock seconds", "cpu_seconds": "CPU seconds"}


def caption(recorded: Recorded) -> str:
    """What is seen, with the benchmark, its seed, how the time grows, the passes over X and the memory."""
    rows = recorded.solver_cost
    passes = sorted(row["passes"] for row in rows)
    memory = max(row["extra_memory"] for row in rows)
    ends = min(row["p"] for row in rows), max(row["p"] for row in rows)
    (cpu, wall), (later_cpu, later_wall) = (_seconds(rows, p, 1) for p in ends)
    ratios = (_seconds(rows, p, 2)[1] / one for p, one in zip(ends, (wall, later_wall), strict=True))
    small, large = (f"{ratio:.2g}" for ratio in ratios)
    return prose(
        f"{NAME}.txt",
        seed=rows[0]["seed"],
        n=rows[0]["n"],
        smallest=f"{ends[0]:,}",
        largest=f"{ends[1]:,}",
        growth=f"{later_cpu / cpu:.0f}",
        small=small,
        large=large,
        passes=f"{passes[0]:.1f} to {passes[-1]:.1f}",
        memory=f"{100 * memory:.0f} %",
    )


def _seconds(rows: list[dict[str, Any]], p: int, threads: int) -> tuple[float, float]:
    """Smallest CPU and wall-clock seconds."""
    (row,) = (row for row in rows if (row["p"], row["threads"]) == (p, threads))
    return min(row["cpu_seconds"]), min(row["wall_seconds"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Wall-clock and CPU seconds, one line for each number of threads."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.0), layout="constrained", sharey=True)
    threads = sorted({row["threads"] for row in recorded.solver_cost})
    for letter, axes, (key, name) in zip(LETTERS, panels, PANELS.items(), strict=False):
        for count, colour, mark, dashes in zip(threads, (BLUE, VERMILLION), MARKS, DASHES, strict=False):
            rows = sorted((r for r in recorded.solver_cost if r["threads"] == count), key=lambda row: row["p"])
            label = f"{count} thread" + ("s" if count > 1 else "")
            seconds = [min(row[key]) for row in rows]
            style = {"color": colour, "marker": mark, "markersize": 4, "linestyle": dashes, "linewidth": 1.1}
            axes.plot([row["p"] for row in rows], seconds, label=label, **style)
        axes.set(xscale="log", yscale="log", xlabel="columns of X", title=f"({letter}) {name}")
        light_grid(axes)
    panels[0].set_ylabel("seconds")
    panels[0].legend(loc="upper left")
    return figure
