"""Penalties: one scalar function per file, and its composition with the norms of the groups."""

from .elastic_net import GroupElasticNet
from .exp_mask import ExpMask
from .group import GroupExpMask, GroupL0, GroupLogSum, GroupLq, GroupMCP, GroupPenalty, GroupSCAD
from .group_lasso import GroupLasso
from .inverse_sum import InverseSum
from .k_support import KSupport, SmartDecay
from .l0 import L0
from .linear import Linear
from .log import Log
from .mcp import MCP
from .power import Power
from .ratio import Ratio
from .scad import SCAD
from .scalar import ScalarPenalty
from .sparse_group_lasso import SparseGroupLasso
from .square import Square

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
    "KSupport",
    "Linear",
    "Log",
    "Power",
    "Ratio",
    "ScalarPenalty",
    "SmartDecay",
    "SparseGroupLasso",
    "Square",
]
