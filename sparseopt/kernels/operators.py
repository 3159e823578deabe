"""Torch operators that are called directly where nothing has to see them: a fifth of the time for small layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

PLAIN = (torch.Tensor, torch.nn.Parameter)


class Operator:
    """A function registered as the torch operator sparseopt::<name>, for autograd, compilers, modes and transforms.

    A call goes past torch's dispatcher where none of them is at work.  changed: the arguments that it changes in place.
    """

    def __init__(self, name: str, function: Callable[..., Any], changed: tuple[str, ...]) -> None:
        self.function = function
        self.changed = [list(inspect.signature(function).parameters).index(argument) for argument in changed]
        definition = torch.library.custom_op(f"sparseopt::{name}", function, mutates_args=changed)
        self.register_fake = definition.register_fake
        self.register_autograd = definition.register_autograd
        self.registered = getattr(torch.ops.sparseopt, name)

    def __call__(self, *given: Any) -> Any:
        """What the function returns."""
        if torch.compiler.is_compiling() or not _unseen(given):
            return self.registered(*given)
        result = self.function(*given)
        for i in self.changed:
            torch.autograd.graph.increment_version(given[i])
        return result


def operator(name: str, *, mutates_args: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Operator]:
    """Register the function below."""
    return lambda function: Operator(name, function, mutates_args)


def _unseen(given: tuple[Any, ...]) -> bool:
    """Whether autograd, subclasses, dispatch modes and transforms have no part in a call."""
    if torch._C._len_torch_dispatch_stack() or torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    recording = torch.is_grad_enabled()
    for item in given:
        if isinstance(item, torch.Tensor) and (type(item) not in PLAIN or (recording and item.requires_grad)):
            return False
    return True
