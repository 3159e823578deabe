"""The weights of a model that may be pruned, and why the others are not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

COMPILED = "_orig_mod"
"""The attribute in which torch.compile keeps a module."""
STEM_CHANNELS = 4
"""A first convolution of at most that many input channels reads an image: it stays dense."""


@dataclass(frozen=True)
class Weight:
    """A parameter seen as a matrix [rows, channels * taps]: rows are outputs (inputs where transposed).

    name: of the parameter in the model.  kind: "linear", "conv", "packed" (MultiheadAttention), "embedding".
    transposed: Hugging Face's Conv1D, whose weight is [inputs, outputs].  parent: the module that holds the module.
    """

    name: str
    module_name: str
    module: nn.Module
    attribute: str
    kind: str
    taps: int = 1
    transposed: bool = False
    parent: nn.Module | None = None
    held: nn.Parameter | None = None

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter itself: that of the module, unless the module shows another one in its forward pass (held)."""
        if self.held is not None:
            return self.held
        found = self.module._parameters.get(self.attribute)  # what getattr looks up last
        return getattr(self.module, self.attribute) if found is None else found

    @property
    def spread(self) -> bool:
        """Whether processes share it."""
        return spread_out(self.parameter)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, channels) of the matrix as it lies in memory."""
        w = self.parameter
        return w.shape[0], w.numel() // (w.shape[0] * self.taps)


def _plain(tensor: torch.Tensor) -> bool:
    """Whether it is of no class of its own: quicker than to look for an attribute that is not there."""
    return type(tensor) is torch.Tensor or type(tensor) is nn.Parameter


def spread_out(tensor: torch.Tensor) -> bool:
    """Whether processes share it."""
    return not _plain(tensor) and hasattr(tensor, "placements")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a tensor, of the same memory."""
    if _plain(tensor):
        return tensor
    shared: Any = tensor
    return shared.to_local() if spread_out(tensor) else tensor


def weights_of(model: nn.Module) -> Iterator[Weight]:
    """Weights of linear, convolutional, attention and embedding layers, in the order of the modules."""
    modules = dict(model.named_modules())
    for module_name, module in modules.items():
        found = _described(module)
        if found is not None:
            attribute, kind, taps, transposed = found
            name = f"{module_name}.{attribute}" if module_name else attribute
            parent = modules.get(module_name.rpartition(".")[0]) if module_name else None
            yield Weight(name, module_name, module, attribute, kind, taps, transposed, parent)


def _described(module: nn.Module) -> tuple[str, str, int, bool] | None:
    """(attribute, kind, taps, transposed) of the weight of a module; None for other modules."""
    if isinstance(module, nn.Linear):
        return "weight", "linear", 1, False
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return "weight", "conv", math.prod(module.kernel_size), False
    if isinstance(module, nn.Embedding):
        return "weight", "embedding", 1, False
    if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        return "in_proj_weight", "packed", 1, False
    weight = getattr(module, "weight", None)
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf") and isinstance(weight, nn.Parameter):
        return "weight", "linear", 1, True
    return None


@dataclass(frozen=True)
class Skipped:
    """A weight that stays dense, and why."""

    name: str
    entries: int
    reason: str


class Patterns:
    """Regular expressions, searched for in the full names of modules ("^encoder" anchors at the start)."""

    def __init__(self, expressions: Iterable[str], argument: str) -> None:
        if isinstance(expressions, str):
            raise ValueError(f"{argument} is the string {expressions!r}: give a list of regular expressions")
        try:
            self.compiled = [re.compile(expression) for expression in expressions]
        except (re.error, TypeError) as error:
            raise ValueError(f"{argument} holds no regular expression: {error}; escape dots as in r'fc\\.1'") from None

    def match(self, name: str) -> bool:
        """Whether one of them is found in the name."""
        return any(pattern.search(name) for pattern in self.compiled)


def choose_weights(
    model: nn.Module, exclude: Sequence[str], include: Sequence[str]
) -> tuple[list[Weight], list[Skipped]]:
    """Weights to prune and weights that stay dense: by expressions on module names, else by rules.

    exclude wins over include, and include over the rules: embeddings, tied and frozen weights, depthwise convolutions,
    the stem (a first convolution of up to 4 input channels) and the head (the last linear layer) stay dense.
    ValueError where a shared parameter is both excluded and included under its names.
    """
    excluded, included = Patterns(exclude, "exclude"), Patterns(include, "include")
    model = unwrapped(model)
    names = _names_of_parameters(model)
    unfit, weights = _unfit(model)
    ruled = _by_rule(weights, names)
    chosen: list[Weight] = []
    skipped: list[Skipped] = []
    for weight in weights:
        reason = ruled.get(weight.name)
        if excluded.match(weight.module_name):
            reason = "excluded by name"
        elif included.match(weight.module_name) and reason != "frozen":
            reason = None
        if reason is None:
            chosen.append(weight)
        else:
            skipped.append(Skipped(weight.name, weight.parameter.numel(), reason))
    return _shared_once(chosen, skipped, weights), skipped + unfit + _others(model, weights, unfit)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside torch.compile, DistributedDataParallel and AveragedModel."""
    while True:
        if hasattr(model, COMPILED):
            model = getattr(model, COMPILED)
        elif isinstance(model, nn.parallel.DistributedDataParallel | torch.optim.swa_utils.AveragedModel):
            model = model.module
        else:
            return model


def plain_name(name: str) -> str:
    """A name without what compiled modules inside the model put into it."""
    return ".".join(part for part in name.split(".") if part != COMPILED)


def _unfit(model: nn.Module) -> tuple[list[Skipped], list[Weight]]:
    """Weights that cannot be pruned whatever is asked for, and the others.  ValueError for one without a shape yet."""
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise ValueError(
            f"{lazy[0]} is not initialised: run the lazy model on one batch first, then build its optimiser"
        )
    skipped, weights = [], []
    for found in weights_of(model):
        weight = replace(found, name=plain_name(found.name), module_name=plain_name(found.module_name))
        if not isinstance(weight.parameter, nn.Parameter):
            skipped.append(Skipped(weight.name, weight.parameter.numel(), "computed from others (parametrised)"))
        elif weight.parameter.numel() == 0:
            skipped.append(Skipped(weight.name, 0, "empty"))
        else:
            weights.append(weight)
    return skipped, weights


def _others(model: nn.Module, weights: list[Weight], unfit: list[Skipped]) -> list[Skipped]:
    """Matrices and larger parameters of layers that are not pruned, such as LSTM, and quantised weights."""
    known = {id(weight.parameter) for weight in weights}
    listed = tuple(item.name.removesuffix("weight") for item in unfit)  # with all that they are computed from
    result = []
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(module_name, recurse=False):
            if parameter.ndim > 1 and id(parameter) not in known and not plain_name(name).startswith(listed):
                known.add(id(parameter))
                result.append(Skipped(plain_name(name), parameter.numel(), f"{type(module).__name__} is not pruned"))
        packed = getattr(module, "weight", None)
        if callable(packed) and "quantized" in type(module).__module__:
            name = f"{module_name}.weight" if module_name else "weight"
            result.append(Skipped(plain_name(name), packed().numel(), "quantised"))
    return result


def _names_of_parameters(model: nn.Module) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(plain_name(name))
    return names


def tied_names(model: nn.Module) -> dict[str, list[str]]:
    """For each name of a parameter that has several, the others."""
    groups = [names for names in _names_of_parameters(model).values() if len(names) > 1]
    return {name: [other for other in names if other != name] for names in groups for name in names}


def _by_rule(weights: list[Weight], names: dict[int, list[str]]) -> dict[str, str]:
    """Reason for every weight that a rule keeps dense."""
    reasons = {}
    convolutions = [weight for weight in weights if weight.kind == "conv"]
    linear = [weight for weight in weights if weight.kind == "linear"]
    for weight in weights:
        module, aliases = weight.module, names[id(weight.parameter)]
        if not weight.parameter.requires_grad:
            reasons[weight.name] = "frozen"
        elif weight.kind == "embedding":
            reasons[weight.name] = "embedding"
        elif len(aliases) > 1:
            reasons[weight.name] = f"tied to {', '.join(name for name in aliases if name != weight.name)}"
        elif weight.kind == "conv" and getattr(module, "groups", 1) > 1:
            reasons[weight.name] = "depthwise or grouped convolution"
        elif convolutions and weight is convolutions[0] and weight.shape[1] <= STEM_CHANNELS:
            reasons[weight.name] = "stem"
    candidates = [weight for weight in weights if weight.name not in reasons]
    if linear and len(candidates) > 1 and linear[-1] in candidates:
        reasons[linear[-1].name] = "head"
    return reasons


def _shared_once(chosen: list[Weight], skipped: list[Skipped], weights: list[Weight]) -> list[Weight]:
    """Each parameter once; ValueError where it is both chosen and skipped."""
    by_name = {weight.name: weight for weight in weights}
    dense = {id(by_name[item.name].parameter): item.name for item in skipped}
    kept: dict[int, Weight] = {}
    for weight in chosen:
        key = id(weight.parameter)
        if key in dense:
            raise ValueError(
                f"{weight.name} and {dense[key]} are one shared parameter, but only the first is to be pruned: "
                "include or exclude both"
            )
        kept.setdefault(key, weight)
    return list(kept.values())
