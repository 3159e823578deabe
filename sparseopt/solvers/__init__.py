"""Solvers: one algorithm per file, each an `init` and a `step`; the loop is in `solve`."""

from .admm import ADMM, ADMMState
from .branch_and_bound import BranchAndBound, Optimum
from .fista import FISTA, MomentumState
from .group_bcd import GroupBCD
from .iht import IHT
from .proximal_gradient import ProximalGradient
from .reweighted import ReweightedGroupLasso
from .srste import SRSTE, SRSTEState

__all__ = [
    "ADMM",
    "FISTA",
    "IHT",
    "SRSTE",
    "ADMMState",
    "BranchAndBound",
    "GroupBCD",
    "MomentumState",
    "Optimum",
    "ProximalGradient",
    "ReweightedGroupLasso",
    "SRSTEState",
]
