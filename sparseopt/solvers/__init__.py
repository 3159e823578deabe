"""Solvers: one algorithm per file, each an `init` and a `step`; the loop is in `solve`."""

from .fista import FISTA, MomentumState
from .proximal_gradient import ProximalGradient

__all__ = ["FISTA", "MomentumState", "ProximalGradient"]
