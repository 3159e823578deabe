"""The losses a second time, with rigorous bounds: values, gradients, Hessians and Fenchel-Young slacks.

Written from the definitions, independently of `sparseopt.datafits`; of a datafit only the data are read.
"""

from __future__ import annotations

from typing import Any

from ...datafits import Cox, Huber, LeastSquares, Logistic, Multinomial, MultiResponse, Poisson
from ..arithmetic import RationalArithmetic
from .base import Loss, muted
from .cox import CoxLoss
from .huber import HuberLoss
from .logistic import LogisticLoss
from .multinomial import MultinomialLoss
from .poisson import PoissonLoss
from .squares import SquaresLoss
from .vanishing import VanishingLoss

__all__ = ["Loss", "VanishingLoss", "loss_of", "muted"]

FORMULAS: dict[type, Any] = {
    LeastSquares: SquaresLoss,
    MultiResponse: SquaresLoss,
    Logistic: LogisticLoss,
    Multinomial: MultinomialLoss,
    Huber: HuberLoss,
    Poisson: PoissonLoss,
    Cox: CoxLoss,
}


def loss_of(datafit: Any, arithmetic: Any) -> Loss:
    """The rigorous formulas of a datafit; ValueError where there are none, or none at this level."""
    formula = FORMULAS.get(type(datafit))
    if formula is None:
        allowed = ", ".join(t.__name__ for t in FORMULAS)
        raise ValueError(f"{type(datafit).__name__} has no certificate: allowed are {allowed} and a quadratic")
    if isinstance(arithmetic, RationalArithmetic) and formula is not SquaresLoss:
        raise ValueError(
            f'level "exact" needs rational values, which {type(datafit).__name__} has not: '
            'allowed are LeastSquares, MultiResponse and a quadratic; use level="ball"'
        )
    if VanishingLoss.fits(datafit):
        return VanishingLoss(datafit, arithmetic)
    return formula(datafit, arithmetic)
