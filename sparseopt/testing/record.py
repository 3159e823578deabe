"""What a battery reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """What became of one property.

    property: its name, the statement that was checked.  status: "passed", "failed" or "skipped".  reason: the smallest
    failing input and the violated inequality with both sides, or why it was skipped; "" where it passed.
    examples: number of examples run (until the first failure, and those of shrinking, included).
    """

    property: str
    status: str
    reason: str
    examples: int


class BatteryFailed(AssertionError):
    """A property failed, or fewer than `minimum` were run; `.records` has all of them."""

    def __init__(self, message: str, records: Sequence[Record]) -> None:
        super().__init__(message)
        self.records = tuple(records)
