"""Weights behind weights: where a layer computes with a function of what is trained.

Between steps the parameter holds what the layer computes with, and "behind.<name>" in memory what is trained, so that
models are copied, saved, compiled and parallelised as ever, and cost nothing in the forward pass.  Around a step of the
optimiser the two change places, and the gradient is pulled back from one to the other.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from .. import together
from ..schedules import Phase
from ..state import BEHIND
from ..weights import local, spread_out
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
PREFIX = BEHIND + "."
ROUNDING = 16.0


class Behind(Method):
    """A method with soft phases; a subclass says which, what layers compute with, and how gradients are pulled back.

    Its `enter`, `before` and `after` see parameters that hold what is trained.
    """

    soft_kind: ClassVar[tuple[str, ...]] = ()
    """Kinds of the soft phases."""

    def values(self, sp: Sparsifier) -> list[Tensor] | None:
        """What `write` needs of the units [n] of each layer, if anything."""
        return None

    def write(self, sp: Sparsifier, cuts: Any, outs: list[Tensor], ws: list[Tensor], values: Any = None) -> None:
        """What layers compute with, of the matrices ws that are trained, one for each view, into the matrices outs.

        cuts: of the views.  values: for each view those of its blocks, where there are any.
        """
        raise NotImplementedError

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Memory for what is trained, or no more."""
        if phase.kind in self.soft_kind:
            for weight in sp.weights:
                if PREFIX + weight.name not in sp.memory:
                    sp.memory[PREFIX + weight.name] = local(weight.parameter).detach().clone()
            sp.opened = True
            return
        sp.forget(PREFIX)
        super().enter(sp, phase)

    def open(self, sp: Sparsifier, phase: Phase) -> None:
        """Let the parameters hold what is trained."""
        if phase.kind in self.soft_kind and not sp.opened:
            _exchange(sp)
            sp.opened = True

    def settle(self, sp: Sparsifier, phase: Phase) -> None:
        """Let the parameters hold what the layers compute with."""
        if phase.kind not in self.soft_kind:
            sp.opened = False
            super().settle(sp, phase)
            return
        views, found = together.views_of(sp.layers), self.values(sp)
        values = None if found is None else together.values_of(sp.layers, found)
        together.change(views, partial(self.write, sp), self.targets(sp), None, values=values)
        _exchange(sp)
        sp.opened = False

    def targets(self, sp: Sparsifier) -> list[Tensor]:
        """Where that is written, for each view; the weights change places with it then."""
        return [sp.memory[PREFIX + view.weight.name] for view in together.views_of(sp.layers)]

    def replaced(self, sp: Sparsifier, phase: Phase) -> bool:
        """Whether the layers compute with other weights than those written, beyond the rounding of other devices."""
        if phase.kind not in self.soft_kind:
            return super().replaced(sp, phase)
        found = [local(weight.parameter.detach()).clone() for weight in sp.weights]
        self.open(sp, phase)
        self.settle(sp, phase)  # writes them again
        types = {x.dtype for x in found} | {trace.dtype for trace in sp.traces}
        error = ROUNDING * max(torch.finfo(dtype).eps for dtype in types)
        now = [local(weight.parameter.detach()) for weight in sp.weights]
        if all(_close(a, b, error) for a, b in zip(found, now, strict=True)):
            return False
        for weight, given in zip(sp.weights, found, strict=True):
            local(weight.parameter.detach()).copy_(given)
        return True


def _close(a: Tensor, b: Tensor, error: float) -> bool:
    """Equal but for an error relative to any entry, or to the largest one."""
    if torch.equal(a, b):
        return True
    largest = float(b.abs().nan_to_num(0.0, 0.0).max()) if b.numel() else 0.0
    return torch.allclose(a, b, rtol=error, atol=error * largest, equal_nan=True)


def _exchange(sp: Sparsifier) -> None:
    memory = sp.memory
    for weight in sp.weights:
        parameter, name = weight.parameter, PREFIX + weight.name
        behind = memory[name]
        if spread_out(parameter):  # other objects know this memory
            held = local(parameter.detach())
            memory[name] = held.clone()
            held.copy_(behind)
        else:
            memory[name], parameter.data = parameter.data, behind
