"""Physically smaller layers: channels that carry a constant, or that nobody reads, are taken out of the model.

A channel may go where all layers that read it have zero weights for it; or where all layers that write it have zero
weights, so that it is a constant, and its readers can take the constant into their biases (always where it is 0; a
convolution that pads cannot otherwise).  Which layers read and write a channel is traced by torch-pruning.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from . import timing

Tensor = torch.Tensor
Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
SAME = 1e-4
"""Largest difference of outputs, relative to the largest one, that rounding in another order may leave."""
MISFIT = "without its constant or unread channels the model gives other outputs"


def shrunk(model: nn.Module, sample: Any, names: Iterable[str]) -> tuple[nn.Module, dict[str, str]]:
    """A smaller model with the same outputs on the sample, and for each layer that kept its outputs the reason.

    names: of the layers whose outputs may go.  The model itself is used up.
    """
    expected = timing.run(model, sample)
    reasons: dict[str, str] = {}
    for name in names:
        if not isinstance(model.get_submodule(name), LAYERS):
            reasons[name] = "only linear layers and convolutions lose channels"
            continue
        trial = copy.deepcopy(model)
        reason = _without_channels(trial, trial.get_submodule(name), sample)
        if not reason and not _same(trial, sample, expected):
            reason = MISFIT
        if reason:
            reasons[name] = reason
        else:
            model = trial
    return model, reasons


def _without_channels(model: nn.Module, layer: Any, sample: Any) -> str:
    """Take channels out of the outputs of a layer; why there are none, or ""."""
    tp, graph = _traced(model, sample)
    remove = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
    count = layer.weight.shape[0]
    if getattr(layer, "groups", 1) > 1:
        return "a grouped convolution"
    group = graph.get_pruning_group(layer, remove, idxs=list(range(count)))
    writers, readers = _members(group, tp)
    if not readers:
        return "its outputs leave the model"
    inputs = _inputs(model, sample, [reader for reader, _ in readers])
    if inputs is None:
        return "the sample does not reach what follows it"
    gone = _removable(count, writers, [(reader, at, inputs[reader]) for reader, at in readers])
    if not bool(gone.any()):
        return "no channel is constant or unread"
    gone[0] &= not bool(gone.all())  # one has to stay
    channels = gone.nonzero().flatten()
    if not len(channels):
        return "it has one channel"
    for reader, at in readers:
        constant, value = inputs[reader]
        positions = at.reshape(count, -1)[channels].flatten()
        _absorb(reader, positions, torch.where(constant, value, 0.0)[positions])
    graph.get_pruning_group(layer, remove, idxs=channels.tolist()).prune()
    return ""


def _traced(model: nn.Module, sample: Any) -> tuple[Any, Any]:
    """torch-pruning, and its graph of the model: it follows gradients, also of frozen parameters."""
    import torch_pruning as tp

    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    with torch.enable_grad():
        run: Callable[[Any, Any], Any] = timing.run
        graph = tp.DependencyGraph().build_dependency(model, example_inputs=sample, forward_fn=run, verbose=False)
    for parameter in frozen:
        parameter.requires_grad_(False)
    return tp, graph


def _members(group: Any, tp: Any) -> tuple[list[tuple[Any, Tensor]], list[tuple[Any, Tensor]]]:
    """Layers that write and that read the channels of a group, with the places [channels * k] of them."""
    reads = (tp.prune_linear_in_channels, tp.prune_conv_in_channels)
    writes = (tp.prune_linear_out_channels, tp.prune_conv_out_channels)
    writers, readers = [], []
    for dependency, places in group:
        module = dependency.target.module
        if isinstance(module, LAYERS) and dependency.handler in reads:
            readers.append((module, torch.tensor(places)))
        elif isinstance(module, LAYERS) and dependency.handler in writes:
            writers.append((module, torch.tensor(places)))
    return writers, readers


def _removable(count: int, writers: list[Any], readers: list[Any]) -> Tensor:
    """Which channels may go [count]."""
    silent = torch.ones(count, dtype=torch.bool)
    for writer, at in writers:
        silent &= _each(writer.weight.detach().flatten(1).eq(0).all(dim=1), at, count)
    unread, bearable = torch.ones_like(silent), torch.ones_like(silent)
    for reader, at, (constant, value) in readers:
        zero = reader.weight.detach().transpose(0, 1).flatten(1).eq(0).all(dim=1)
        absorbed = constant & (value.eq(0) | _takes_constants(reader))
        unread &= _each(zero, at, count)
        bearable &= _each(zero | absorbed, at, count)
    return unread | (silent & bearable)


def _each(values: Tensor, at: Tensor, count: int) -> Tensor:
    """Whether all places of each channel have it [count]."""
    return values[at].reshape(count, -1).all(dim=1)


def _takes_constants(reader: Any) -> bool:
    """Whether a constant input adds the same to all outputs of a channel."""
    if isinstance(reader, nn.Linear):
        return True
    return reader.padding_mode == "zeros" and reader.padding in ("valid", *((0,) * n for n in (1, 2, 3)))


def _absorb(reader: Any, positions: Tensor, values: Tensor) -> None:
    """Add what these inputs give to the bias."""
    weight = reader.weight.detach()[:, positions].flatten(2).sum(dim=2) if reader.weight.ndim > 2 else None
    weight = reader.weight.detach()[:, positions] if weight is None else weight
    given = weight @ values.to(weight.dtype)
    if not bool(given.any()):
        return
    if reader.bias is None:
        reader.bias = nn.Parameter(given)
    else:
        reader.bias.add_(given)


def _inputs(model: nn.Module, sample: Any, readers: list[Any]) -> dict[Any, tuple[Tensor, Tensor]] | None:
    """For each reader: which of its inputs are constant over the sample [inputs], and their values; None if not run."""
    found: dict[Any, tuple[Tensor, Tensor]] = {}

    def look(module: Any, given: Any, named: Any) -> None:
        x = (given[0] if given else next(iter(named.values()))).detach()
        axis = x.ndim - 1 if isinstance(module, nn.Linear) else x.ndim - module.weight.ndim + 1
        x = x.movedim(axis, 0).flatten(1)
        low, high = x.amin(dim=1), x.amax(dim=1)
        constant = low == high
        if module in found:
            constant &= found[module][0] & (found[module][1] == low)
        found[module] = (constant, low)

    hooks = [reader.register_forward_pre_hook(look, with_kwargs=True) for reader in dict.fromkeys(readers)]
    try:
        timing.run(model, sample)
    finally:
        for hook in hooks:
            hook.remove()
    return found if len(found) == len(set(readers)) else None


def _same(model: nn.Module, sample: Any, expected: Any) -> bool:
    try:
        return timing.difference(timing.run(model, sample), expected) <= SAME
    except (RuntimeError, ValueError, IndexError):  # shapes that do not fit together any more
        return False
