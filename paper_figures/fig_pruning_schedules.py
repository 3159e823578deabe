"""What gradual pruning keeps beyond one shot, over shape and steps of the schedule, and over the block size."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.pruning_schedules import KEPT_SHARE, PLANTED, block_sizes, schedules

from .recorded import Recorded, prose
from .style import BLACK, BLUE, DASHES, GREEN, MARKS, VERMILLION, WIDTH, light_grid, with_interval

NAME = "pruning_schedules"
TITLE = "Schedules and block sizes of pruning, paired"

COLOURS = (BLUE, VERMILLION, GREEN)


def caption(recorded: Recorded) -> str:
    """What is seen, with the study, its seed and sizes."""
    setting = recorded.committed(NAME)[0]["config"]
    table = schedules(recorded.committed(NAME))
    best = int(np.argmax(table["mean"]))
    return prose(
        f"{NAME}.txt",
        seed=setting["seed"],
        problems=setting["problems"],
        planted=PLANTED,
        kept=100 // KEPT_SHARE,
        steps=setting["block_steps"],
        best_steps=table["steps"][best],
        best_c=f"{table['c'][best]:g}",
        gain=f"{100 * table['mean'][best]:.2f}",
        lower=f"{100 * table['lower'][best]:.2f}",
        upper=f"{100 * table['upper'][best]:.2f}",
        won=f"{100 * table['won'][best]:.0f}",
    )


def draw(recorded: Recorded, plt: Any) -> Any:
    """Paired means, shares of problems won, and what blocks of each size keep, with intervals."""
    rows = recorded.committed(NAME)
    table = {key: np.array(values) for key, values in schedules(rows).items()}
    figure, (a, b, c) = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    for k, steps in enumerate(np.unique(table["steps"])):
        mine, look = table["steps"] == steps, {"color": COLOURS[k], "marker": MARKS[k], "linestyle": DASHES[k]}
        x = table["c"][mine] + 0.15 * (k - 1)
        mean, lower, upper = (100 * table[key][mine] for key in ("mean", "lower", "upper"))
        with_interval(a, x, mean, lower, upper, label=f"{steps} steps", **look)
        with_interval(b, x, *(100 * table[key][mine] for key in ("won", "lower_won", "upper_won")), **look)
    a.axhline(0, color=BLACK, linewidth=0.8)
    shape = "shape $c$ (0: linear, > 0: early)"
    a.set(xlabel=shape, ylabel="kept beyond one shot, %", title="(a) mean gain")
    b.set(xlabel=shape, ylabel="% of problems", title="(b) better than one shot", ylim=(0, 103))
    a.legend(loc="lower right")
    _blocks(c, {key: np.array(values) for key, values in block_sizes(rows).items()})
    for axes in (a, b, c):
        light_grid(axes)
    return figure


def _blocks(axes: Any, table: dict[str, np.ndarray]) -> None:
    """What is kept over the block size."""
    for k, (name, label) in enumerate((("gradual", "gradual, $c=4$"), ("one_shot", "one shot"))):
        look = {"color": COLOURS[k], "marker": MARKS[k], "linestyle": DASHES[k], "label": label}
        values = (100 * table[name + end] for end in ("", "_lower", "_upper"))
        with_interval(axes, table["size"] * 1.04 ** (2 * k - 1), *values, **look)
    axes.axvline(PLANTED, color=BLACK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(table["size"], [str(size) for size in table["size"]])
    axes.set(xlabel=f"block size ({PLANTED} planted)", ylabel="kept, %", title="(c) block size")
    axes.legend(loc="lower left")
