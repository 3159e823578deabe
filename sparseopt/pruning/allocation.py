"""How many units each layer keeps, and which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._array import host, real_number
from ..kernels.reference import working
from .layer import Grouping, Layer
from .weights import Patterns

Tensor = torch.Tensor
SAMPLED = 16
"""Of so many scores one is looked at to bound the k-th largest from below."""


def checked_sparsity(value: Any) -> float:
    """`value` as a float in [0, 1)."""
    number = real_number(value)
    if not 0 <= number < 1:
        raise ValueError(f"sparsity is {value!r}: give the fraction of weights to drop, 0 <= sparsity < 1, e.g. 0.9")
    return number


def check_unbalanced(layers: Sequence[Layer], method: str) -> None:
    """ValueError where units are balanced in groups, for a method that ranks the units of whole layers."""
    if any(layer.balanced for layer in layers):
        raise ValueError(f"{method} does not balance blocks over rows: leave balance out, or use another method")


def check_scores(scores: Tensor) -> None:
    """ValueError for NaN."""
    if bool(torch.isnan(scores.sum())) and bool(
        torch.isnan(scores).any()
    ):  # the sum is quick, also that of inf and -inf
        raise ValueError("scores have NaN: weights or gradients are not finite; lower the learning rate")


def kept_of(units: int, sparsity: float) -> int:
    """Number of units kept: units less sparsity * units, rounded to the nearest, at least 1."""
    return max(1, units - math.floor(sparsity * units + 0.5))


@dataclass(frozen=True)
class Allocation:
    """The target for each layer [list], and whether layers share one budget ("global") or have their own ("layer").

    groupings: for each layer the groups that keep equally many units, or None.
    """

    targets: tuple[float, ...]
    scope: str
    groupings: tuple[Grouping | None, ...] = ()

    @classmethod
    def of(cls, layers: Sequence[Layer], sparsity: Any, scope: str) -> Allocation:
        """From one sparsity, or a dict of regular expressions on layer names (the first that matches counts)."""
        if scope not in ("layer", "global"):
            raise ValueError(f'scope is {scope!r}: allowed are "layer" and "global"')
        groupings = tuple(layer.balanced for layer in layers)
        if scope == "global" and any(groupings):
            raise ValueError('blocks are balanced within layers, but scope is "global": use scope="layer"')
        if not isinstance(sparsity, dict):
            return cls((checked_sparsity(sparsity),) * len(layers), scope, groupings)
        if scope == "global":
            raise ValueError('sparsity is given per layer, but scope is "global": use scope="layer"')
        rules = [(Patterns([pattern], "sparsity"), checked_sparsity(value)) for pattern, value in sparsity.items()]
        return cls(tuple(_first_match(rules, layer.name) for layer in layers), scope, groupings)

    def counts(self, units: Sequence[int], ramp: float = 1.0) -> list[int]:
        """Units to keep of each layer where layers are on their own; ramp: fraction of the target reached."""
        sizes = [n if group is None else group.size for n, group in zip(units, self.groupings, strict=True)]
        kept = [kept_of(size, ramp * target) for size, target in zip(sizes, self.targets, strict=True)]
        return [k * (n // size) for k, n, size in zip(kept, units, sizes, strict=True)]

    def dropped(self, units: Sequence[int]) -> int:
        """Units to drop in the end, of all layers."""
        if self.scope == "global":
            return sum(units) - self._budget(units)
        return sum(units) - sum(self.counts(units))

    def _budget(self, units: Sequence[int], ramp: float = 1.0) -> int:
        """Units to keep of all layers together: at least one of each."""
        return max(kept_of(sum(units), ramp * self.targets[0]), len(units))

    def masks(self, scores: Sequence[Tensor], ramp: float = 1.0) -> list[Tensor]:
        """Masks (bool [n]) of the units with the largest scores [n] of each layer; ties go to the lowest index.

        With a global budget every layer keeps its best unit.  Raises ValueError for NaN.
        """
        arrays = [working(score.detach()).cpu().numpy() for score in scores]
        with np.errstate(over="ignore", invalid="ignore"):
            total = sum(float(array.sum()) for array in arrays)  # calls of torch take longer
        if math.isnan(total):
            for score in scores:
                check_scores(score)
        units = [len(array) for array in arrays]
        if self.scope == "layer":
            chosen = zip(arrays, self.counts(units, ramp), self.groupings, strict=True)
            kept = [_top(array, k) if group is None else _balanced(array, k, group) for array, k, group in chosen]
        else:
            kept = _shared(arrays, self._budget(units, ramp))
        return [torch.from_numpy(mask).to(score.device) for mask, score in zip(kept, scores, strict=True)]


def _first_match(rules: list[tuple[Patterns, float]], name: str) -> float:
    for pattern, value in rules:
        if pattern.match(name):
            return value
    raise ValueError(f"sparsity has no rule for layer {name}: add one that matches all, such as '.': 0.8")


def top(scores: Tensor, k: int) -> Tensor:
    """Mask [n] of the k largest of scores [n]; ties go to the lowest index."""
    return torch.from_numpy(_top(host(scores.detach().double()), k)).to(scores.device)


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    n = len(scores)
    if k in (0, n):
        return np.full(n, k > 0)
    last = _in_order(_candidates(scores, k), k)
    kept = scores >= last
    extra = int(np.count_nonzero(kept)) - k
    if extra:
        kept[np.flatnonzero(scores == last)[-extra:]] = False
    return kept


def _in_order(scores: np.ndarray, k: int) -> Any:
    """The k-th largest."""
    return np.partition(scores, len(scores) - k)[len(scores) - k]


def _candidates(scores: np.ndarray, k: int) -> np.ndarray:
    """Scores among which are the k largest: few, unless a sample of them misleads or k is large."""
    some = scores[::SAMPLED]
    mean = k // SAMPLED
    rank = mean + 4 * math.isqrt(mean) + 1
    if 4 * rank > len(some):
        return scores
    few = np.compress(scores >= _in_order(some, rank), scores)
    return few if len(few) >= k else scores


def _balanced(scores: np.ndarray, k: int, grouping: Grouping) -> np.ndarray:
    """The largest of each group, k in all; ties go to the lowest index."""
    rows = grouping.grouped(scores)
    kept = np.zeros(rows.shape, dtype=bool)
    largest_first = np.argsort(-rows, axis=1, kind="stable")[:, : k // len(rows)]
    np.put_along_axis(kept, largest_first, True, axis=1)
    return grouping.flat(kept)


def _shared(arrays: list[np.ndarray], k: int) -> list[np.ndarray]:
    joined = np.concatenate(arrays)
    starts = np.cumsum([0, *map(len, arrays)])
    for start, array in zip(starts, arrays, strict=False):
        joined[start + int(array.argmax())] = np.inf
    return np.split(_top(joined, k), starts[1:-1])
