"""SparseGPT: weights that are kept make up for those that are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from ..._array import positive_scalar
from ..allocation import kept_of, top
from ..inputs import gram
from ..layer import Layer, View
from ..schedules import checked_steps
from ..weights import Weight

Tensor = torch.Tensor


@dataclass(frozen=True)
class SparseGPT:
    """min over sparse V of |X (V - W)'|^2, output by output, greedily from the first input to the last.

    With H = X'X + damping mean(diag H) I and the upper Cholesky factor U of its inverse, a unit B of columns whose
    predecessors are decided costs |U_BB^-T w_B|^2 where all later columns make up for it in the best way; that is its
    score, summed over its rows.  Masks are chosen for panels of about `panel` columns, N:M and patterns for one window
    of columns at a time.  One view for each layer: no heads.  Every layer keeps its number of units exactly.
    Source: Frantar and Alistarh (2023), arXiv 2301.00774, whose units are single weights and N:M.
    """

    damping: float = 0.01
    panel: int = 128

    def __post_init__(self) -> None:
        positive_scalar(self.damping, "damping")
        checked_steps(self.panel, "panel")

    @staticmethod
    def statistic(weight: Weight, x: Tensor) -> Tensor:
        """`inputs.gram`."""
        return gram(weight, x)

    def check(self, layers: list[Layer], granularity: Any) -> None:
        """Units of one weight."""
        several = [layer.name for layer in layers if len(layer.views) > 1]
        if several:
            raise ValueError(f"{several[0]} has units in several weights: prune heads by Wanda, or choose blocks")

    def prune(self, layer: Layer, sums: list[Tensor], granularity: Any, sparsity: float) -> Tensor:
        """Decide column after column, and write the weights back."""
        columns = _Columns(layer.views[0], granularity)
        order = columns.order.to(sums[0].device)
        factor = inverse_factor(sums[0][order][:, order], self.damping)
        w = columns.read()
        kept = torch.empty(w.shape, dtype=torch.bool, device=w.device)
        budget = _Budget(layer.units, kept_of(layer.units, sparsity))
        for blocks in columns.panels(self.panel if granularity.counted else 1):
            first, stop = blocks[0], blocks[-1]
            if granularity.counted:
                kept[:, first:stop] = columns.chosen(w, factor, blocks, budget)
            else:
                scores = w[:, first:stop].abs() / factor.diagonal()[first:stop]
                kept[:, first:stop] = granularity.support(scores[None])[0]
            eliminate(w, factor, kept, first, stop)
        columns.write(w)
        mask = columns.mask(kept)
        layer.mask(mask)
        return mask


def inverse_factor(h: Tensor, damping: float) -> Tensor:
    """Upper triangular U with U'U = (h + damping mean(diag h) I)^-1; I where h is 0."""
    mean = h.diagonal().mean()
    ridge = damping * mean if mean > 0 else torch.ones_like(mean)
    lower = torch.linalg.cholesky(h + ridge * torch.eye(len(h), dtype=h.dtype, device=h.device))
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True)


def eliminate(w: Tensor, factor: Tensor, kept: Tensor, first: int, stop: int) -> None:
    """Set what is not kept in columns first, ..., stop - 1 to 0; all later columns of w make up for it."""
    errors = torch.zeros_like(w[:, first:stop])
    for j in range(first, stop):
        error = torch.where(kept[:, j], 0.0, w[:, j]) / factor[j, j]
        w[:, j:stop] -= error[:, None] * factor[j, j:stop]
        w[:, j].masked_fill_(~kept[:, j], 0.0)
        errors[:, j - first] = error
    w[:, stop:] -= errors @ factor[first:stop, stop:]


@dataclass
class _Budget:
    """Units still to keep, spread evenly over those still to decide."""

    units: int
    kept: int

    def take(self, units: int) -> int:
        """How many of the next units are kept."""
        share = min(units, round(self.kept * units / self.units))
        share = max(share, self.kept - (self.units - units))
        self.units, self.kept = self.units - units, self.kept - share
        return share


class _Columns:
    """A weight as [outputs, inputs * taps] float64, the taps one after the other, and its blocks of columns."""

    def __init__(self, view: View, granularity: Any) -> None:
        self.view = view
        rows, channels = view.weight.shape
        self.taps = view.cut.taps
        columns = rows if view.weight.transposed else channels * view.weight.taps
        self.order = torch.arange(columns).reshape(-1, self.taps).T.flatten()
        r, c = (view.cut.c, view.cut.r) if view.weight.transposed else view.cut[:2]
        self.r, width = (r, c) if granularity.counted else (1, granularity.width)
        per_tap = columns // self.taps
        starts = [tap * per_tap + start for tap in range(self.taps) for start in range(0, per_tap, width)]
        self.edges = [*starts, columns]

    def read(self) -> Tensor:
        """The weight."""
        matrix = self.view.matrix().double()
        matrix = matrix.T if self.view.weight.transposed else matrix
        return matrix[:, self.order.to(matrix.device)].contiguous()

    def write(self, w: Tensor) -> None:
        """Change the parameter."""
        self.view.change(lambda matrix: matrix.copy_(self._in_memory_order(w)))

    def _in_memory_order(self, w: Tensor) -> Tensor:
        back = w[:, self.order.argsort().to(w.device)]
        return back.T if self.view.weight.transposed else back

    def panels(self, width: int) -> list[list[int]]:
        """Edges of the blocks of each panel: the fewest blocks of at least `width` columns."""
        result, start = [], 0
        for stop in range(1, len(self.edges)):
            if self.edges[stop] - self.edges[start] >= width or stop == len(self.edges) - 1:
                result.append(self.edges[start : stop + 1])
                start = stop
        return result

    def chosen(self, w: Tensor, factor: Tensor, blocks: list[int], budget: _Budget) -> Tensor:
        """Mask [outputs, columns of the panel]."""
        scores = torch.stack([self._scores(w, factor, *edges) for edges in pairwise(blocks)], dim=1)
        kept = top(scores.flatten(), budget.take(scores.numel())).reshape(scores.shape)
        widths = torch.tensor([stop - start for start, stop in pairwise(blocks)], device=w.device)
        return kept.repeat_interleave(self.r, 0)[: len(w)].repeat_interleave(widths, 1)

    def _scores(self, w: Tensor, factor: Tensor, start: int, stop: int) -> Tensor:
        """|U_BB^-T w_B|^2 of the blocks of columns start, ..., stop - 1, [rows of blocks]."""
        part = factor[start:stop, start:stop]
        costs = torch.linalg.solve_triangular(part.T, w[:, start:stop].T, upper=False).square().sum(0)
        missing = -len(costs) % self.r
        return torch.cat([costs, costs.new_zeros(missing)]).reshape(-1, self.r).sum(1)

    def mask(self, kept: Tensor) -> Tensor:
        """The mask of the units [n] in their order."""
        matrix = self._in_memory_order(kept)
        if self.view.cut.r * self.view.cut.c == 1:
            return matrix.reshape(-1)
        rows, channels, taps = self.view.cut.grid(matrix)
        planes = matrix.reshape(matrix.shape[0], -1, taps)[:: self.view.cut.r, :: self.view.cut.c]
        assert planes.shape == (rows, channels, taps)
        return planes.reshape(-1)
