"""Wanda: pruning by weights and activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..allocation import kept_of, top
from ..inputs import mean_squares, squares, weighted
from ..layer import Layer
from ..weights import Weight

Tensor = torch.Tensor
COMPARISONS = ("output", "layer")


@dataclass(frozen=True)
class Wanda:
    """Keep the units of largest |w| * |x|, x the inputs that a weight meets; the weights that are kept stay.

    The score of a block is the norm of its entries'.  per: "output" keeps equally many units of every row of units (of
    every output, where units are single weights), "layer" compares the whole layer.  N:M and patterns compare within
    their windows.  Source: Sun et al. (2024), arXiv 2306.11695.
    """

    per: str = "output"

    def __post_init__(self) -> None:
        if self.per not in COMPARISONS:
            raise ValueError(f"per is {self.per!r}: allowed are {', '.join(map(repr, COMPARISONS))}")

    @staticmethod
    def statistic(weight: Weight, x: Tensor) -> Tensor:
        """`inputs.squares`."""
        return squares(weight, x)

    def check(self, layers: list[Layer], granularity: Any) -> None:
        """Rows of several units."""
        alone = [layer.name for layer in layers if granularity.counted and not _rows(layer).shape[1] > 1]
        if self.per == "output" and alone:
            raise ValueError(
                f'{alone[0]} has one unit for each output: compare units with per="layer", or choose smaller units'
            )

    def prune(self, layer: Layer, sums: list[Tensor], granularity: Any, sparsity: float) -> Tensor:
        """Choose by the scores and set the other units to 0."""
        scored = [weighted(view.weight, mean_squares(total)) for view, total in zip(layer.views, sums, strict=True)]
        if not granularity.counted:
            kept = layer.projected_mask(scored)
        else:
            scores = layer.norms(scored)
            rows = _rows(layer) if self.per == "output" else torch.arange(layer.units)[None]
            kept = torch.zeros(layer.units, dtype=torch.bool)
            for row in rows:
                kept[row] = top(scores[row.to(scores.device)], kept_of(len(row), sparsity)).cpu()
            kept = kept.to(scores.device)
        layer.mask(kept)
        return kept


def _rows(layer: Layer) -> Tensor:
    """Indices of the units of each row of units, [rows, units of a row]: of heads all are one row."""
    if len(layer.views) > 1:
        return torch.arange(layer.units)[None]
    view = layer.views[0]
    grid = torch.arange(layer.units).reshape(view.cut.grid(view.matrix()))
    grid = grid.transpose(0, 1) if view.weight.transposed else grid
    return grid.flatten(1)
