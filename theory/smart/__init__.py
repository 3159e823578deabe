"""Theorems of SMART (arXiv 2403.19969): pruning with a soft top-k mask, its temperature, and weight decay."""

from . import smart_decay_penalty, soft_topk_is_well_posed, soft_topk_limit

THEOREMS = (soft_topk_is_well_posed.THEOREM, soft_topk_limit.THEOREM, smart_decay_penalty.THEOREM)
