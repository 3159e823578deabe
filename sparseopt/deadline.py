"""The end of a run as solvers carry it in their states, for what takes long within one step."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def deadline(time_limit: float | None) -> float:
    """The time, of time.perf_counter, so many seconds from now; inf for None."""
    return np.inf if time_limit is None else time.perf_counter() + float(time_limit)


def past(end: float) -> Callable[[], bool]:
    """The question whether that time has come."""
    return lambda: time.perf_counter() > end


def seconds_until(end: float) -> float | None:
    """Seconds left until then, at least 1e-9, as a time limit; None for inf."""
    return None if end == np.inf else max(end - time.perf_counter(), 1e-9)
