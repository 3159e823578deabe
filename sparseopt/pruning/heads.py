"""Attention heads as units: rows of query, key and value, and columns of the output projection."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..kernels import Cut
from .granularity import Fitted
from .layer import Layer, View
from .weights import Weight

BESIDE = "output.dense"
"""The output projection of BERT and relatives: of the module that holds the attention."""
PROJECTIONS = (
    ("query", "key", "value", BESIDE),
    ("query", "key", "value", "dense"),
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("q_proj", "k_proj", "v_proj", "out_proj"),
    ("q_lin", "k_lin", "v_lin", "out_lin"),
    ("q", "k", "v", "o"),
)
"""Names of linear layers in attentions of Hugging Face's models."""
SIZES = ("attention_head_size", "head_dim", "key_value_proj_dim")
"""Attributes of such an attention that hold the size of a head."""
UNKNOWN = "not part of an attention of known names with as many heads of keys and values as of queries"


@dataclass(frozen=True)
class Head:
    """Attention heads: rows of query, key and value, and columns of the output projection, together.

    Finds torch's MultiheadAttention, and modules of linear layers named as in `PROJECTIONS` that tell the size of a
    head (Hugging Face's BERT, ViT, CLIP, BART, DistilBERT, T5 and relatives).  Attentions whose queries share keys stay
    dense.
    """

    counted = True
    sparsity = None

    def layers(self, weights: list[Weight]) -> Fitted:
        """One layer for each attention; weights of other modules stay dense."""
        by_module = {weight.module_name: weight for weight in weights}
        layers, used = [], set()
        for name in sorted(by_module):
            packed = _packed(by_module[name], by_module)
            attention, views = (name, packed) if packed else _separate(name, by_module)
            if views:
                layers.append(Layer(_joined(attention, "heads"), tuple(views)))
                used |= {view.weight.name for view in views}
        return layers, [(weight, UNKNOWN) for weight in weights if weight.name not in used]


def _joined(*names: str) -> str:
    return ".".join(name for name in names if name)


def _packed(weight: Weight, by_module: dict[str, Weight]) -> list[View]:
    """Of torch's MultiheadAttention."""
    attention, out = weight.module, by_module.get(_joined(weight.module_name, "out_proj"))
    if not isinstance(attention, nn.MultiheadAttention) or out is None:
        return []
    e, d = attention.embed_dim, attention.head_dim
    rows = [View(weight, Cut(d, weight.shape[1]), part * e, (part + 1) * e) for part in range(3)]
    return [*rows, View(out, Cut(out.shape[0], d))]


def _separate(name: str, by_module: dict[str, Weight]) -> tuple[str, list[View]]:
    """The attention whose queries come from the module of this name, and its views; none for other modules."""
    attention, _, own = name.rpartition(".")
    for query, *others, output in PROJECTIONS:
        outer = attention.rpartition(".")[0] if output == BESIDE else attention
        names = [_joined(attention, other) for other in others] + [_joined(outer, output)]
        if own == query and all(other in by_module for other in names):
            return attention, _views([by_module[name], *(by_module[other] for other in names)])
    return attention, []


def _views(weights: list[Weight]) -> list[View]:
    """Of the weights of query, key, value and output, unless they do not have the same heads."""
    *inputs, out = weights
    d = next((size for size in (getattr(inputs[0].parent, name, None) for name in SIZES) if isinstance(size, int)), 0)
    sizes = {weight.shape[0] for weight in inputs} | {out.shape[1]}
    linear = all(weight.kind == "linear" and not weight.transposed for weight in weights)
    if not linear or d < 1 or len(sizes) > 1 or sizes.pop() % d:
        return []
    return [*(View(weight, Cut(d, weight.shape[1])) for weight in inputs), View(out, Cut(out.shape[0], d))]
