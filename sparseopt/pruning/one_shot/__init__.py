"""Pruning in one shot: a trained model and a few batches of its inputs, no training."""

from .prune import prune_once
from .sparsegpt import SparseGPT
from .wanda import Wanda

__all__ = ["SparseGPT", "Wanda", "prune_once"]
