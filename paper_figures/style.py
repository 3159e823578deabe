"""The look of every figure: colours, fonts, sizes, and files that are equal to the byte for equal data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

BLACK, BLUE, ORANGE, GREEN, VERMILLION = "#1a1a1a", "#0072b2", "#e69f00", "#009e73", "#d55e00"
"""From the palette of Okabe and Ito, which colour-blind readers tell apart; lines differ by dashes and marks too."""
WINDOW_FILL, GREY, GRID = "#cfe3f2", "#777777", "#e4e4e4"

DASHES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 1)))
MARKS = ("o", "s", "^", "D", "v", "P")

LETTERS = "abcdefghijklmnop"
"""Names of the panels."""

WIDTH = 7.4
"""Inches: a text block of 188 mm."""

LIMIT = 200_000
"""Bytes a figure file may have."""

SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],  # the first comes with matplotlib
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": BLACK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.dpi": 100,
    "savefig.dpi": 98,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud; other fonts are narrower than DejaVu
    "svg.hashsalt": "sparseopt",
    "path.simplify": True,
}


@contextmanager
def house_style() -> Iterator[Any]:
    """matplotlib.pyplot with the settings above, without a display; all figures are closed at the end."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context(matplotlib.rcParamsDefault | SETTINGS):  # a user's own settings play no role
        try:
            yield plt
        finally:
            plt.close("all")


def save(figure: Any, folder: Path, name: str) -> list[Path]:
    """Write folder/name.svg and folder/name.png, without dates; the paths.  ValueError when one exceeds LIMIT."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    figure.savefig(paths[0], metadata={"Date": None, "Creator": None})
    figure.savefig(paths[1], metadata={"Software": None})
    paths[0].write_text(_with_fallbacks(_numbered_ids(paths[0].read_text(encoding="utf-8"))), encoding="utf-8")
    for path in paths:
        if path.stat().st_size > LIMIT:
            raise ValueError(
                f"{path} has {path.stat().st_size} bytes, allowed are {LIMIT}: draw fewer or rastered marks"
            )
    return paths


def _numbered_ids(svg: str) -> str:
    """The text of an SVG with its hashed ids replaced by p1, p2, m3, ... in the order in which they appear.

    Some of the hashes that matplotlib makes come from memory addresses, whatever the salt.
    """
    numbers: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], f"{match[1]}{len(numbers) + 1}")

    return re.sub(r"(?<=[\"#])([a-zA-Z])[0-9a-f]{10}(?=[\")])", renamed, svg)


def _with_fallbacks(svg: str) -> str:
    """The text of an SVG whose formulas fall back on other fonts where DejaVu Sans is missing, as other text does.

    Raises ValueError where a formula needs a font that readers do not have: roots and primes look broken then.
    """
    missing = sorted(set(re.findall(r"font-family: '([^']+)'", svg)) - {"DejaVu Sans"})
    if missing:
        raise ValueError(f"the figure needs the fonts {missing}, which readers lack: write √(x) instead of \\sqrt{{x}}")
    return re.sub(r"font-family: 'DejaVu Sans'(?!,)", "font-family: 'DejaVu Sans', 'Verdana', sans-serif", svg)


def with_interval(axes: Any, x: Any, middle: Any, lower: Any, upper: Any, **look: Any) -> None:
    """A line through `middle` over x with bars from `lower` to `upper`; look: colour, marker, dashes, label."""
    reach = (np.maximum(middle - lower, 0), np.maximum(upper - middle, 0))
    axes.errorbar(x, middle, reach, markersize=3.5, capsize=1.5, linewidth=1.1, elinewidth=0.7, **look)


def light_grid(axes: Any, axis: str = "both") -> None:
    """A grid that stays in the background."""
    axes.grid(True, axis=axis, color=GRID, linewidth=0.6)
