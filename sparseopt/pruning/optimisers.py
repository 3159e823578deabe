"""What pruning needs of the user's optimisers: who owns which weight, hooks, parameters that come and go."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakSet

import torch
from torch.optim import Optimizer

from .layer import Layer
from .weights import local

Tensor = torch.Tensor
MOMENTUM = "momentum_buffer"
"""What torch's SGD calls it."""


class Optimisers:
    """One or several optimisers, stepped one after the other.

    Raises ValueError where one is no torch optimiser, or a layer's weight belongs to none of them or is pruned by
    another Sparsifier.
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
        self._pruned = {id(weight.parameter): weight.name for layer in layers for weight in layer.weights}
        self._check_free()
        self._handles: list[Any] = []

    def _check_owned(self, layers: Sequence[Layer]) -> None:
        owned = {id(p) for item in self.all for group in item.param_groups for p in group["params"]}
        names = [weight.name for layer in layers for weight in layer.weights if id(weight.parameter) not in owned]
        if names:
            raise ValueError(
                f"the optimiser does not own {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}: build it "
                "from this model's parameters, or exclude or freeze these layers"
            )

    def _check_free(self) -> None:
        """ValueError where another Sparsifier, of these optimisers or of others, prunes one of the weights."""
        if not self._shared_name():
            return
        gc.collect()  # one that nobody holds any more knows its optimiser, which knows it
        name = self._shared_name()
        if name:
            raise ValueError(
                f"{name} is pruned by another Sparsifier: call its fold() first, or exclude the layer from one of them"
            )

    def _shared_name(self) -> str:
        """A weight that somebody else prunes, "" where there is none."""
        taken = {key for other in HOOKED for key in other._pruned}
        return next((name for key, name in self._pruned.items() if key in taken), "")

    def hook(self, before: Callable[[Optimizer], None], after: Callable[[Optimizer], None]) -> None:
        """Call before(optimiser) ahead of every step, when its gradients are there, and after(optimiser) behind it.

        A closure computes gradients within the step: before is called behind it.  Fused optimisers are stepped by
        gradient scalers also where they are to skip, and with scaled gradients: neither is called for the former, and
        before finds the latter unscaled.  Nor are they for steps that torch.distributed.checkpoint takes to build the
        state of an optimiser, with learning rates and gradients of 0.
        """

        idle: set[int] = set()

        @torch.compiler.disable
        def ahead(optimiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            idle.discard(id(optimiser))
            closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
            if closure is not None:
                once = _once(closure, partial(before, optimiser), type(optimiser).__name__)
                return (
                    (args, kwargs | {"closure": once}) if "closure" in kwargs else ((args[0], once, *args[2:]), kwargs)
                )
            if _skips(optimiser) or _moves_nothing(optimiser):
                idle.add(id(optimiser))
                return None
            _unscale(optimiser)
            before(optimiser)
            return None

        @torch.compiler.disable
        def behind(optimiser: Any, *_: Any) -> None:
            if id(optimiser) not in idle:
                after(optimiser)

        for item in self.all:
            self._handles += [item.register_step_pre_hook(ahead), item.register_step_post_hook(behind)]
        HOOKED.add(self)

    @contextmanager
    def alone(self, optimiser: Optimizer) -> Iterator[None]:
        """Within it, weights of the other optimisers have no gradients: these may still be scaled, or not be there."""
        if len(self.all) == 1:
            yield
            return
        own = {id(p) for group in optimiser.param_groups for p in group["params"]}
        others = [p for item in self.all for group in item.param_groups for p in group["params"] if id(p) not in own]
        hidden = [(p, p.grad) for p in others if p.grad is not None]
        for p, _ in hidden:
            p.grad = None
        try:
            yield
        finally:
            for p, gradient in hidden:
                p.grad = gradient

    def unhook(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        HOOKED.discard(self)

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

    def forget(self, layer: Layer, units: Tensor) -> None:
        """Set momenta and the like to 0 in some units (bool [n]) of a layer."""
        for view in layer.views:
            parameter = view.weight.parameter
            for value in self.group_of(parameter)[0].state.get(parameter, {}).values():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    view.mask(~units, value)

    def reset(self, parameters: Iterable[Tensor]) -> None:
        """Forget momenta and the like of some parameters."""
        given = list(parameters)
        owners = [self.group_of(parameter) for parameter in given]
        for parameter, (item, _) in zip(given, owners, strict=True):
            item.state.pop(parameter, None)
        for parameter, (item, group) in zip(given, owners, strict=True):
            _begin_momentum(item, group, parameter)


HOOKED: WeakSet[Optimisers] = WeakSet()
"""Those that have hooks: two of them would prune a common weight against each other."""


def _begin_momentum(item: Optimizer, group: dict[str, Any], parameter: Tensor) -> None:
    """Momentum 0, as at the start, for torch's fused SGD: it takes momenta of all parameters or of none."""
    known = (item.state[p].get(MOMENTUM) is not None for p in group["params"] if p in item.state)
    if isinstance(item, torch.optim.SGD) and group.get("fused") and group["momentum"] and any(known):
        item.state[parameter][MOMENTUM] = torch.zeros_like(parameter)


def _once(closure: Callable[[], Any], before: Callable[[], None], name: str) -> Callable[[], Any]:
    """A closure that calls before() behind it, and refuses to be evaluated again."""
    calls: list[Any] = []

    def evaluated() -> Any:
        if calls:
            raise ValueError(
                f"{name} evaluates its closure again within a step, where masks are not applied: use an optimiser "
                "that evaluates it once"
            )
        calls.append(closure())
        before()
        return calls[0]

    return evaluated


def _moves_nothing(optimiser: Optimizer) -> bool:
    """Whether all learning rates are 0, and all gradients."""
    rates = [group.get("lr", 1.0) for group in optimiser.param_groups]
    if any((isinstance(rate, Tensor) and rate.device.type != "cpu") or float(rate) != 0 for rate in rates):
        return False
    gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    return not any(bool(local(gradient).any()) for gradient in gradients)


def _skips(optimiser: Any) -> bool:
    """Whether a gradient scaler found gradients that are not finite, and leaves it to the optimiser not to step."""
    found = getattr(optimiser, "found_inf", None)
    return found is not None and bool(found)


def _unscale(optimiser: Any) -> None:
    """Do what a gradient scaler leaves to the optimiser."""
    scale = getattr(optimiser, "grad_scale", None)
    if scale is None:
        return
    for group in optimiser.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                p.grad.div_(scale.to(p.grad.device))
    optimiser.grad_scale = None
