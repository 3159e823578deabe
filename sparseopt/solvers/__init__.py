"""Solvers: one algorithm per file, each an `init` and a `step`; the loop is in `solve`."""

from .branch_and_bound import BranchAndBound, Optimum
from .fista import FISTA, MomentumState
from .group_bcd import GroupBCD
from .proximal_gradient import ProximalGradient
from .reweighted import ReweightedGroupLasso

__all__ = [
    "FISTA",
    "BranchAndBound",
    "GroupBCD",
    "MomentumState",
    "Optimum",
    "ProximalGradient",
    "ReweightedGroupLasso",
]
