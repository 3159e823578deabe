"""Ways to prune: each file states the problem it solves."""

from .acdc import ACDC
from .admm import ADMM
from .base import Method
from .group_lasso import GroupLasso
from .magnitude import Magnitude
from .powerpropagation import Powerpropagation
from .rigl import RigL
from .sequential_attention import SequentialAttention
from .smart import SMART
from .srste import SRSTE

__all__ = [
    "ACDC",
    "ADMM",
    "SMART",
    "SRSTE",
    "GroupLasso",
    "Magnitude",
    "Method",
    "Powerpropagation",
    "RigL",
    "SequentialAttention",
]
