"""Datafits: the smooth parts of the problems, one per file."""

from .base import Datafit
from .least_squares import LeastSquares
from .quadratic import Quadratic

__all__ = ["Datafit", "LeastSquares", "Quadratic"]
