"""What an export did, layer by layer, as a table."""

from __future__ import annotations

from dataclasses import dataclass

ITSELF = "(the model)"
"""For a layer that is the whole model."""


@dataclass(frozen=True)
class ExportRow:
    """One layer.  target: its format now; reason: why it is dense, "" if it is not.

    seconds, seconds_dense: of the layer in one pass of the model over the sample, now and dense, the best of the
    rounds; nan where the sample does not reach it.  size, size_dense: of its weight and bias, in bytes.
    """

    name: str
    sparsity: float
    target: str
    reason: str
    seconds_dense: float
    seconds: float
    size_dense: int
    size: int

    @property
    def speedup(self) -> float:
        """seconds_dense / seconds."""
        return self.seconds_dense / self.seconds


@dataclass(frozen=True, repr=False)
class ExportReport:
    """Rows of the layers, and seconds of a whole pass over the sample, now and dense.  Print it.

    target: as it was asked for.  difference: largest difference of an output from that of the dense model, relative to
    the largest output.
    """

    target: str
    rows: tuple[ExportRow, ...]
    seconds_dense: float
    seconds: float
    difference: float

    @property
    def speedup(self) -> float:
        """Of the whole pass: seconds_dense / seconds."""
        return self.seconds_dense / self.seconds

    @property
    def size(self) -> int:
        """Bytes of the layers now, a weight that several share in each of them."""
        return sum(row.size for row in self.rows)

    @property
    def size_dense(self) -> int:
        """The same when dense."""
        return sum(row.size_dense for row in self.rows)

    def __repr__(self) -> str:
        width = max([len("whole model"), *(len(row.name or ITSELF) for row in self.rows)])
        head = f"{'layer':<{width}} {'sparsity':>8} {'dense ms':>9} {'ms':>9} {'speed-up':>8} {'dense kB':>9} {'kB':>9}"
        lines = [f"export to {self.target!r}", head + "  target"]
        for row in self.rows:
            target = row.target + (f": {row.reason}" if row.reason else "")
            lines.append(f"{row.name or ITSELF:<{width}} {row.sparsity:>8.3f} {_numbers(row)}  {target}")
        lines.append(f"{'whole model':<{width}} {'':>8} {_numbers(self)}  outputs differ by {self.difference:.1e}")
        return "\n".join(lines)


def _numbers(row: ExportRow | ExportReport) -> str:
    times = f"{1e3 * row.seconds_dense:>9.3f} {1e3 * row.seconds:>9.3f} {row.speedup:>8.2f}"
    return f"{times} {row.size_dense / 1e3:>9.1f} {row.size / 1e3:>9.1f}"
