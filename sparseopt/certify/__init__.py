"""Independent checkers: verdicts with rigorous bounds, from the raw data and the point alone."""

from .certificate import Certificate
from .duality_gap import duality_gap
from .global_gap import global_gap
from .lambda_window import LambdaWindow, lambda_window
from .stationarity import stationarity
from .subadditivity import subadditivity
from .support import Support, support
from .uniqueness import uniqueness

__all__ = [
    "Certificate",
    "LambdaWindow",
    "Support",
    "duality_gap",
    "global_gap",
    "lambda_window",
    "stationarity",
    "subadditivity",
    "support",
    "uniqueness",
]
