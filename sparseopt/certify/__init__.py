"""Independent checkers: verdicts with rigorous bounds, from the raw data and the point alone."""

from .certificate import Certificate
from .duality_gap import duality_gap
from .global_gap import global_gap
from .subadditivity import subadditivity

__all__ = ["Certificate", "duality_gap", "global_gap", "subadditivity"]
