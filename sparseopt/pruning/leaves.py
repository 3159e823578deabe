"""Parameters that a method trains beside the weights, as the user's optimiser would, without being in it.

So the groups and the state of that optimiser stay those of the model, in every phase: checkpoints of it load anywhere.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

Tensor = torch.Tensor
PREFIX = "leaf."
"""Of the twin's state in the memory of a Sparsifier: leaf.<i>.<key> for leaf i."""
OF_GROUP = ("params", "param_names")


class Twin:
    """An optimiser of the kind and settings of a group of another one, for leaves; its state is in a memory.

    pull: the derivative of values computed from the leaves as they are, once; None where they are to be computed again.
    Settings are read anew at every step, so that schedulers act on the leaves too.  Muon, which takes matrices alone,
    is replaced by AdamW.
    """

    def __init__(self, optimiser: Optimizer, leaves: Sequence[Tensor], memory: dict[str, Tensor]) -> None:
        self.leaves, self.memory = tuple(leaves), memory
        self.pull: Callable[[list[Tensor | None]], list[Tensor | None]] | None = None
        self.optimiser = _like(optimiser)
        self.optimiser.param_groups = [{**self.optimiser.defaults, "params": list(self.leaves)}]
        for i, leaf in enumerate(self.leaves):
            kept = {name: value for name, value in memory.items() if name.startswith(f"{PREFIX}{i}.")}
            if kept:
                self.optimiser.state[leaf] = {name.split(".", 2)[2]: _value(value) for name, value in kept.items()}

    def step(self, group: dict[str, Any]) -> None:
        """One step with the settings of a group."""
        self.pull = None
        known = self.optimiser.defaults
        given = {name: value for name, value in group.items() if name not in OF_GROUP and name in known}
        if given.get("foreach", True) is None and not given.get("fused") and not given.get("differentiable"):
            given["foreach"] = True  # one call for all leaves
        self.optimiser.param_groups[0] |= given
        self.optimiser.step()
        for i, leaf in enumerate(self.leaves):
            leaf.grad = None
            for key, value in self.optimiser.state.get(leaf, {}).items():
                if value is not None:
                    self.memory[f"{PREFIX}{i}.{key}"] = torch.as_tensor(value)

    def take(self) -> Callable[[list[Tensor | None]], list[Tensor | None]] | None:
        """The derivative, once."""
        pull, self.pull = self.pull, None
        return pull

    def forget(self) -> None:
        """Take its state out of the memory."""
        for name in [name for name in self.memory if name.startswith(PREFIX)]:
            del self.memory[name]


def _like(optimiser: Optimizer) -> Optimizer:
    """An optimiser of the same class, without parameters, state, hooks and what schedulers did to it."""
    if isinstance(optimiser, getattr(torch.optim, "Muon", ())):
        return torch.optim.AdamW([torch.zeros(1)])
    twin = copy.copy(optimiser)
    own = {name: value for name, value in vars(optimiser).items() if name not in vars(twin) and not callable(value)}
    vars(twin).update({name: value for name, value in own.items() if name not in ("grad_scale", "found_inf")})
    twin.state = defaultdict(dict)
    return twin


def _value(tensor: Tensor) -> Any:
    """As the optimiser keeps it: whole numbers are no tensors."""
    return int(tensor) if tensor.dtype == torch.int64 and tensor.ndim == 0 else tensor
