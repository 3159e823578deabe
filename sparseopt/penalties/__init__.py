"""Penalties: one scalar function per file, and its composition with the norms of the groups."""

from .elastic_net import GroupElasticNet
from .exp_mask import ExpMask
from .group import GroupExpMask, GroupL0, GroupLogSum, GroupLq, GroupMCP, GroupPenalty, GroupSCAD
from .group_lasso import GroupLasso
from .inverse_sum import InverseSum
from .l0 import L0
from .linear import Linear
from .log import Log
from .mcp import MCP
from .power import Power
from .ratio import Ratio
from .scad import SCAD
from .scalar import ScalarPenalty
from .sparse_group_lasso import SparseGroupLasso

__all__ = [
    "L0",
    "MCP",
    "SCAD",
    "ExpMask",
    "GroupElasticNet",
    "GroupExpMask",
    "GroupL0",
    "GroupLasso",
    "GroupLogSum",
    "GroupLq",
    "GroupMCP",
    "GroupPenalty",
    "GroupSCAD",
    "InverseSum",
    "Linear",
    "Log",
    "Power",
    "Ratio",
    "ScalarPenalty",
    "SparseGroupLasso",
]
