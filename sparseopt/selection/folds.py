"""Folds of the samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def k_folds(n: int, k: int, rng: Any = 0) -> np.ndarray:
    """Fold [n] in 0..k-1 of every sample, at random, of sizes that differ by at most 1.

    rng: seed or numpy Generator; the default is the same on every call.  Raises ValueError unless 2 <= k <= n.
    """
    k = _checked_number(k, n, "samples")
    return np.random.default_rng(rng).permutation(np.arange(n) % k)


def group_folds(samples: Any, k: int, rng: Any = 0) -> np.ndarray:
    """Fold [n] in 0..k-1 of every sample such that samples with one label stay together.

    samples: [n] labels, e.g. the patient of every measurement.  The largest sets of samples are placed first, each in
    the fold with the fewest samples; ties at random.  rng: seed or numpy Generator.
    Raises ValueError unless 2 <= k <= number of labels.
    """
    labels = np.asarray(samples)
    if labels.ndim != 1:
        raise ValueError(f"samples has shape {labels.shape}: give one label for each sample, shape [n]")
    try:
        inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    except TypeError as reason:
        raise ValueError(f"samples cannot be sorted ({reason}): give integers or strings, None is no label") from None
    k = _checked_number(k, len(counts), "labels")
    shuffled = np.random.default_rng(rng).permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    sizes, fold = np.zeros(k, dtype=np.int64), np.empty(len(counts), dtype=np.int64)
    for label in order:
        fold[label] = sizes.argmin()
        sizes[fold[label]] += counts[label]
    return fold[inverse]


def checked_folds(folds: Any, n: int, samples: Any, rng: Any) -> list[np.ndarray]:
    """Held-out samples of every fold, bool [n] each.

    folds: a number (`k_folds`, or `group_folds` where samples [n] are given), the fold [n] of every sample, or an
    iterable of held-out sets, each a bool [n] or indices.  Raises ValueError for others, and for an empty fold.
    """
    if isinstance(folds, int | np.integer):
        folds = k_folds(n, int(folds), rng) if samples is None else group_folds(samples, int(folds), rng)
        if len(folds) != n:
            raise ValueError(f"samples has {len(folds)} labels, but there are {n} samples")
    elif samples is not None:
        raise ValueError("give the labels of the samples only with a number of folds")
    if isinstance(folds, np.ndarray) and folds.ndim == 1 and folds.dtype.kind in "iu" and len(folds) == n:
        return [folds == fold for fold in np.unique(folds)]
    masks = [_mask(held_out, n) for held_out in _iterable(folds)]
    if len(masks) < 2:
        raise ValueError(f"folds has {len(masks)} folds: give at least two")
    return masks


def _checked_number(k: Any, available: int, of: str) -> int:
    if not isinstance(k, int | np.integer) or not 2 <= k <= available:
        allowed = f"give an integer from 2 to {available}" if available > 1 else "give at least two of them"
        raise ValueError(f"{k!r} folds of {available} {of}, one at least for each: {allowed}, or held-out sets instead")
    return int(k)


def _iterable(folds: Any) -> Iterable[Any]:
    try:
        return iter(folds)
    except TypeError:
        raise ValueError(f"folds is {folds!r}: give a number, a fold for each sample, or held-out sets") from None


def _mask(held_out: Any, n: int) -> np.ndarray:
    chosen = np.asarray(held_out)
    mask = np.zeros(n, dtype=bool)
    if chosen.dtype.kind not in "biu" or (chosen.dtype.kind == "b" and chosen.shape != (n,)):
        raise ValueError(f"a fold has dtype {chosen.dtype} and shape {chosen.shape}: give indices, or bool [{n}]")
    try:
        mask[chosen] = True
    except IndexError:
        raise ValueError(f"a fold names sample {chosen.max()}: indices are 0 to {n - 1}") from None
    if not 0 < mask.sum() < n:
        raise ValueError(f"a fold holds out {mask.sum()} of {n} samples: some must be held out, and some kept")
    return mask
