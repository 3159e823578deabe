"""The state of a Sparsifier beside the checkpoints of other trainers: Hugging Face, Accelerate, Lightning.

It may be loaded ahead of the states of model and optimiser, or behind them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .sparsifier import Sparsifier

FILE = "sparsifier.pt"


def trainer_callback(sp: Sparsifier) -> Any:
    """A callback for Hugging Face's Trainer, given the optimiser by hand: Trainer(..., optimizers=(optimizer, None)).

    Saves the state in every checkpoint, and loads it where training is resumed: the Trainer loads model and optimiser,
    in whose hooks the Sparsifier acts.  Raises ValueError where the Trainer steps another optimiser.
    """
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        """Saves and loads `sparsifier.pt`."""

        def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            """Beside the checkpoint of this step."""
            folder, tensors = Path(args.output_dir) / f"checkpoint-{state.global_step}", sp.state_dict()  # of them all
            if folder.is_dir() and state.is_world_process_zero:
                torch.save(tensors, folder / FILE)

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            """Check the optimiser."""
            optimiser = others.get("optimizer")
            optimiser = getattr(optimiser, "optimizer", optimiser)  # accelerate wraps it
            if optimiser is not None and not any(optimiser is item for item in sp.optimisers.all):
                raise ValueError(
                    "the Trainer made an optimiser of its own: give it that of the Sparsifier, "
                    "Trainer(..., optimizers=(optimizer, None))"
                )

    return Callback()


def resume_from(sp: Sparsifier, checkpoint: str | Path) -> None:
    """Load the state that is beside a checkpoint; for the Trainer ahead of train(resume_from_checkpoint=checkpoint)."""
    file = Path(checkpoint) / FILE
    if not file.is_file():
        raise ValueError(
            f"{checkpoint} has no {FILE}: train with callbacks=[trainer_callback(sp)] or register_with(accelerator, sp)"
        )
    sp.load_state_dict(torch.load(file, weights_only=True))


def register_with(accelerator: Any, sp: Sparsifier) -> None:
    """Let accelerator.save_state and load_state of Accelerate save and load the state of the Sparsifier too."""

    def save(models: Any, weights: Any, folder: str) -> None:
        tensors = sp.state_dict()  # of all processes together
        if accelerator.is_main_process:
            torch.save(tensors, Path(folder) / FILE)

    def load(models: Any, folder: str) -> None:
        resume_from(sp, folder)

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def lightning_callback(sp: Sparsifier) -> Any:
    """A callback for Lightning whose state is in the checkpoints.  configure_optimizers returns the Sparsifier's."""
    from lightning.pytorch import Callback

    class StateCallback(Callback):
        """Saves and loads the state of the Sparsifier."""

        @property
        def state_key(self) -> str:
            """The same for all runs."""
            return "sparseopt.Sparsifier"

        def state_dict(self) -> dict[str, Any]:
            """Tensors."""
            return sp.state_dict()

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """As it was saved."""
            sp.load_state_dict(state_dict)

    return StateCallback()
