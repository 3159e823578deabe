"""Special functions of SciPy that losses need, imported when first called: `scipy.special` doubles the import time."""

from __future__ import annotations

from typing import Any

import numpy as np


def expit(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) [...], relative error a few ulp."""
    from scipy.special import expit as function

    return function(x)


def xlogy(x: Any, y: Any) -> Any:
    """x log y [...], 0 where x is 0."""
    from scipy.special import xlogy as function

    return function(x, y)


def xlog1py(x: Any, y: Any) -> Any:
    """x log(1 + y) [...], 0 where x is 0."""
    from scipy.special import xlog1py as function

    return function(x, y)
