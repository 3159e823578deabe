"""The Sparsifier: prunes a model while the user's own loop trains it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from ..sets.entries import checked_count
from . import state as states
from . import together
from .allocation import Allocation, checked_sparsity
from .inputs import Tap
from .leaves import Twin
from .methods.base import Method
from .methods.magnitude import Magnitude
from .optimisers import Optimisers
from .picture import plot
from .progress import Progress
from .report import Report, report_of
from .schedules import Phase
from .sharding import check_arrived, check_wrapping, data_group, masks_of, norms_of, spread, zeros_of
from .targets import checked_model, layers_of
from .traces import follow, traces_of
from .weights import Weight, plain_name, unwrapped

Tensor = torch.Tensor
LOOK_EVERY = 500
"""Steps after which weights are looked at that were not seen to change: what goes by way of .data leaves no trace."""
SAME_SPARSITY = 1e-6
"""Beyond this a sparsity given beside N:M or patterns contradicts them."""


class Sparsifier:
    """Prunes the weights of a model to a sparsity within total_steps optimiser steps, and keeps them pruned.

    model: any module; its parameters keep their names and identities.  granularity: what is dropped together: Block(r,
    c), Unstructured(), Channel(), Head(), NM(n, m), Pattern(library).  method: see `methods`, default Magnitude().
    sparsity: fraction of the units to drop, in [0, 1), default 0.9; a dict {regular expression: fraction} gives it per
    layer; N:M and patterns have their own.  scope: "layer" gives every layer that sparsity, "global" ranks the units of
    all layers together.  total_steps: optimiser steps from now to the final masks (steps that a gradient scaler skips,
    and backward passes that only accumulate, do not count).  optimizer: that of the weights, or a list of them.
    exclude, include: regular expressions, searched for in full module names; exclude wins, and include overrules the
    rules that keep embeddings, tied weights, depthwise convolutions, the stem and the head dense.
    smallest: layers with fewer units stay dense.  All that stays dense is listed, with the reason, by report().
    progress: bars on standard error, one for each phase; None: on terminals only.

    Acts in hooks of the optimiser: nothing to call in the loop; several optimisers are stepped one after the other, in
    the order of the list; steps are counted at the last one's.  Weights loaded before the first step count as there
    from the start.  Where a method trains others behind the weights, changing these between steps raises ValueError at
    the next step; by way of .data, which leaves no trace, at the second step of a phase and every 500 steps.
    `sparsity` is exact from total_steps on, up to the rounding to whole units; training may go on, and no weight comes
    back.  fold() removes the hooks at the end.  Two Sparsifiers of a model must prune different layers.
    Raises ValueError, before anything is changed, for arguments that do not fit the model or each other.
    """

    def __init__(
        self,
        model: nn.Module,
        granularity: Any,
        *,
        total_steps: int,
        optimizer: Any,
        method: Method | None = None,
        sparsity: Any = None,
        scope: str = "layer",
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        smallest: int = 8,
        progress: bool | None = None,
    ) -> None:
        self.model = checked_model(model)
        check_wrapping(model)
        self.granularity = granularity
        self.method = Magnitude() if method is None else method
        if isinstance(self.method, type) or not isinstance(self.method, Method):
            raise ValueError(f"method is {method!r}: give an instance from sparseopt.pruning.methods, e.g. SMART()")
        self.total_steps = checked_count(total_steps, "total_steps", 1)
        target = target_of(granularity, sparsity)
        layers, self.skipped = layers_of(model, granularity, target, exclude, include, smallest)
        self.layers = together.Layers(spread(layer) for layer in layers)
        self.group = data_group(model, self.layers)
        self.allocation = Allocation.of(self.layers, target, scope)
        self.optimisers = Optimisers(optimizer, self.layers)
        self.timeline = self.method.timeline(self.total_steps)
        if self.method.needs_counted and not self.counted:
            raise ValueError(
                f"{type(self.method).__name__} needs units that are counted, not {granularity!r}: use Block, Channel, "
                "Head or Unstructured, or one of the methods Magnitude, ACDC, ADMM and SRSTE"
            )
        self.method.check(self)
        self.progress = Progress(progress, self.total_steps)
        self.step = 0
        self.masks: dict[str, Tensor] = {}
        self.memory: dict[str, Tensor] = {}
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.folded = self.loaded = self.opened = False
        self.taps: list[Tap] = []
        self.twin: Twin | None = None
        self.phase = self.timeline.at(0)
        self.stepped: list[Any] = []
        self.carried: dict[str, list[Any]] = {}
        self._begin()
        self.optimisers.hook(self._before_step, self._after_step)
        self.progress.show(self.phase, 0, self.latest)

    # What methods use

    @property
    def counted(self) -> bool:
        """Whether a number of units is kept; else a set decides."""
        return bool(self.granularity.counted)

    def norms(self) -> list[Tensor]:
        """Norms of the units [n] of every layer, `comparable`."""
        return self.comparable(norms_of(self.layers))

    def choose(self, scores: list[Tensor], ramp: float = 1.0) -> list[Tensor]:
        """Masks [n] of the units to keep: the largest scores [n] at the sparsity ramp * target.

        Of sets: the entries that the projection of the scores keeps, or, without scores, that of the weights.
        """
        if not self.counted:
            if not scores:
                return masks_of(self.layers)
            pairs = zip(self.layers, scores, strict=True)
            return masks_of(self.layers, [[view.own(score) for view in layer.views] for layer, score in pairs])
        return self.allocation.masks(scores, ramp)

    def prune(self, scores: list[Tensor], ramp: float = 1.0) -> None:
        """Set the masks by `choose`, and the other weights to 0."""
        for layer, mask in zip(self.layers, self.choose(scores, ramp), strict=True):
            self.masks[layer.name] = mask
        self.apply_masks()
        self.record_masks([self.masks[layer.name] for layer in self.layers])

    def release(self) -> None:
        """Forget the masks: all weights are trained again."""
        self.masks.clear()
        self.record("sparsity", 0.0)

    def forget(self, prefix: str) -> None:
        """Take what begins so out of the memory."""
        for name in [name for name in self.memory if name.startswith(prefix)]:
            del self.memory[name]

    def apply_masks(self) -> None:
        """Set what is not kept to 0."""
        masked = self.layers
        if len(self.masks) < len(self.layers):
            masked = together.Layers(layer for layer in self.layers if layer.name in self.masks)
        together.mask(masked, [self.masks[layer.name] for layer in masked])

    def parameters(self) -> Iterator[nn.Parameter]:
        """The pruned weights, each once."""
        return iter({id(weight.parameter): weight.parameter for weight in self.weights}.values())

    @property
    def weights(self) -> tuple[Weight, ...]:
        """The pruned weights, each once."""
        return self.layers.weights

    def record(self, name: str, value: float) -> None:
        """Keep a number of this step for the report."""
        self.history.setdefault(name, []).append((self.step, float(value)))

    def record_masks(self, masks: list[Tensor]) -> None:
        """Keep the sparsity of masks [n] for the report."""
        kept = sum(
            int(layer.sizes[mask.to(layer.sizes.device)].sum()) for layer, mask in zip(self.layers, masks, strict=True)
        )
        self.record("sparsity", 1 - kept / sum(layer.entries for layer in self.layers))

    def comparable(self, scores: list[Tensor]) -> list[Tensor]:
        """Scores as they are within layers; between layers by root mean square, for units of unequal sizes."""
        if self.allocation.scope == "layer" or self.layers.even:
            return scores
        return [score / layer.sizes.to(score.device).sqrt() for score, layer in zip(scores, self.layers, strict=True)]

    def carry(
        self, name: str, values: Sequence[Tensor | None], added: Callable[[Tensor, Tensor], Tensor] = torch.add
    ) -> list[Any]:
        """Values added to those kept under this name when other optimisers were stepped, in this step of all; None: 0.

        Until the step of the last one is over; `before` of a method is called for each optimiser on its own.
        """
        old = self.carried.get(name, [None] * len(values))
        pairs = zip(old, values, strict=True)
        self.carried[name] = [b if a is None else a if b is None else added(a, b) for a, b in pairs]
        return self.carried[name]

    # The hooks

    @torch.no_grad()
    def _begin(self) -> None:
        """Enter the first phase with the weights as they are."""
        self.pruned_before = self._look_pruned()
        self.method.enter(self, self.phase)
        self.method.attach(self, self.phase)
        self.method.settle(self, self.phase)
        self.traces = traces_of(self.weights)

    @torch.no_grad()
    def _before_step(self, optimiser: Any) -> None:
        if not self.stepped or any(item is optimiser for item in self.stepped):
            self.stepped.clear()
            self.carried.clear()
            check_arrived(self.layers)
            self._notice_changes()
            self._warn_of_zeros()
        self.stepped.append(optimiser)
        self.method.open(self, self.phase)
        with self.optimisers.alone(optimiser):
            self.method.before(self, self.phase)

    @torch.no_grad()
    def _after_step(self, optimiser: Any) -> None:
        if optimiser is self.optimisers.all[-1]:
            self.step += 1
            self.method.after(self, self.phase)
            self._change_to(self.timeline.at(self.step))
            self.stepped.clear()
        self.method.settle(self, self.phase)
        self.traces = traces_of(self.weights)
        if not self.stepped:
            self.progress.show(self.phase, self.step, self.latest)

    def _notice_changes(self) -> None:
        """Start anew where the weights were changed ahead of the first step; later refuse what would be lost."""
        if self.opened:
            return
        if self.traces != traces_of(self.weights):
            follow(self)
        elif self.step == 0 or (self.step - self.phase.start) % LOOK_EVERY != 1:
            return
        if not self.method.replaced(self, self.phase):
            return
        if self.step > 0 or self.loaded:
            raise ValueError(
                f"weights were changed between steps, but {type(self.method).__name__} trains others behind them in "
                "this phase, so that the change would be lost: ahead of the model's state load that of the Sparsifier, "
                "or build the Sparsifier when the weights are final"
            )
        self.method.detach(self, self.phase)
        self.memory.clear()
        self.masks.clear()
        self.history.clear()
        self._begin()

    def _change_to(self, phase: Phase) -> None:
        if phase.start == self.phase.start:
            return
        self.method.detach(self, self.phase)
        self.method.leave(self, self.phase)
        self.phase = phase
        self.method.enter(self, phase)
        self.method.attach(self, phase)

    # What users call

    @property
    def sparsity(self) -> float:
        """Fraction of the weights of the pruned layers that are 0."""
        return sum(zeros_of(self.layers)) / sum(layer.entries for layer in self.layers)

    @property
    def finished(self) -> bool:
        """Whether the final masks are in force."""
        return self.folded or (self.phase.kind == "sparse" and self.timeline.at(10**18).start == self.phase.start)

    @property
    def latest(self) -> dict[str, float]:
        """The number recorded last under every name, e.g. sparsity, temperature, primal and dual residual."""
        return {name: values[-1][1] for name, values in self.history.items() if values}

    def scalars(self) -> dict[str, float]:
        """Numbers for a logger, counted now: sparsity, that of each layer, and what was recorded last.

        TensorBoard: for name, value in sp.scalars().items(): writer.add_scalar(name, value, sp.step)
        """
        result = {"sparsity": self.sparsity}
        counts = zip(self.layers, zeros_of(self.layers), strict=True)
        result |= {f"sparsity/{layer.name}": zeros / layer.entries for layer, zeros in counts}
        return result | {name: value for name, value in self.latest.items() if name != "sparsity"}

    def plot(self, layers: Sequence[str] | None = None) -> Any:
        """A matplotlib figure of the weights that are kept, and of what was recorded over time; see `picture.plot`."""
        return plot(self, layers)

    def report(self) -> Report:
        """A table of the layers, what stayed dense and why, and numbers recorded over time; print it."""
        return report_of(self)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        """Remove the hooks and return the model: plain, with its zeros.  Before total_steps it is pruned at once."""
        if not self.finished:
            self._notice_changes()
            self.method.open(self, self.phase)
            self._change_to(self.timeline.at(10**18))
            self.method.settle(self, self.phase)
        self.optimisers.unhook()
        self.progress.close()
        self.folded = True
        return self.model

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors only: step, masks (packed bits), memory of the method, history.  See load_state_dict.

        Where processes share weights all of them call it, and each gets the state of the whole, which any other number
        of processes can load.
        """
        return states.state_of(self)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where another run stopped.

        Build model, optimiser and Sparsifier as at the start, then load this state, the model's and the optimiser's, in
        any order.  Raises ValueError, and changes nothing, for a state of other layers or settings, or with NaN.
        """
        states.load_state(self, state)

    @torch.no_grad()
    def masks_from_zeros(self) -> None:
        """Take the units that are 0 for dropped, and go to the final phase: for a pruned model without its state.

        Raises ValueError where no unit is 0.
        """
        masks = {layer.name: norms != 0 for layer, norms in zip(self.layers, norms_of(self.layers), strict=True)}
        if all(bool(mask.all()) for mask in masks.values()):
            raise ValueError("no unit is 0: load the weights of a pruned model first, or just train")
        self.method.detach(self, self.phase)
        self.memory.clear()
        self.opened, self.loaded = False, True
        self.masks, self.step = masks, max(self.step, self.total_steps)
        self.phase = self.timeline.at(self.step)

    @torch.no_grad()
    def apply_to(self, model: nn.Module) -> nn.Module:
        """Apply the masks to a model of the same parameter names, such as a moving average of this one; returns it."""
        parameters = {plain_name(name): parameter for name, parameter in unwrapped(model).named_parameters()}
        missing = [weight.name for weight in self.weights if weight.name not in parameters]
        if missing:
            raise ValueError(f"the model has no parameter {missing[0]}: give a copy of the pruned model")
        for layer in self.layers:
            if layer.name in self.masks:
                layer.mask(self.masks[layer.name], parameters)
        return model

    def _look_pruned(self) -> bool:
        """Whether at least half as many units are 0 as are to be dropped."""
        units = [layer.units for layer in self.layers]
        wanted = sum(units) * self.granularity.sparsity if not self.counted else self.allocation.dropped(units)
        zero = sum(int((norms == 0).sum()) for norms in norms_of(self.layers))
        return zero > 0 and 2 * zero >= wanted

    def _warn_of_zeros(self) -> None:
        """Where a pruned model goes on without the state of its Sparsifier, its zeros would come back."""
        if self.step == 0 and not self.loaded and self.pruned_before:
            self.pruned_before = False
            warnings.warn(
                "the weights look pruned, but no state of a Sparsifier was loaded, so zeros will be trained again: "
                "call load_state_dict, or masks_from_zeros to keep them",
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return (
            f"Sparsifier({self.granularity!r}, {self.method!r}, {len(self.layers)} layers, step {self.step} of "
            f"{self.total_steps}, phase {self.phase.kind!r})"
        )


def target_of(granularity: Any, sparsity: Any) -> Any:
    """The sparsity to reach: the one given, that of the granularity, or 0.9."""
    if isinstance(granularity, type) or not hasattr(granularity, "layers"):
        raise ValueError(f"granularity is {granularity!r}: give an instance, e.g. Block(16, 8) or NM(2, 4)")
    own = granularity.sparsity
    if own is None:
        return 0.9 if sparsity is None else sparsity
    if sparsity is not None and abs(checked_sparsity(sparsity) - own) > SAME_SPARSITY:
        raise ValueError(f"sparsity is {sparsity}, but {granularity!r} has {own:g}: leave sparsity out")
    return own
