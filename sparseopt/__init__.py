"""sparseopt: group-sparse optimisation in which every claimed theorem is executable."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import penalties, sets
from .datafits import Cox, Huber, LeastSquares, Logistic, Multinomial, MultiResponse, Poisson
from .gram import GramStatistics, accumulate_gram
from .groups import Groups
from .path import lambda_grid, lambda_max, solve_path
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
    KSupport,
    SmartDecay,
    SparseGroupLasso,
)
from .problem import Problem
from .result import NotConverged, Result, Status
from .soft_topk import (
    AnnealingTemperature,
    CappedSimplexTopK,
    ExponentialTemperature,
    InverseTemperature,
    LapSumTopK,
    LinearTemperature,
    SoftTopK,
    StraightThroughTopK,
    soft_topk,
    temperature_for,
)
from .solution_path import Path, PathNotConverged
from .solve import iterate, solve
from .standardise import GroupStandardisation

if TYPE_CHECKING:
    from . import certify, datasets, selection, solvers, testing

__version__ = "0.1.0"

__all__ = [
    "AnnealingTemperature",
    "CappedSimplexTopK",
    "Cox",
    "ExponentialTemperature",
    "GramStatistics",
    "GroupElasticNet",
    "GroupExpMask",
    "GroupL0",
    "GroupLasso",
    "GroupLogSum",
    "GroupLq",
    "GroupMCP",
    "GroupSCAD",
    "GroupStandardisation",
    "Groups",
    "Huber",
    "InverseSum",
    "InverseTemperature",
    "KSupport",
    "LapSumTopK",
    "LeastSquares",
    "LinearTemperature",
    "Logistic",
    "MultiResponse",
    "Multinomial",
    "NotConverged",
    "Path",
    "PathNotConverged",
    "Poisson",
    "Problem",
    "Result",
    "SmartDecay",
    "SoftTopK",
    "SparseGroupLasso",
    "Status",
    "StraightThroughTopK",
    "accumulate_gram",
    "certify",
    "datasets",
    "iterate",
    "lambda_grid",
    "lambda_max",
    "penalties",
    "selection",
    "sets",
    "soft_topk",
    "solve",
    "solve_path",
    "solvers",
    "temperature_for",
    "testing",
]


def __getattr__(name: str) -> Any:
    """Subpackages that defining a problem does not need are imported when they are first asked for."""
    if name in ("certify", "datasets", "selection", "solvers", "testing"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
