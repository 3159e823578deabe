"""Solvers: one algorithm per file, each an `init` and a `step`; the loop is in `solve`."""

from .fista import FISTA, MomentumState
from .group_bcd import GroupBCD
from .proximal_gradient import ProximalGradient

__all__ = ["FISTA", "GroupBCD", "MomentumState", "ProximalGradient"]
