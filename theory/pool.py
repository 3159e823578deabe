"""Calls spread over processes, with a progress bar; the results do not depend on how many processes there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .extras import require


@dataclass(frozen=True)
class Timed:
    """What a call returned, and the seconds it took."""

    value: Any
    seconds: float


def in_order(
    calls: Sequence[Callable[[], Any]], names: Sequence[str], workers: int = 1, progress: bool = False
) -> Iterator[Timed]:
    """The results of the calls, in their order, as they come in.

    names: what the progress bar shows, one for each call.  Raises `MissingExtra` without joblib (workers > 1) or tqdm.
    """
    found = _results(calls, min(workers, len(calls)))
    if not progress:
        yield from found
        return
    bar = require("tqdm").tqdm(total=len(calls), unit=" parts", leave=False)
    with bar:
        for name, result in zip(names, found, strict=True):
            bar.set_description(name, refresh=False)
            bar.update()
            yield result


def _results(calls: Sequence[Callable[[], Any]], workers: int) -> Iterable[Timed]:
    if workers <= 1:
        return map(_timed, calls)
    joblib = require("joblib")
    run = joblib.Parallel(n_jobs=workers, return_as="generator")
    return run(joblib.delayed(_timed)(call) for call in calls)


def _timed(call: Callable[[], Any]) -> Timed:
    start = time.perf_counter()
    with one_thread():
        value = call()
    return Timed(value, time.perf_counter() - start)


def one_thread() -> AbstractContextManager[object]:
    """BLAS on one thread: the order of its sums, and so the last bit, may depend on the number of threads."""
    try:
        return import_module("threadpoolctl").threadpool_limits(1)
    except ImportError:
        return nullcontext()
