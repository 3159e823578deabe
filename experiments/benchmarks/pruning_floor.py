"""What memory alone makes of the cost of a Sparsifier: the unavoidable passes of a method around the optimiser's step.

Loops in C (pruning_floor.c, built here for this machine) over the weights that are pruned, called once for all layers
in the hooks in which a Sparsifier works.  They compute nothing of use, but read and write what any implementation
outside the optimiser has to.  Weights behind weights change places as in the real thing.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_suffix(".c")
OPTIONS = ("-O3", "-march=native", "-fno-math-errno", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math")
LINE = 16
"""Entries of a line of the cache."""
PASSES = {
    "hard masks": ((), ("mask",)),
    "SMART": (("pull",), ("write",)),
    "SequentialAttention": (("pull",), ("write",)),
    "Powerpropagation": (("pull",), ("write",)),
    "ADMM": (("augment",), ()),
    "SR-STE": (("pull",), ("write",)),
    "group LASSO": ((), ("prox",)),
}
"""What is done ahead of and behind the optimiser's step."""


def compiled() -> Any:
    """The loops; None without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        subprocess.run([compiler, *OPTIONS, "-shared", "-fPIC", str(SOURCE), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


def kinds_of(mask: Any, view: Any) -> Any:
    """For each line of a weight: 0 where all is kept, 2 where nothing is, else 1.  mask: bool [units] of its layer."""
    import torch

    from sparseopt.kernels import scale_blocks

    frame = torch.ones(view.frame.shape)
    kept = scale_blocks(frame, view.grid(mask.float()), view.cut).flatten()
    lines = kept[: len(kept) // LINE * LINE].reshape(-1, LINE).sum(1)
    return torch.where(lines == LINE, 0, torch.where(lines == 0, 2, 1)).to(torch.uint8)


class Floor:
    """Hooks of an optimiser that make the passes of a method over the weights of layers.  masks: those of a Sparsifier.

    sp: a Sparsifier of a model of the same shape, which says what is pruned, and, in a hard phase, which blocks.
    """

    def __init__(self, loops: Any, model: Any, optimiser: Any, sp: Any, name: str) -> None:
        import torch

        named = dict(model.named_parameters())
        views = [view for layer in sp.layers for view in layer.views]
        self.loops, self.weights = loops, [named[view.weight.name] for view in views]
        ahead, behind = PASSES[name]
        self.others = [torch.zeros_like(w.detach()) for w in self.weights] if ahead else []
        for other, w in zip(self.others, self.weights, strict=False):
            other.copy_(w.detach())
        self.swaps = bool(ahead and behind)
        self.sizes = (ctypes.c_int64 * len(views))(*(w.numel() for w in self.weights))
        if "mask" in behind:
            masks = [sp.masks[layer.name] for layer in sp.layers for _ in layer.views]
            self.kinds = [kinds_of(mask, view) for mask, view in zip(masks, views, strict=True)]
        optimiser.register_step_pre_hook(lambda *_: self.run(ahead))
        optimiser.register_step_post_hook(lambda *_: self.run(behind, settle=True))

    def run(self, passes: tuple[str, ...], *, settle: bool = False) -> None:
        """Some passes; the weights change places ahead of the first and behind the last."""
        if self.swaps and not settle:
            self.swap()
        for name in passes:
            getattr(self, name)()
        if self.swaps and settle:
            self.swap()

    def swap(self) -> None:
        """The weights and those behind them."""
        for i, w in enumerate(self.weights):
            self.others[i], w.data = w.data, self.others[i]

    def at(self, tensors: Any) -> Any:
        """Addresses."""
        return (ctypes.c_void_p * len(self.sizes))(*(x.data_ptr() for x in tensors))

    def call(self, name: str, *tensors: Any) -> None:
        """One of the loops."""
        getattr(self.loops, f"floor_{name}")(*map(self.at, tensors), self.sizes, ctypes.c_int64(len(self.sizes)))

    def mask(self) -> None:
        """Lines with dropped blocks written, and read where they have kept ones too."""
        self.call("mask", self.weights, self.kinds)

    def prox(self) -> None:
        """Weights read and written."""
        self.call("prox", self.weights)

    def pull(self) -> None:
        """Weights read, gradients read and written."""
        self.call("pull", self.weights, [w.grad for w in self.weights])

    def write(self) -> None:
        """Weights read, what layers compute with written."""
        self.call("write", self.weights, self.others)

    def augment(self) -> None:
        """Weights and their anchors read, gradients read and written."""
        self.call("augment", self.weights, self.others, [w.grad for w in self.weights])
