"""Pruning of attention maps: each block of queries attends to its most important blocks of keys only."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..sets.entries import checked_count
from .allocation import checked_sparsity, kept_of

Tensor = torch.Tensor
IMPORTANCES = ("attention", "pooled")
NAME = "sparseopt_blocks"
"""Of the attention function in the registry of transformers."""


@dataclass(frozen=True)
class AttentionBlocks:
    """Attention maps [.., L, L] in blocks `block` x `block`; each row of blocks keeps the same number of them.

    sparsity: fraction of the blocks of a row to drop, in [0, 1), rounded to whole blocks; at least one is kept.
    importance: "attention" ranks a block by its share of the attention that its queries give to all keys (the whole map
    is formed for it), "pooled" by mean query times mean key, which forms the kept blocks alone.  Ties go to the lowest
    index.  Attention is then a softmax over the kept blocks.  maps: whether maps [.., L, L] are returned too.
    """

    block: int = 32
    sparsity: float = 0.5
    importance: str = "attention"
    maps: bool = False

    def __post_init__(self) -> None:
        checked_count(self.block, "block", 1)
        checked_sparsity(self.sparsity)
        if self.importance not in IMPORTANCES:
            raise ValueError(f"importance is {self.importance!r}: allowed are {', '.join(map(repr, IMPORTANCES))}")

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, dropout: float = 0.0
    ) -> tuple[Tensor, Tensor | None]:
        """Attention [B, H, L, d] of q, k, v [B, H, L, d], and the map [B, H, L, L] or None.

        mask: added to the products, [B or 1, H or 1, L, L] or None.  dropout: on the map.
        """
        bias = self._bias(q, k, mask)
        blocks = [self._cut(tensor) for tensor in (q, k, v)]
        with torch.no_grad():
            kept = self._chosen(blocks[0], blocks[1], bias, scaling)
        keys, values = (_gathered(part[:, :, None], kept).flatten(3, 4) for part in blocks[1:])
        products = blocks[0] @ keys.transpose(3, 4) * scaling
        if bias is not None:
            products = products + _gathered(bias, kept).transpose(3, 4).flatten(4)
        weights = functional.dropout(torch.softmax(products, dim=-1), dropout)
        result = (weights @ values).flatten(2, 3)[:, :, : q.shape[2]]
        return result, self._map(weights, kept, q.shape[2], k.shape[2]) if self.maps else None

    def _cut(self, tensor: Tensor) -> Tensor:
        """[B, H, L, d] as [B, H, blocks, block, d], zeros beyond L."""
        missing = -tensor.shape[2] % self.block
        padded = functional.pad(tensor, (0, 0, 0, missing)) if missing else tensor
        return padded.unflatten(2, (-1, self.block))

    def _bias(self, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor | None:
        """The mask as [B or 1, H or 1, rows of blocks, columns of blocks, block, block], -inf beyond the keys."""
        down, right = -q.shape[2] % self.block, -k.shape[2] % self.block
        if mask is None and not right:
            return None
        mask = q.new_zeros(1, 1, q.shape[2], k.shape[2]) if mask is None else mask[..., : k.shape[2]]
        mask = mask.expand(-1, -1, q.shape[2], -1)
        mask = functional.pad(functional.pad(mask, (0, right), value=-torch.inf), (0, 0, 0, down))
        return mask.unflatten(2, (-1, self.block)).unflatten(4, (-1, self.block)).transpose(3, 4)

    def _chosen(self, q: Tensor, k: Tensor, bias: Tensor | None, scaling: float) -> Tensor:
        """Indices [B, H, rows of blocks, kept blocks], increasing."""
        if self.importance == "attention":
            products = q.flatten(2, 3) @ k.flatten(2, 3).transpose(2, 3) * scaling
            if bias is not None:
                products = products + bias.transpose(3, 4).flatten(4).flatten(2, 3)
            share = products.softmax(-1).unflatten(3, (-1, self.block)).sum(4)
            score = share.unflatten(2, (-1, self.block)).sum(3)
        else:
            score = (q.mean(3) @ k.mean(3).transpose(2, 3)) * scaling
            score = score if bias is None else score + bias.amax((4, 5))
        count = kept_of(score.shape[3], self.sparsity)
        order = score.sort(dim=3, descending=True, stable=True).indices
        return order[..., :count].sort(dim=3).values

    def _map(self, weights: Tensor, kept: Tensor, rows: int, columns: int) -> Tensor:
        """The map with its zeros [B, H, L, L]."""
        blocks = -(-columns // self.block)
        parts = weights.unflatten(4, (-1, self.block))
        whole = weights.new_zeros(*weights.shape[:4], blocks, self.block)
        index = kept[:, :, :, None, :, None].expand_as(parts)
        return whole.scatter(4, index, parts).flatten(4).flatten(2, 3)[:, :, :rows, :columns]


def _gathered(blocks: Tensor, kept: Tensor) -> Tensor:
    """Blocks at kept [B, H, R, n] of [B or 1, H or 1, R or 1, C, b, d], as [B, H, R, n, b, d]."""
    sizes = blocks.shape[:4]
    base = torch.zeros_like(kept)
    for axis, size in enumerate(sizes[:3]):
        place = torch.arange(kept.shape[axis], device=kept.device) if size > 1 else base.new_zeros(kept.shape[axis])
        base = base * size + place.reshape([-1 if i == axis else 1 for i in range(4)])
    rows = blocks.reshape(-1, blocks.shape[4] * blocks.shape[5])
    taken = rows.index_select(0, (base * sizes[3] + kept).flatten())
    return taken.reshape(*kept.shape, *blocks.shape[4:])


def prune_attention(model: nn.Module, blocks: AttentionBlocks | None = None) -> nn.Module:
    """Let the self-attentions of a Hugging Face model (BERT and relatives) prune their maps; None: no longer.

    The model must use eager attention.  Its weights, names and configuration stay; copies and pickles of it prune too,
    once sparseopt.pruning is imported.  At sparsity 0 the model computes what it did before, bit for bit.
    Raises ValueError for models without such attentions, and for other implementations of attention.
    """
    found = [module for module in model.modules() if _is_attention(module)]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no self-attention of the kind of Hugging Face's BERT: a module with query, "
            "key, value, scaling and a configuration"
        )
    implementation = getattr(model.config, "_attn_implementation", None)
    if blocks is not None and implementation != "eager":
        raise ValueError(
            f'the model uses the attention {implementation!r}: build it with attn_implementation="eager", or call '
            'model.set_attn_implementation("eager")'
        )
    _register()
    attentions: list[Any] = found
    for module in attentions:
        module.attention_blocks = blocks
        module.config = copy.copy(model.config)
        if blocks is not None and blocks.sparsity > 0:
            module.config._attn_implementation_internal = NAME
    return model


def _is_attention(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ("query", "key", "value", "scaling", "config", "attention_head_size"))


def _register() -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """As transformers calls it: attention [B, L, H, d] and the map."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    result, weights = module.attention_blocks(query, key, value, attention_mask, scale, dropout)
    return result.transpose(1, 2).contiguous(), weights
