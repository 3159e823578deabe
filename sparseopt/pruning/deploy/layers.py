"""The layers of a model that may be replaced, why others may not, and by what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ...kernels import BlockSparse
from ...kernels.layout import HALF
from ...kernels.products import SIDES, kept_blocks
from ..weights import Weight, tied_names, weights_of
from .modules import (
    BalancedLinear,
    BlockSparseConv2d,
    BlockSparseLinear,
    CompressedLinear,
    SemiStructuredLinear,
    taps_first,
)

Tensor = torch.Tensor
Build = Callable[[], nn.Module]
DENSEST, DENSEST_COMPRESSED = 0.95, 0.5
"""Share of blocks or weights that are kept beyond which the own product, and the formats of torch, are not tried."""
ROWS_OF_TILE, COLUMNS_OF_TILE = 32, 64
"""What torch's 2:4 kernels ask of the shape of a weight of half type."""
MOST_PADDING = 1.25
"""Balanced blocks, relative to the blocks that are kept, beyond which block rows count as unbalanced."""


@dataclass(frozen=True)
class Site:
    """A weight with the module that uses it.  reason: why it must stay dense, "" where it need not."""

    weight: Weight
    reason: str

    @property
    def name(self) -> str:
        """Of the module in the model."""
        return self.weight.module_name

    @property
    def module(self) -> nn.Module:
        """The dense module."""
        return self.weight.module

    @property
    def matrix(self) -> Tensor:
        """The weight as [outputs, inputs]; the taps of a convolution one after the other."""
        if isinstance(self.module, nn.Conv2d):
            return taps_first(self.module)
        w = self.weight.parameter.detach().flatten(1)
        return w.t() if self.weight.transposed else w

    @property
    def bias(self) -> Tensor | None:
        """The bias of the module."""
        bias = getattr(self.module, "bias", None)
        return bias if isinstance(bias, Tensor) else None

    @property
    def sparsity(self) -> float:
        """Fraction of the weights that are 0."""
        return float((self.weight.parameter == 0).float().mean())


def sites_of(model: nn.Module) -> list[Site]:
    """All weights of linear, convolutional, attention and embedding layers."""
    tied = tied_names(model)
    return [Site(weight, _reason(weight, tied)) for weight in weights_of(model)]


def _reason(weight: Weight, tied: dict[str, list[str]]) -> str:
    module = weight.module
    if weight.kind == "embedding":
        return "an embedding is looked up, not multiplied"
    if weight.name in tied:
        return f"tied to {', '.join(tied[weight.name])}"
    if type(module) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d) and not weight.transposed:
        return f"{type(module).__name__} uses its weight in its own way"
    if module._forward_hooks or module._forward_pre_hooks:
        return "it has hooks of its own"
    return ""


def choices(site: Site, target: str) -> tuple[dict[str, Build], str]:
    """Formats of a target, "auto" for all, that this layer can take, each with what builds it; or why there is none."""
    if site.reason:
        return {}, site.reason
    if isinstance(site.weight.parent, nn.TransformerEncoderLayer):
        return {}, "TransformerEncoderLayer reads its weight directly in its fast path"
    if site.weight.kind == "conv":
        return _convolutions(site.module, target)
    w, bias = site.matrix, site.bias
    if not bool((w == 0).any()):
        return {}, "no weight is 0"
    found: dict[str, Build] = {}
    multiplied = w.device.type != "cpu" or w.dtype not in HALF  # torch has no product for the others
    if target in ("csr", "auto") and multiplied and _density(w, 1) <= DENSEST_COMPRESSED:
        found["csr"] = partial(CompressedLinear, w, bias, "csr")
    misfit = two_of_four(w)
    if target in ("2:4", "auto") and not misfit:
        found["2:4"] = partial(SemiStructuredLinear, w, bias)
    if target == "2:4":
        return found, misfit
    for b in sides(w):
        if target in ("sparse", "auto"):
            found[f"sparse {b}x{b}"] = partial(BlockSparseLinear, w, bias, b)
        if w.shape[0] % b or w.shape[1] % b:
            continue
        if target in ("bsr", "auto") and multiplied and _density(w, b) <= DENSEST_COMPRESSED:
            found[f"bsr {b}x{b}"] = partial(CompressedLinear, w, bias, "bsr", b)
        if target in ("balanced", "auto") and _padding(w, b) <= MOST_PADDING:
            found[f"balanced {b}x{b}"] = partial(BalancedLinear, w, bias, b)
    return found, "" if found else _none(w, target)


def _convolutions(conv: nn.Module, target: str) -> tuple[dict[str, Build], str]:
    if target not in ("sparse", "auto"):
        return {}, f"{target!r} is for linear layers"
    plain = isinstance(conv, nn.Conv2d) and conv.groups == 1 and conv.padding_mode == "zeros"
    if not isinstance(conv, nn.Conv2d) or not plain or isinstance(conv.padding, str) or set(conv.dilation) != {1}:
        return {}, "only plain two-dimensional convolutions have a sparse form"
    w = taps_first(conv)
    found: dict[str, Build] = {f"sparse {b}x{b}": partial(BlockSparseConv2d, conv, b) for b in sides(w)}
    return found, "" if found else _none(w, target)


def two_of_four(w: Tensor) -> str:
    """Why sparse tensor cores cannot take a weight [outputs, inputs], or ""."""
    if w.dtype not in HALF:
        return f"2:4 is for float16 and bfloat16, not {w.dtype}"
    if w.shape[0] % ROWS_OF_TILE or w.shape[1] % COLUMNS_OF_TILE:
        return f"2:4 needs multiples of {ROWS_OF_TILE} outputs and {COLUMNS_OF_TILE} inputs, not {tuple(w.shape)}"
    if int((w.reshape(w.shape[0], -1, 4) != 0).sum(dim=2).max()) > 2:
        return "some four inputs have more than two weights: prune with NM(2, 4)"
    return "" if w.device.type == "cuda" else "2:4 runs on CUDA devices only"


def _padding(w: Tensor, b: int) -> float:
    """Blocks of a balanced form of W, relative to the blocks that are not 0."""
    kept = BlockSparse.of(w, b).starts.diff()
    return float(kept.max() * len(kept) / kept.sum().clamp(min=1))


def _none(w: Tensor, target: str) -> str:
    """Why a matrix with zeros has no sparse form."""
    if target == "balanced" and sides(w):
        return 'its block rows keep unequal numbers of blocks, or are cut off: prune with Block(..., balance="row")'
    few = "too few blocks of 16, 32 or 64 are 0"
    return few if _compiled(w) else f"{few}, or it is {w.dtype}, not float32"


def _compiled(w: Tensor) -> bool:
    """Whether the own product is compiled for weights like this one."""
    return w.dtype == torch.float32 or w.device.type == "cuda"


def sides(w: Tensor) -> list[int]:
    """Sides of blocks worth trying: the largest of those with the fewest numbers stored, or up to half as many more."""
    if not _compiled(w):
        return []
    stored = {b: kept_blocks(w, b) * b * b for b in SIDES if _density(w, b) <= DENSEST}
    few = [b for b in stored if stored[b] <= 1.5 * min(stored.values())]
    return [b for b in few if not any(stored[other] <= stored[b] for other in few if other > b)]


def _density(w: Tensor, b: int) -> float:
    """Share of the blocks that have an entry other than 0."""
    down, across = -(-w.shape[0] // b), -(-w.shape[1] // b)
    return kept_blocks(w, b) / (down * across) if b > 1 else float((w != 0).float().mean())
