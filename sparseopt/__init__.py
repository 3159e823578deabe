"""sparseopt: group-sparse optimisation in which every claimed theorem is executable."""

from . import certify, datasets, penalties, solvers
from .datafits import LeastSquares
from .groups import Groups
from .path import lambda_max
from .penalties import GroupExpMask, GroupLasso, GroupLogSum, GroupLq, InverseSum
from .problem import Problem
from .solve import NotConverged, Result, Status, iterate, solve

__version__ = "0.1.0"

__all__ = [
    "GroupExpMask",
    "GroupLasso",
    "GroupLogSum",
    "GroupLq",
    "Groups",
    "InverseSum",
    "LeastSquares",
    "NotConverged",
    "Problem",
    "Result",
    "Status",
    "certify",
    "datasets",
    "iterate",
    "lambda_max",
    "penalties",
    "solve",
    "solvers",
]
