"""Solvers: one algorithm per file, each an `init` and a `step`; the loop is in `solve`."""

from . import masks
from .admm import ADMM, ADMMState
from .branch_and_bound import BranchAndBound, Optimum
from .fista import FISTA, MomentumState
from .group_bcd import GroupBCD
from .group_omp import GroupOMP, OMPState
from .iht import IHT
from .mask_descent import MaskDescent, MaskState
from .ompr import OMPR, OMPRState
from .proximal_gradient import ProximalGradient
from .reweighted import ReweightedGroupLasso
from .srste import SRSTE, SRSTEState

__all__ = [
    "ADMM",
    "FISTA",
    "IHT",
    "OMPR",
    "SRSTE",
    "ADMMState",
    "BranchAndBound",
    "GroupBCD",
    "GroupOMP",
    "MaskDescent",
    "MaskState",
    "MomentumState",
    "OMPRState",
    "OMPState",
    "Optimum",
    "ProximalGradient",
    "ReweightedGroupLasso",
    "SRSTEState",
    "masks",
]
