"""Pruning of torch models: a Sparsifier acts in hooks of the optimiser, and the user's loop stays as it is."""

from ..kernels import soft_topk
from . import methods, one_shot
from .attention import AttentionBlocks, prune_attention
from .deploy import ExportReport, export, load_patterns
from .granularity import NM, Block, Channel, Pattern, Unstructured
from .heads import Head
from .report import Report
from .sparsifier import Sparsifier

__all__ = [
    "NM",
    "AttentionBlocks",
    "Block",
    "Channel",
    "ExportReport",
    "Head",
    "Pattern",
    "Report",
    "Sparsifier",
    "Unstructured",
    "export",
    "load_patterns",
    "methods",
    "one_shot",
    "prune_attention",
    "soft_topk",
]
