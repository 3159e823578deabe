"""Pruning of torch models: a Sparsifier acts in hooks of the optimiser, and the user's loop stays as it is."""

from ..kernels import soft_topk
from . import methods, one_shot
from .deploy import ExportReport, export
from .granularity import NM, Block, Channel, Head, Pattern, Unstructured
from .report import Report
from .sparsifier import Sparsifier

__all__ = [
    "NM",
    "Block",
    "Channel",
    "ExportReport",
    "Head",
    "Pattern",
    "Report",
    "Sparsifier",
    "Unstructured",
    "export",
    "methods",
    "one_shot",
    "soft_topk",
]
