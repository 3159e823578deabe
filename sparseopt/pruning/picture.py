"""Pictures: where the weights are that were kept, and what was recorded over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.nn.functional import adaptive_avg_pool2d

from .layer import View

if TYPE_CHECKING:
    from .sparsifier import Sparsifier

CELLS = 256
"""Larger matrices are averaged to that many cells a side."""
SHOWN = 6
"""Layers in a picture, unless they are named."""
LOGARITHMIC = ("temperature", "primal", "dual", "rho")


def density(view: View) -> np.ndarray:
    """Share of non-zero weights in each cell of a matrix, [at most 256, at most 256]."""
    nonzero = (view.matrix() != 0).float()
    cells = (min(CELLS, nonzero.shape[0]), min(CELLS, nonzero.shape[1]))
    return adaptive_avg_pool2d(nonzero[None, None], cells)[0, 0].cpu().numpy()


def plot(sp: Sparsifier, layers: Sequence[str] | None = None) -> Any:
    """A matplotlib figure: above the weights that are not 0, layer by layer, below every recorded number over time.

    layers: names as in the report, default the first 6.  ValueError for names that are not there.
    """
    import matplotlib.pyplot as plt

    views = _views(sp, layers)
    curves = {name: values for name, values in sp.history.items() if values}
    columns = max(len(views), len(curves), 1)
    figure = plt.figure(figsize=(2.6 * columns, 5.0 if curves else 2.8), layout="constrained")
    parts = figure.subfigures(2 if curves else 1, 1, squeeze=False)[:, 0]
    for ax, view in zip(parts[0].subplots(1, len(views), squeeze=False)[0], views, strict=True):
        ax.imshow(density(view), cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_title(view.name, fontsize="small")
        ax.set_xticks([])
        ax.set_yticks([])
    if curves:
        for ax, name in zip(parts[1].subplots(1, len(curves), squeeze=False)[0], curves, strict=True):
            _curve(ax, name, curves[name], [phase.start for phase in sp.timeline.phases if phase.start > 0])
    return figure


def _views(sp: Sparsifier, layers: Sequence[str] | None) -> list[View]:
    known = {layer.name: layer for layer in sp.layers}
    names = list(known)[:SHOWN] if layers is None else list(layers)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(f"layers is {names}: name some of {list(known)}")
    return [view for name in names for view in known[name].views]


def _curve(ax: Any, name: str, values: list[tuple[int, float]], starts: list[int]) -> None:
    steps, numbers = zip(*values, strict=True)
    ax.plot(steps, numbers, marker="." if len(steps) < 30 else None, drawstyle="steps-post")
    if name in LOGARITHMIC and min(numbers) > 0:
        ax.set_yscale("log")
    for start in starts:
        ax.axvline(start, color="0.8", zorder=0)
    ax.set_title(name, fontsize="small")
    ax.set_xlabel("step")
