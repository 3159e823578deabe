"""Losses as the compiled proximal Newton steps know them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._native.newton import COX, HUBER, LOGISTIC, POISSON, SQUARED, Risks, SampleLoss
from ..datafits import Cox, Huber, LeastSquares, Logistic, MultiResponse, Poisson
from ..problem import Problem


def compiled_loss(problem: Problem) -> SampleLoss | None:
    """The loss as the compiled loop knows it, None for others; its arrays are kept with the problem."""
    if "compiled loss" not in problem.kept:
        problem.kept["compiled loss"] = _compiled_loss(problem.datafit)
    return problem.kept["compiled loss"]


def _compiled_loss(datafit: Any) -> SampleLoss | None:
    squared = SQUARED, "target"
    kinds: dict[type, tuple[int, str]] = {LeastSquares: squared, MultiResponse: squared}
    kinds |= {Logistic: (LOGISTIC, "sign"), Poisson: (POISSON, "y"), Huber: (HUBER, "target")}
    if getattr(datafit, "vanishes", False):
        return None
    if type(datafit) is Cox:
        return _compiled_cox(datafit)
    if type(datafit) not in kinds:
        return None
    kind, y = kinds[type(datafit)]
    rest = None if kind == SQUARED else np.ascontiguousarray(datafit.rest)
    target, share = (np.ascontiguousarray(a) for a in (getattr(datafit, y).T, datafit.share))
    return SampleLoss(kind, target, share, rest, delta=getattr(datafit, "delta", 0.0))


def _compiled_cox(datafit: Cox) -> SampleLoss | None:
    """That of Cox, where each risk set has one sum."""
    sets = datafit.risk_sets
    if len(sets.blocks) > len(sets.starts):
        return None
    starts = np.append(sets.starts, len(sets.order)).astype(np.int64)
    risks = Risks(sets.order.astype(np.int64), starts, np.exp(sets.log_weight), sets.masses)
    return SampleLoss(COX, datafit.observed, datafit.share, datafit.offset, risks)
