"""Penalties: one scalar function per file, and its composition with the norms of the groups."""

from .exp_mask import ExpMask
from .group import GroupExpMask, GroupLasso, GroupLogSum, GroupLq, GroupPenalty
from .inverse_sum import InverseSum
from .linear import Linear
from .log import Log
from .power import Power
from .ratio import Ratio
from .scalar import ScalarPenalty

__all__ = [
    "ExpMask",
    "GroupExpMask",
    "GroupLasso",
    "GroupLogSum",
    "GroupLq",
    "GroupPenalty",
    "InverseSum",
    "Linear",
    "Log",
    "Power",
    "Ratio",
    "ScalarPenalty",
]
