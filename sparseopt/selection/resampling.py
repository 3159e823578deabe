"""The same data with other sample weights: folds and subsamples without a copy of X."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np

from .._array import checked_seconds

RENAMED = {"intercept": "fit_intercept", "n_classes": "n_outputs"}
"""Arguments of datafits that are kept under another name."""


def changed(datafit: Any, **changes: Any) -> Any:
    """The datafit built again with some arguments changed, e.g. sample_weight.

    Every argument of its constructor must be an attribute of the same name (or `RENAMED`); ValueError otherwise, and
    for datafits without sample weights (quadratics and statistics in place of samples).
    """
    arguments = list(signature(type(datafit)).parameters)
    names = {name: RENAMED.get(name, name) for name in arguments}
    missing = [name for name in changes if name not in names]
    missing += [name for name, kept in names.items() if not hasattr(datafit, kept)]
    if missing:
        raise ValueError(f"{type(datafit).__name__} has no {' or '.join(missing)}: samples cannot be left out")
    return type(datafit)(**{name: getattr(datafit, kept) for name, kept in names.items()} | changes)


def sample_weights(datafit: Any) -> np.ndarray:
    """The weights [n] of the samples; ValueError for datafits without samples."""
    if not hasattr(datafit, "sample_weight"):
        raise ValueError(f"{type(datafit).__name__} has no samples to leave out: give the data, as Problem(X, ...)")
    return np.asarray(datafit.sample_weight)


def weighted(datafit: Any, mask: np.ndarray, **changes: Any) -> Any:
    """The datafit of the samples in mask, bool [n]: the others get the weight 0.  changes: of other arguments.

    Raises ValueError where these samples are no data for it: of weight 0, or without an event (Cox).
    """
    weight = np.where(mask, sample_weights(datafit), 0.0)
    try:
        return changed(datafit, sample_weight=weight, **changes)
    except ValueError as reason:
        raise ValueError(
            f"{np.count_nonzero(mask)} of {len(mask)} samples are to be used without the others, which they do not "
            f"allow ({reason}): take fewer folds, or folds of which each has positive weights (and events, for Cox)"
        ) from None


def deadline(time_limit: float | None) -> float | None:
    """The time of the clock, the same in all processes, after so many seconds; None without a limit, else ValueError.

    time_limit: positive seconds, or None.
    """
    seconds = checked_seconds(time_limit)
    return None if seconds is None else time.time() + seconds


def within(end: float | None) -> dict[str, Any]:
    """The option time_limit of a path that has to end at this `deadline`; none without one."""
    return {} if end is None else {"time_limit": max(end - time.time(), 1e-9)}


def in_parallel(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    """function(*task) for every task, in order.

    n_jobs: 1 in this process; else that many workers of joblib (-1: one per core; None: what joblib's context says),
    so that its back ends, Dask's among them, can be chosen with `joblib.parallel_config`.
    """
    if n_jobs == 1:
        return [function(*task) for task in tasks]
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=n_jobs)(delayed(function)(*task) for task in tasks))
