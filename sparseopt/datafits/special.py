"""Special functions of SciPy that losses need, imported when first called: `scipy.special` doubles the import time."""

from __future__ import annotations

from typing import Any


def xlogy(x: Any, y: Any) -> Any:
    """x log y [...], 0 where x is 0."""
    from scipy.special import xlogy as function

    return function(x, y)


def xlog1py(x: Any, y: Any) -> Any:
    """x log(1 + y) [...], 0 where x is 0."""
    from scipy.special import xlog1py as function

    return function(x, y)
