"""A progress bar for each phase of a run."""

from __future__ import annotations

import sys
from typing import Any

from .schedules import Phase


class Progress:
    """Bars on standard error (needs tqdm).

    shown: True or False; None shows them on a terminal where tqdm is installed, and nowhere else.
    """

    def __init__(self, shown: bool | None, total_steps: int) -> None:
        if shown not in (None, True, False):
            raise ValueError(f"progress is {shown!r}: allowed are True, False, and None (on terminals only)")
        self.shown = sys.stderr.isatty() if shown is None else bool(shown)
        if self.shown:
            self.shown = _installed(required=shown is True)
        self.total_steps = total_steps
        self.bar: Any = None
        self.start = -1

    def show(self, phase: Phase, step: int, latest: dict[str, float]) -> None:
        """The state after `step` steps: within a phase, and the numbers recorded last."""
        if not self.shown:
            return
        if phase.start != self.start or step >= self.total_steps:
            self.close()
        if step >= self.total_steps:
            return
        if self.bar is None:
            from tqdm import tqdm

            end = self.total_steps if phase.kind == "sparse" else phase.stop
            self.bar = tqdm(total=end - phase.start, desc=phase.kind, unit=" steps", leave=True)
            self.start = phase.start
        self.bar.set_postfix({name: f"{value:.3g}" for name, value in latest.items()}, refresh=False)
        self.bar.update(step - phase.start - self.bar.n)

    def close(self) -> None:
        """End the bar of the present phase: all its steps are over."""
        if self.bar is not None:
            self.bar.update(self.bar.total - self.bar.n)
            self.bar.close()
            self.bar = None


def _installed(*, required: bool) -> bool:
    try:
        import tqdm  # noqa: F401
    except ImportError:
        if required:
            raise ValueError("progress=True needs tqdm: pip install tqdm, or leave it out") from None
        return False
    return True
