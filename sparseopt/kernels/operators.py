"""Torch operators that are called directly where nothing has to see them: a fifth of the time for small layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

PLAIN = (torch.Tensor, torch.nn.Parameter)


class Checked(list[int]):
    """Given last to an operator: its tensors are known to be plain, and nothing has a part in the call."""


class Operator:
    """A function registered as the torch operator sparseopt::<name>, for autograd, compilers, modes and transforms.

    A call goes past torch's dispatcher where none of them is at work, and straight to autograd where it alone is.
    changed: the arguments that it changes in place.
    """

    def __init__(self, name: str, function: Callable[..., Any], changed: tuple[str, ...]) -> None:
        self.function = function
        self.changed = [list(inspect.signature(function).parameters).index(argument) for argument in changed]
        self.definition = torch.library.custom_op(f"sparseopt::{name}", function, mutates_args=changed)
        self.register_fake = self.definition.register_fake
        self.registered = getattr(torch.ops.sparseopt, name)
        self.differentiable: type[torch.autograd.Function] | None = None

    def register_autograd(self, backward: Callable[..., Any], *, setup_context: Callable[..., None]) -> None:
        """Derivatives, as `torch.library` takes them."""
        self.definition.register_autograd(backward, setup_context=setup_context)
        steps = {"forward": self.function, "setup_context": setup_context, "backward": backward}
        methods = {name: staticmethod(step) for name, step in steps.items()}
        self.differentiable = type(self.definition._name, (torch.autograd.Function,), methods)

    def __call__(self, *given: Any) -> Any:
        """What the function returns.  RuntimeError for tangents, which torch would drop without a word."""
        if forward_ad._current_level >= 0:
            _refuse_tangents(self.definition._name, given)
        checked = isinstance(given[-1], Checked)
        if not checked and _seen(given):
            return self.registered(*given)
        if not checked and torch.is_grad_enabled() and any(tensor.requires_grad for tensor in _tensors(given)):
            return self.registered(*given) if self.differentiable is None else self.differentiable.apply(*given)
        result = self.function(*given)
        for i in self.changed:
            torch.autograd.graph.increment_version(given[i])  # of one tensor or of each in a list
        return result


def operator(name: str, *, mutates_args: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Operator]:
    """Register the function below."""
    return lambda function: Operator(name, function, mutates_args)


def watched() -> bool:
    """Whether compilers, dispatch modes, transforms or tracers have a part in every call."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return True
    return torch._C._functorch.peek_interpreter_stack() is not None or torch._C._get_tracing_state() is not None


def _seen(given: tuple[Any, ...]) -> bool:
    """Whether compilers, subclasses, dispatch modes, transforms or tracers have a part in a call."""
    return watched() or any(type(tensor) not in PLAIN for tensor in _tensors(given))


def _refuse_tangents(name: str, given: tuple[Any, ...]) -> None:
    for tensor in _tensors(given):
        if forward_ad.unpack_dual(tensor).tangent is not None:
            raise RuntimeError(
                f"sparseopt::{name} has no forward-mode derivative: use reverse mode (torch.autograd.grad, "
                "torch.func.vjp), or put the formula of sparseopt.kernels.reference in its place"
            )


def _tensors(given: Sequence[Any]) -> list[torch.Tensor]:
    """Those among the arguments, and those in lists."""
    found: list[torch.Tensor] = []
    for item in given:
        if isinstance(item, torch.Tensor):
            found.append(item)
        elif type(item) is list and item and isinstance(item[0], torch.Tensor):
            found += item
    return found
