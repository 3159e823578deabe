"""The state of a Sparsifier as tensors, and back."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import torch

from .layer import View
from .schedules import Phase
from .sharding import gathered, rows_here
from .traces import placed, traces_of
from .weights import Weight, local

if TYPE_CHECKING:
    from .sparsifier import Sparsifier

Tensor = torch.Tensor
BEHIND = "behind"
"""Begins the names of what is trained behind a weight, a tensor like it, in the memory."""


def fingerprint(sp: Sparsifier) -> Tensor:
    """First 8 bytes of a hash of the settings and of the layers, uint8 [8]."""
    layers = [(layer.name, layer.units, layer.entries) for layer in sp.layers]
    text = repr((sp.granularity, sp.method, sp.allocation, sp.total_steps, layers))
    text = re.sub(r" at 0x[0-9a-f]+", "", text)  # of functions and objects, another one in each process
    patterns = np.asarray(getattr(sp.granularity, "patterns", ()), dtype=np.uint8).tobytes()
    return _digest(text.encode() + patterns)


def contents(state: dict[str, Tensor]) -> Tensor:
    """First 8 bytes of a hash of what there is in a state, but for its history: names, types and shapes, uint8 [8]."""
    names = sorted(name for name in state if name != "contents" and not name.startswith("history."))
    return _digest(repr([(name, str(state[name].dtype), tuple(state[name].shape)) for name in names]).encode())


def _digest(given: bytes) -> Tensor:
    return torch.tensor(list(hashlib.sha256(given).digest()[:8]), dtype=torch.uint8)


def packed(mask: Tensor) -> Tensor:
    """Bits of a mask [n], uint8 [ceil(n / 8)]."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy()))


def unpacked(bits: Tensor, n: int) -> Tensor:
    """The mask [n] of its bits."""
    return torch.from_numpy(np.unpackbits(bits.cpu().numpy(), count=n).astype(bool))


def state_of(sp: Sparsifier) -> dict[str, Tensor]:
    """step, settings and contents (hashes), mask.<layer>, memory.<name>, history.<name> [., 2]: of their own memory."""
    result = {"step": torch.tensor(sp.step), "settings": fingerprint(sp)}
    result |= {f"mask.{name}": packed(mask) for name, mask in sp.masks.items()}
    result |= {f"memory.{name}": tensor.detach().clone().contiguous() for name, tensor in _whole(sp).items()}
    for name, values in sp.history.items():
        result[f"history.{name}"] = torch.tensor(values, dtype=torch.float64).reshape(-1, 2)
    return result | {"contents": contents(result)}


def load_state(sp: Sparsifier, state: dict[str, Tensor]) -> None:
    """Re-enter the phase that the state was taken in, with its masks and memory."""
    phase = _check(sp, state)
    layers = {layer.name: layer for layer in sp.layers}
    masks = {name: unpacked(bits, layers[name].units) for name, bits in _under(state, "mask.").items()}
    memory = _held(sp, {name: tensor.detach().clone() for name, tensor in _under(state, "memory.").items()}, phase)
    memory = {name: placed(sp, name, tensor) for name, tensor in memory.items()}
    history = {
        name: [(int(step), float(value)) for step, value in values]
        for name, values in _under(state, "history.").items()
    }
    sp.method.detach(sp, sp.phase)
    sp.step, sp.memory, sp.history = int(state["step"]), memory, history
    sp.masks = {name: mask.to(layers[name].weights[0].parameter.device) for name, mask in masks.items()}
    sp.phase = phase
    sp.opened, sp.loaded = False, True
    sp.method.attach(sp, sp.phase)
    with torch.no_grad():
        sp.apply_masks()
    sp.traces = traces_of(sp.weights)


def _whole(sp: Sparsifier) -> dict[str, Tensor]:
    """The memory, of weights as a whole: those of several views, and those that processes share."""
    result = dict(sp.memory)
    kinds = sp.method.of_views(sp.phase)
    for weight in sp.weights:
        held = local(weight.parameter).detach()
        for kind in kinds:
            matrix = torch.zeros_like(held.flatten(1), memory_format=torch.contiguous_format)
            for view in _views(sp, weight):
                matrix[view.first : view.stop] = result.pop(f"{kind}.{view.name}")
            result[f"{kind}.{weight.name}"] = gathered(weight, matrix)
        behind = f"{BEHIND}.{weight.name}"
        if behind in result:
            result[behind] = gathered(weight, result[behind])
    return result


def _held(sp: Sparsifier, whole: dict[str, Tensor], phase: Phase) -> dict[str, Tensor]:
    """What this process keeps of it, view by view."""
    result = dict(whole)
    for weight in sp.weights:
        for kind in sp.method.of_views(phase):
            matrix = rows_here(weight, result.pop(f"{kind}.{weight.name}"))
            for view in _views(sp, weight):
                result[f"{kind}.{view.name}"] = matrix[view.first : view.stop].clone()
        behind = f"{BEHIND}.{weight.name}"
        if behind in result:
            result[behind] = rows_here(weight, result[behind]).clone()
    return result


def _views(sp: Sparsifier, weight: Weight) -> list[View]:
    return [view for layer in sp.layers for view in layer.views if view.weight.name == weight.name]


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _check(sp: Sparsifier, state: dict[str, Tensor]) -> Phase:
    """The phase of the state; ValueError for one that does not fit."""
    missing = {"step", "settings", "contents"} - set(state)
    if missing:
        raise ValueError(f"the state lacks {sorted(missing)}: give what Sparsifier.state_dict() returned")
    if not torch.equal(state["settings"].cpu(), fingerprint(sp)):
        raise ValueError(
            "the state is of other layers or settings: build the Sparsifier with the granularity, method, sparsity, "
            "scope, total_steps and model that it was saved with"
        )
    unknown = sorted(set(_under(state, "mask.")) - {layer.name for layer in sp.layers})
    if unknown:
        raise ValueError(f"the state has masks of {unknown}, which are not among the pruned layers")
    cut = ["step"] if state["step"].ndim or int(state["step"]) < 0 else _cut(sp, state)
    if not cut and not torch.equal(state["contents"].cpu(), contents(state)):
        cut = ["its entries are others"]
    if cut:
        raise ValueError(f"the state was changed or cut short ({', '.join(cut)}): load it as it was saved")
    spoiled = [name for name, x in _under(state, "memory.").items() if bool(torch.isnan(x).any())]
    if spoiled:
        raise ValueError(
            f"the state has NaN in memory.{spoiled[0]}: the training had diverged when it was saved, or the file is "
            "damaged; load an earlier one"
        )
    return sp.timeline.at(int(state["step"]))


def _cut(sp: Sparsifier, state: dict[str, Tensor]) -> list[str]:
    """Masks, and matrices of weights, that are not there or have other shapes."""
    units = {layer.name: layer.units for layer in sp.layers}
    masks, memory = _under(state, "mask."), _under(state, "memory.")
    cut = [f"mask.{name}" for name, bits in masks.items() if bits.numel() != -(-units[name] // 8)]
    kinds = sp.method.of_views(sp.timeline.at(int(state["step"])))
    for weight in sp.weights:
        shape = weight.parameter.shape
        behind, matrix = f"{BEHIND}.{weight.name}", torch.Size((shape[0], shape[1:].numel()))
        wanted = {f"{kind}.{weight.name}": matrix for kind in kinds} | ({behind: shape} if behind in memory else {})
        cut += [f"memory.{name}" for name in wanted if name not in memory or memory[name].shape != wanted[name]]
    return cut
