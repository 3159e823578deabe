"""Number of active groups against lambda, with the guaranteed window of one group shaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from .recorded import Recorded, prose
from .style import BLACK, BLUE, LETTERS, VERMILLION, WIDTH, WINDOW_FILL, light_grid

NAME = "lambda_window"
TITLE = "The window with one active group"
CURVES = {"active_groups": 3, "widths": 2}

ARROW = {"arrowstyle": "-", "color": BLACK, "linewidth": 0.6}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    widths = ", ".join(
        f"{100 * (1 - row['lower_ratio']):.2g} % of λ_max ({row['dataset'].replace('_', ' ')})"
        for row in recorded.window_rows("window")
    )
    return prose(f"{NAME}.txt", widths=widths, seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """One column for each data set, random instances below."""
    names = recorded.datasets
    figure = plt.figure(figsize=(WIDTH, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.9, 1])
    panels = above.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        (window,) = recorded.window_rows("window", name)
        rows = sorted(recorded.window_rows("active", name), key=lambda row: row["lam_ratio"])
        ratio, active = (np.array([row[key] for row in rows]) for key in ("lam_ratio", "n_active"))
        for row, scale in enumerate((_whole_path, _zoom)):
            scale(panels[row, column], ratio, active, window["lower_ratio"])
            letter = LETTERS[row * len(names) + column]
            panels[row, column].set_title(f"({letter}) {name.replace('_', ' ')}")
        panels[0, column].set_xlabel("$\\lambda\\,/\\,\\lambda_{max}$")
        panels[1, column].set_xlabel("$1 - \\lambda\\,/\\,\\lambda_{max}$")
    for row in (0, 1):
        panels[row, 0].set_ylabel("active groups")
    left, right = below.subplots(1, 2, width_ratios=[1.6, 1])
    _random_path(left, recorded.curve(NAME, "active_groups"), f"({LETTERS[2 * len(names)]}) a random instance")
    _widths(right, recorded.curve(NAME, "widths"), f"({LETTERS[2 * len(names) + 1]}) random instances")
    below.legend(handles=right.get_lines()[:2], loc="outside lower right", ncols=2, handletextpad=0.1)
    return figure


def _whole_path(axes: Any, ratio: np.ndarray, active: np.ndarray, lower: float) -> None:
    axes.axvspan(lower, 1, color=WINDOW_FILL, linewidth=0)
    axes.axvline(lower, color=BLUE, linewidth=0.8)
    _steps(axes, ratio, active)
    axes.set_xlim(0, 1.15)


def _zoom(axes: Any, ratio: np.ndarray, active: np.ndarray, lower: float) -> None:
    """The part below lambda_max, on a logarithmic scale that runs to the right as lambda falls."""
    inside = ratio < 1
    depth, active = 1 - ratio[inside][::-1], active[inside][::-1]
    axes.axvspan(depth[0], 1 - lower, color=WINDOW_FILL, linewidth=0)
    axes.axvline(1 - lower, color=BLUE, linewidth=0.8)
    axes.plot(depth, active, ".", color=BLACK, markersize=3)
    _mark_entry(axes, depth, active, 1 - lower)
    axes.set(xscale="log", xlim=(depth[0], 1), ylim=(0, None))
    text = f"guaranteed\n{100 * (1 - lower):.2g} %"
    axes.text(0.03, 0.97, text, color=BLUE, transform=axes.transAxes, fontsize=7.5, va="top")
    axes.yaxis.get_major_locator().set_params(integer=True)
    light_grid(axes, "y")


def _mark_entry(axes: Any, depth: np.ndarray, active: np.ndarray, window: float) -> None:
    """Point, from inside the window, at the first solution with more than one active group, if there is one."""
    several = np.flatnonzero(active > 1)
    if len(several):
        first = (depth[several[0]], active[several[0]])
        beside = (window / 1.2, 0.5 * max(active))
        axes.annotate("more groups", first, beside, arrowprops=ARROW, fontsize=7.5, ha="right")


def _random_path(axes: Any, curve: dict[str, np.ndarray], title: str) -> None:
    lower = curve["window_lower_over_tau"][0]
    axes.axvspan(lower, 1, color=WINDOW_FILL, linewidth=0)
    axes.axvline(lower, color=BLUE, linewidth=0.8)
    inside = {"color": BLUE, "transform": axes.get_xaxis_transform(), "fontsize": 7.5, "ha": "center", "va": "top"}
    axes.text((lower + 1) / 2, 0.95, "guaranteed window", **inside)
    _steps(axes, curve["lam_over_tau"], curve["active_groups"])
    axes.set(xlabel="$\\lambda\\,/\\,\\lambda_{max}$", ylabel="active groups", title=title)
    axes.set_ylim(0, curve["active_groups"].max() + 1)


def _widths(axes: Any, curve: dict[str, np.ndarray], title: str) -> None:
    observed = curve["observed"]
    axes.plot(curve["explicit"], observed, "o", color=BLUE, markersize=3, alpha=0.8, label="explicit window")
    axes.plot(curve["strong_convexity"], observed, "x", color=VERMILLION, markersize=3, label="strong convexity")
    ends = np.array([min(curve["strong_convexity"].min(), observed.min()), observed.max()])
    axes.plot(ends, ends, "-", color=BLACK, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="guaranteed width", ylabel="observed width", title=title)
    light_grid(axes)


def _steps(axes: Any, ratio: np.ndarray, active: np.ndarray) -> None:
    axes.plot(ratio, active, "-", drawstyle="steps-mid", color=BLACK, linewidth=0.8)
    axes.plot(ratio, active, ".", color=BLACK, markersize=2.5)
    axes.set_ylim(0, None)
    axes.yaxis.get_major_locator().set_params(integer=True)
    light_grid(axes, "y")
