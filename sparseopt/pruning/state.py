"""The state of a Sparsifier as tensors, and back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch

from .traces import placed, traces_of
from .weights import local

if TYPE_CHECKING:
    from .sparsifier import Sparsifier

Tensor = torch.Tensor


def fingerprint(sp: Sparsifier) -> Tensor:
    """First 8 bytes of a hash of the settings and of the layers, uint8 [8]."""
    layers = [(layer.name, layer.units, layer.entries) for layer in sp.layers]
    text = repr((sp.granularity, sp.method, sp.allocation, sp.total_steps, layers))
    return torch.tensor(list(hashlib.sha256(text.encode()).digest()[:8]), dtype=torch.uint8)


def packed(mask: Tensor) -> Tensor:
    """Bits of a mask [n], uint8 [ceil(n / 8)]."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy()))


def unpacked(bits: Tensor, n: int) -> Tensor:
    """The mask [n] of its bits."""
    return torch.from_numpy(np.unpackbits(bits.cpu().numpy(), count=n).astype(bool))


def state_of(sp: Sparsifier) -> dict[str, Tensor]:
    """step, settings (a hash), mask.<layer>, memory.<name>, history.<name> [., 2]; tensors of their own memory."""
    result = {"step": torch.tensor(sp.step), "settings": fingerprint(sp)}
    result |= {f"mask.{name}": packed(mask) for name, mask in sp.masks.items()}
    result |= {f"memory.{name}": tensor.detach().clone().contiguous() for name, tensor in sp.memory.items()}
    for name, values in sp.history.items():
        result[f"history.{name}"] = torch.tensor(values, dtype=torch.float64).reshape(-1, 2)
    return result


def load_state(sp: Sparsifier, state: dict[str, Tensor]) -> None:
    """Re-enter the phase that the state was taken in, with its masks and memory."""
    _check(sp, state)
    layers = {layer.name: layer for layer in sp.layers}
    masks = {name: unpacked(bits, layers[name].units) for name, bits in _under(state, "mask.").items()}
    memory = {name: placed(sp, name, tensor.detach().clone()) for name, tensor in _under(state, "memory.").items()}
    history = {
        name: [(int(step), float(value)) for step, value in values]
        for name, values in _under(state, "history.").items()
    }
    sp.method.detach(sp, sp.phase)
    sp.step, sp.memory, sp.history = int(state["step"]), memory, history
    sp.masks = {name: mask.to(layers[name].weights[0].parameter.device) for name, mask in masks.items()}
    sp.phase = sp.timeline.at(sp.step)
    sp.opened, sp.loaded = False, True
    sp.method.attach(sp, sp.phase)
    with torch.no_grad():
        sp.apply_masks()
    sp.traces = traces_of(sp.weights)


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _check(sp: Sparsifier, state: dict[str, Tensor]) -> None:
    missing = {"step", "settings"} - set(state)
    if missing:
        raise ValueError(f"the state lacks {sorted(missing)}: give what Sparsifier.state_dict() returned")
    if not torch.equal(state["settings"].cpu(), fingerprint(sp)):
        raise ValueError(
            "the state is of other layers or settings: build the Sparsifier with the granularity, method, sparsity, "
            "scope, total_steps and model that it was saved with"
        )
    units = {layer.name: layer.units for layer in sp.layers}
    masks, memory = _under(state, "mask."), _under(state, "memory.")
    unknown = sorted(set(masks) - set(units))
    if unknown:
        raise ValueError(f"the state has masks of {unknown}, which are not among the pruned layers")
    shapes = {weight.name: local(weight.parameter).shape for weight in sp.weights}
    cut = [f"mask.{name}" for name, bits in masks.items() if bits.numel() != -(-units[name] // 8)]
    for name, tensor in memory.items():
        what, _, owner = name.partition(".")
        if what == "behind" and tensor.shape != shapes.get(owner):
            cut.append(f"memory.{name}")
    if int(state["step"]) < 0 or cut:
        raise ValueError(f"the state was changed or cut short ({', '.join(cut) or 'step'}): load it as it was saved")
