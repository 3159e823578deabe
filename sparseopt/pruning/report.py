"""What was pruned and what not, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from .layer import Layer
from .sharding import zeros_of
from .weights import Skipped

if TYPE_CHECKING:
    from .sparsifier import Sparsifier


@dataclass(frozen=True)
class Row:
    """One pruned layer: units kept of all units, weights that are 0 of all weights."""

    name: str
    units: int
    kept: int
    entries: int
    zeros: int

    @property
    def sparsity(self) -> float:
        """zeros / entries."""
        return self.zeros / self.entries


@dataclass(frozen=True)
class Report:
    """Rows of the pruned layers, the weights that stayed dense, the phase, and numbers recorded as (step, value)."""

    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    phase: str
    step: int
    total_steps: int
    history: dict[str, list[tuple[int, float]]]

    @property
    def sparsity(self) -> float:
        """Over the pruned layers."""
        return sum(row.zeros for row in self.rows) / sum(row.entries for row in self.rows)

    def __str__(self) -> str:
        names = [row.name for row in self.rows] + [item.name for item in self.skipped]
        width = max(len(name) for name in names)
        lines = [f"step {self.step} of {self.total_steps}, phase {self.phase}"]
        lines.append(f"{'layer':<{width}} {'units':>9} {'kept':>9} {'weights':>11} {'sparsity':>9}")
        for row in self.rows:
            lines.append(f"{row.name:<{width}} {row.units:>9} {row.kept:>9} {row.entries:>11} {row.sparsity:>9.4f}")
        total = sum(row.entries for row in self.rows)
        lines.append(f"{'pruned layers':<{width}} {'':>9} {'':>9} {total:>11} {self.sparsity:>9.4f}")
        for item in self.skipped:
            lines.append(f"{item.name:<{width}} {'':>9} {'':>9} {item.entries:>11} dense: {item.reason}")
        return "\n".join(lines)


def rows_of(layers: Sequence[Layer], masks: Mapping[str, Tensor]) -> tuple[Row, ...]:
    """A row for each layer."""
    rows = []
    for layer, zeros in zip(layers, zeros_of(layers), strict=True):
        mask = masks.get(layer.name)
        kept = layer.units if mask is None else int(mask.sum())
        rows.append(Row(layer.name, layer.units, kept, layer.entries, zeros))
    return tuple(rows)


def report_of(sp: Sparsifier) -> Report:
    """The report of a Sparsifier."""
    history = {name: list(values) for name, values in sp.history.items()}
    return Report(rows_of(sp.layers, sp.masks), tuple(sp.skipped), sp.phase.kind, sp.step, sp.total_steps, history)
