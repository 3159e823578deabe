"""Datafits: the smooth parts of the problems, one per file."""

from .base import Datafit
from .cox import Cox
from .gram import GramLeastSquares
from .huber import Huber
from .least_squares import LeastSquares
from .logistic import Logistic
from .multi_response import MultiResponse
from .multinomial import Multinomial
from .poisson import Poisson
from .quadratic import Quadratic

__all__ = [
    "Cox",
    "Datafit",
    "GramLeastSquares",
    "Huber",
    "LeastSquares",
    "Logistic",
    "MultiResponse",
    "Multinomial",
    "Poisson",
    "Quadratic",
]
