"""What a method is: phases, and what it does when one begins, before and after every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..schedules import Phase, Timeline

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier


class Method:
    """Hyperparameters only; everything that changes is in the Sparsifier: `masks`, `memory` (tensors), `step`.

    A phase of kind "sparse" needs nothing: its masks are applied after every step.  The Sparsifier calls
      enter(sp, phase)    when a phase begins: put what it needs into memory, set masks;
      attach(sp, phase)   after enter, and when a run is resumed within the phase: build from memory what is not in it;
      open(sp, phase)     ahead of each optimiser step, before all else;
      before(sp, phase)   then, for gradients, of the optimiser that is stepped: the weights of others have none;
      after(sp, phase)    behind the step; sp.step counts it already;
      settle(sp, phase)   behind all that, for the next forward pass: apply masks;
      detach(sp, phase)   undo attach;
      leave(sp, phase)    when the phase ends, after detach.
    replaced(sp, phase) is asked where weights were changed between steps.
    """

    needs_counted = False
    """Whether units must be counted (blocks, channels, ...): then N:M and patterns are refused."""

    chooses = False
    """Whether the method sets the final masks itself."""

    def timeline(self, total_steps: int) -> Timeline:
        """Phases of a run."""
        raise NotImplementedError

    def of_views(self, phase: Phase) -> tuple[str, ...]:
        """What is in memory in a phase as "<what>.<view>", a matrix for every view."""
        return ()

    def check(self, sp: Sparsifier) -> None:
        """ValueError where the method cannot do what is asked for."""

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """A phase begins; the sparse one with the final masks, by norm, unless they are there."""
        if phase.kind == "sparse" and not self.chooses:
            sp.prune(sp.norms())

    def attach(self, sp: Sparsifier, phase: Phase) -> None:
        """Build what is not in memory."""

    def open(self, sp: Sparsifier, phase: Phase) -> None:
        """Ahead of an optimiser step, before all else."""

    def settle(self, sp: Sparsifier, phase: Phase) -> None:
        """Make the weights what the layers compute with."""
        sp.apply_masks()

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Ahead of an optimiser step."""

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Behind an optimiser step."""

    def replaced(self, sp: Sparsifier, phase: Phase) -> bool:
        """Whether the weights are no longer what `settle` left, and the method does not go on from what they are."""
        return sp.step == 0 and not sp.loaded

    def detach(self, sp: Sparsifier, phase: Phase) -> None:
        """Undo attach."""

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """A phase ends."""
