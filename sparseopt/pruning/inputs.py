"""What flows into the layers: mean squares and Gram matrices of the inputs that meet each column of a weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional

from .weights import Weight, local

Tensor = torch.Tensor
Statistic = Callable[[Weight, Tensor], Tensor]
"""A sum over the samples of an input, of a weight and the input of its module."""


def columns(weight: Weight, x: Tensor) -> Tensor:
    """The input x of a module as a matrix [samples, inputs * taps], in the order of the weight's memory.

    y = columns @ W.T for the weight W [outputs, inputs * taps]; a sample is a token, or an output position.
    """
    module = weight.module
    if weight.kind != "conv":
        return x.detach().reshape(-1, x.shape[-1])
    assert isinstance(module, nn.Conv1d | nn.Conv2d)
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    x = functional.pad(x.detach(), module._reversed_padding_repeated_twice, mode=mode)
    kernel, dilation, stride = (tuple(item) for item in (module.kernel_size, module.dilation, module.stride))
    if isinstance(module, nn.Conv1d):
        x, kernel, dilation, stride = x.unsqueeze(-2), (1, *kernel), (1, *dilation), (1, *stride)
    patches = functional.unfold(x, kernel, dilation=dilation, stride=stride)
    return patches.transpose(1, 2).reshape(-1, patches.shape[1])


def squares(weight: Weight, x: Tensor) -> Tensor:
    """Sums over the samples: the squares of every column [inputs * taps], and last the number of samples."""
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    if weight.kind != "conv":
        rows = columns(weight, x)
        return torch.cat([rows.square().sum(0), rows.new_tensor([len(rows)])])
    rows = columns(weight, x.square().sum(0, keepdim=True))  # linear in the squares: one image stands for the batch
    return torch.cat([rows.sum(0), rows.new_tensor([len(rows) * len(x)])])


def gram(weight: Weight, x: Tensor) -> Tensor:
    """X'X over the samples [inputs * taps, inputs * taps], float64."""
    rows = columns(weight, x).double()
    return rows.T @ rows


def mean_squares(sums: Tensor) -> Tensor:
    """Of every column, from `squares`."""
    return sums[:-1] / sums[-1]


def weighted(weight: Weight, means: Tensor) -> Tensor:
    """|w| times the root of the mean squares [inputs * taps] of the input that it meets, a matrix like w."""
    matrix = local(weight.parameter).detach().flatten(1)
    scale = means.sqrt().to(matrix)
    return matrix.abs() * (scale[:, None] if weight.transposed else scale)


def check_observable(weight: Weight) -> None:
    """ValueError where a module does not show its input: attention that is computed as a whole, groups, 3-D."""
    module = weight.module
    inside = isinstance(weight.parent, nn.MultiheadAttention) or weight.kind in ("packed", "embedding")
    grouped = getattr(module, "groups", 1) > 1
    if inside or grouped or isinstance(module, nn.Conv3d):
        raise ValueError(
            f"the inputs of {weight.name} cannot be measured ({type(module).__name__}): exclude it, or choose a method "
            "that looks at the weights alone"
        )


class Tap:
    """A hook that sums a statistic over the inputs of a module; copies and pickles of the module measure nothing.

    training: only where gradients are recorded.
    """

    def __init__(self, weight: Weight, statistic: Statistic, *, training: bool = False) -> None:
        check_observable(weight)
        self.weight, self.statistic, self.training = weight, statistic, training
        self.total: Tensor | None = None
        self.handle = weight.module.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Add the statistic of an input, given by position or by name."""
        if self.training and not torch.is_grad_enabled():
            return
        with torch.no_grad():
            value = self.statistic(self.weight, inputs[0] if inputs else next(iter(keywords.values())))
            self.total = value if self.total is None else self.total + value

    def take(self, group: Any = None) -> Tensor | None:
        """The sum since the last call, over the processes of a group, None where nothing came."""
        total, self.total = self.total, None
        if group is not None and total is not None:
            dist.all_reduce(total, group=group)
        return total

    def __reduce__(self) -> tuple[Any, ...]:
        return Silent, ()


class Silent:
    """A hook that does nothing."""

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Nothing."""


def measured(model: nn.Module, weights: Iterable[Weight], batches: Iterable[Any], statistic: Statistic) -> list[Tensor]:
    """Sums of a statistic for each weight over batches: a tensor, a tuple of arguments, or a mapping of named ones.

    The model runs in evaluation mode and without gradients.  ValueError where a weight's module never ran, or where
    its inputs are not finite.
    """
    taps = []
    modes = {module: module.training for module in model.modules()}
    try:
        taps = [Tap(weight, statistic) for weight in weights]
        model.eval()
        with torch.no_grad():
            for batch in batches:
                run(model, batch)
        totals = [(tap.weight.name, tap.take()) for tap in taps]
    finally:
        for tap in taps:
            tap.handle.remove()
        for module, mode in modes.items():
            module.training = mode
    idle = [name for name, total in totals if total is None]
    if idle:
        raise ValueError(f"no batch reached {idle[0]}: exclude it, or give batches that the whole model works on")
    wild = [name for name, total in totals if total is not None and not bool(torch.isfinite(total).all())]
    if wild:
        raise ValueError(
            f"the inputs of {wild[0]} are NaN, infinite or too large to be squared: look for the batch that makes them "
            "so and leave it out, or scale the inputs"
        )
    return [total for _, total in totals if total is not None]


def run(model: nn.Module, sample: Any) -> Any:
    """The model on a sample: a mapping holds keyword arguments, a tuple or list positional ones."""
    if isinstance(sample, Mapping):
        return model(**sample)
    return model(*sample) if isinstance(sample, tuple | list) else model(sample)
