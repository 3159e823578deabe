"""What a planted bug is: a wrong variant of a correct object, and the property that must catch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sparseopt as so


@dataclass(frozen=True)
class Planted:
    """kind: of the battery.  bug: what is wrong.  subject: the wrong object.  caught_by: name of the property."""

    kind: str
    bug: str
    subject: Any
    caught_by: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.bug}"


def uneven() -> so.Groups:
    """Seven coefficients in interleaved groups of 1, 2 and 4."""
    return so.Groups.from_lists([[3], [6, 0], [1, 2, 4, 5]])
