"""sparseopt: group-sparse optimisation in which every claimed theorem is executable."""

from . import certify, datasets, penalties, solvers
from .datafits import Cox, Huber, LeastSquares, Logistic, Multinomial, MultiResponse, Poisson
from .groups import Groups
from .path import lambda_max
from .penalties import (
    GroupElasticNet,
    GroupExpMask,
    GroupL0,
    GroupLasso,
    GroupLogSum,
    GroupLq,
    GroupMCP,
    GroupSCAD,
    InverseSum,
    SparseGroupLasso,
)
from .problem import Problem
from .solve import NotConverged, Result, Status, iterate, solve

__version__ = "0.1.0"

__all__ = [
    "Cox",
    "GroupElasticNet",
    "GroupExpMask",
    "GroupL0",
    "GroupLasso",
    "GroupLogSum",
    "GroupLq",
    "GroupMCP",
    "GroupSCAD",
    "Groups",
    "Huber",
    "InverseSum",
    "LeastSquares",
    "Logistic",
    "MultiResponse",
    "Multinomial",
    "NotConverged",
    "Poisson",
    "Problem",
    "Result",
    "SparseGroupLasso",
    "Status",
    "certify",
    "datasets",
    "iterate",
    "lambda_max",
    "penalties",
    "solve",
    "solvers",
]
