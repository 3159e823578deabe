"""What pruning needs of the user's optimisers: who owns which weight, hooks, parameters that come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from .layer import Layer

Tensor = torch.Tensor


class Optimisers:
    """One or several optimisers.  Steps are counted at the last one's.

    Raises ValueError where one is no torch optimiser or a layer's weight belongs to none of them.
    """

    def __init__(self, optimisers: Any, layers: Sequence[Layer]) -> None:
        self.all: tuple[Optimizer, ...] = (
            (optimisers,) if isinstance(optimisers, Optimizer) else tuple(optimisers or ())
        )
        if not self.all or not all(isinstance(item, Optimizer) for item in self.all):
            raise ValueError(f"optimizer is {optimisers!r}: give the torch optimiser of the weights, or a list of them")
        if any(isinstance(item, torch.optim.LBFGS) for item in self.all):
            raise ValueError(
                "LBFGS evaluates the loss within its step, where masks are not applied: use another optimiser"
            )
        self._check_owned(layers)
        self._handles: list[Any] = []

    def _check_owned(self, layers: Sequence[Layer]) -> None:
        owned = {id(p) for item in self.all for group in item.param_groups for p in group["params"]}
        names = [weight.name for layer in layers for weight in layer.weights if id(weight.parameter) not in owned]
        if names:
            raise ValueError(
                f"the optimiser does not own {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}: build it "
                "from this model's parameters, or exclude or freeze these layers"
            )

    def hook(self, before: Callable[[], None], after: Callable[[bool], None]) -> None:
        """Call before() ahead of every step of the first optimiser and after(last) behind every step of each."""
        last = self.all[-1]
        self._handles.append(self.all[0].register_step_pre_hook(lambda *_: before()))
        for item in self.all:
            self._handles.append(item.register_step_post_hook(lambda optimiser, *_: after(optimiser is last)))

    def unhook(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def group_of(self, parameter: Tensor) -> tuple[Optimizer, dict[str, Any]]:
        """The optimiser and the group that own a parameter."""
        for item in self.all:
            for group in item.param_groups:
                if any(p is parameter for p in group["params"]):
                    return item, group
        raise ValueError(
            "the optimiser no longer owns a pruned weight: its groups were changed; build a new Sparsifier"
        )

    def learning_rate(self, parameter: Tensor) -> float:
        """The present learning rate of a parameter."""
        return float(self.group_of(parameter)[1]["lr"])

    def adopt(self, leaves: Iterable[Tensor], beside: Tensor) -> None:
        """Train leaves in the group that owns a parameter: gradient scalers and schedulers treat them like it.

        Leaves beside weights that processes share are stepped one by one: lists of both kinds are refused by torch.
        """
        group = self.group_of(beside)[1]
        group["params"].extend(leaves)
        if hasattr(beside, "placements") and group.get("foreach", False) is None:
            group["foreach"] = False

    def release(self, leaves: Iterable[Tensor]) -> None:
        """Forget leaves that were adopted."""
        gone = {id(leaf) for leaf in leaves}
        for item in self.all:
            for group in item.param_groups:
                group["params"] = [p for p in group["params"] if id(p) not in gone]
            for p in [p for p in item.state if id(p) in gone]:
                del item.state[p]

    def forget(self, layer: Layer, units: Tensor) -> None:
        """Set momenta and the like to 0 in some units (bool [n]) of a layer."""
        for view in layer.views:
            parameter = view.weight.parameter
            for value in self.group_of(parameter)[0].state.get(parameter, {}).values():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    view.mask(~units, value)

    def reset(self, parameters: Iterable[Tensor]) -> None:
        """Forget momenta and the like of some parameters."""
        for parameter in parameters:
            self.group_of(parameter)[0].state.pop(parameter, None)
