"""How long the layers of a model take, inside a pass over a sample: with the caches as the model leaves them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from ..inputs import run

Tensor = torch.Tensor
BUDGET = 2.0
"""Seconds that a comparison takes, about; at least FEWEST and at most MOST rounds."""
FEWEST, MOST = 3, 20


class Stopwatch:
    """Best seconds of a pass: of the whole model, and of each layer (the sum over its calls in one pass)."""

    def __init__(self) -> None:
        self.whole = math.inf
        self.layers: dict[str, float] = {}
        self.output: Any = None

    def measure(self, model: nn.Module, sample: Any, layers: Mapping[str, nn.Module]) -> None:
        """One pass; keeps the smaller of its times and those before."""
        total: dict[str, float] = {}
        started: dict[str, float] = {}
        hooks = []
        for name, layer in layers.items():
            hooks.append(layer.register_forward_pre_hook(partial(_start, name, started)))
            hooks.append(layer.register_forward_hook(partial(_stop, name, started, total)))
        try:
            start = _now()
            self.output = run(model, sample)
            self.whole = min(self.whole, _now() - start)
        finally:
            for hook in hooks:
                hook.remove()
        for name, seconds in total.items():
            self.layers[name] = min(seconds, self.layers.get(name, math.inf))


def _start(name: str, started: dict[str, float], module: nn.Module, inputs: Any) -> None:
    started[name] = _now()


def _stop(
    name: str, started: dict[str, float], total: dict[str, float], module: nn.Module, inputs: Any, output: Any
) -> None:
    total[name] = total.get(name, 0.0) + _now() - started[name]


def _now() -> float:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def compared(
    contestants: Mapping[str, Mapping[str, nn.Module]], sample: Any, prepared: Callable[[str], nn.Module]
) -> dict[str, Stopwatch]:
    """Passes of several models, in turn.  contestants: the layers to watch, by name; prepared: name -> model."""
    watches = {name: Stopwatch() for name in contestants}
    start, rounds = _now(), MOST
    for i in range(1 + MOST):  # the first round warms up
        for name, layers in contestants.items():
            watch = watches[name] if i else Stopwatch()
            watch.measure(prepared(name), sample, layers)
        if not i:
            rounds = max(min(FEWEST, MOST), min(MOST, int(BUDGET / max(_now() - start, 1e-9))))
        if i >= rounds:
            break
    return watches


def difference(output: Any, expected: Any) -> float:
    """Largest difference of two outputs, relative to the largest number in the second; nan without numbers."""
    worst = largest = 0.0
    pairs = list(zip(_tensors(output), _tensors(expected), strict=True))
    for a, b in pairs:
        if b.is_floating_point() and b.numel():
            worst = max(worst, float((a - b).abs().max()))
            largest = max(largest, float(b.abs().max()))
    return worst / largest if largest else worst if pairs else math.nan


def _tensors(output: Any) -> Iterable[Tensor]:
    if isinstance(output, Tensor):
        return [output.detach()]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, tuple | list):
        return [tensor for part in output for tensor in _tensors(part)]
    return []
