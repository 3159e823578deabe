"""What an export is given: checks ahead of all work."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..._array import real_number
from ..targets import checked_model, checked_weight
from . import timing
from .layers import sites_of

TARGETS = ("auto", "dense", "sparse", "bsr", "csr", "balanced", "2:4", "onnx", "patterns", "channels")
NEEDED = {
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "onnx"),
    "channels": (("torch_pruning",), "channels"),
    "patterns": (("safetensors",), "torch"),
}
"""Packages that a target needs, and the extra that has them."""


def checked_least(value: Any) -> float:
    """`least_speedup` as a float."""
    number = real_number(value)
    if not 0 <= number < float("inf"):
        raise ValueError(f"least_speedup is {value!r}: give a factor such as 1.05, or 0 to replace whatever can be")
    return number


def check(model: Any, target: Any, sample: Any, path: Any) -> None:
    """ValueError unless the arguments of an export fit each other."""
    if target not in TARGETS:
        raise ValueError(f"target is {target!r}: allowed are {', '.join(map(repr, TARGETS))}")
    _check_packages(target)
    if isinstance(checked_model(model), nn.parallel.DistributedDataParallel):
        raise ValueError("model is a DistributedDataParallel: give its .module")
    for name, module in model.named_modules():
        if nn.utils.parametrize.is_parametrized(module):
            raise ValueError(
                f"{name or 'the model'} has parametrised weights: call "
                "torch.nn.utils.parametrize.remove_parametrizations first"
            )
    _check_weights(model, target)
    if (path is None) == (target == "patterns"):
        raise ValueError(f"path is {path!r}: target 'patterns' needs the folder to write to, and no other takes one")
    if sample is None:
        raise ValueError(
            "sample is missing: give what the model is called with, a tensor, tuple or dict, to time it on"
        )
    if isinstance(sample, Mapping) and not all(isinstance(key, str) for key in sample):
        raise ValueError("sample is a mapping whose keys are not names of arguments: give a dict of keywords")


def try_sample(model: nn.Module, sample: Any) -> None:
    """ValueError unless the model runs on the sample."""
    try:
        timing.run(model, sample)
    except Exception as error:
        raise ValueError(f"the model does not run on the sample: {type(error).__name__}: {error}") from error


def _check_packages(target: str) -> None:
    packages, extra = NEEDED.get(target, ((), ""))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ValueError(f"target {target!r} needs {missing[0]}: pip install 'sparseopt[{extra}]'")


def _check_weights(model: nn.Module, target: str) -> None:
    sites = sites_of(model)
    if not any(site.weight.kind != "embedding" for site in sites):
        raise ValueError(f"{type(model).__name__} has no linear, convolutional or attention layer: nothing to export")
    for site in sites:
        if site.weight.spread:
            raise ValueError(
                f"{site.weight.name} is spread over processes: load its full state into a plain model first"
            )
        checked_weight(site.weight)
    if target == "onnx" and any(parameter.dtype == torch.bfloat16 for parameter in model.parameters()):
        raise ValueError("ONNX Runtime has no products of bfloat16 on a CPU: export model.float()")
    if target == "2:4" and all(site.weight.parameter.device.type != "cuda" for site in sites):
        found = "is on the CPU: use model.cuda()" if torch.cuda.is_available() else "cannot be: torch finds none"
        raise ValueError(
            f"target '2:4' needs the model on a CUDA device of compute capability 8.0 or newer; it {found}"
        )
