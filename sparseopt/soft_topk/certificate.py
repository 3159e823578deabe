"""How far a threshold of the soft top-k is from the exact one: the log-balance, evaluated after an exact selection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._native.topk_reference import Selection, log_balance


@dataclass(frozen=True)
class ThresholdCertificate:
    """lower <= |s - s*| <= upper for the shift s of every row, in units of tau: |h| / 2 and |h|, widened by rounding.

    log_balance: h(s) = log sum_rest f - log sum_top (1 - f) with the exact top k (ties at the boundary in part), which
    increases with slope between 1 and 2 and vanishes at the exact shift s*.  All three [...], floats for one row.
    upper bounds the error of the threshold alone, not the rounding of the f that were stored.
    """

    log_balance: np.ndarray | float
    lower: np.ndarray | float
    upper: np.ndarray | float

    def within(self, tol: float) -> bool:
        """Whether every shift is proved to be within tol of the exact one."""
        return bool(np.all(np.asarray(self.upper) <= tol))


def certify_row(x: np.ndarray, k: int, tau: float, pivot: float, shift: float) -> tuple[float, float, float]:
    """(h, lower, upper) of a row x [n]; zeros where there is no threshold, because all finite f are 0 or 1."""
    if not np.isfinite(shift):
        return 0.0, 0.0, 0.0
    finite = x[np.isfinite(x)].astype(np.float64)
    top = Selection.of(finite, k - int(np.sum(x == np.inf)))
    with np.errstate(over="ignore"):
        z = (finite - pivot) / tau + shift
    # where the difference overflows, f is 0 or 1 to more than all digits
    z = np.clip(z, -1e300, 1e300)
    h, _ = log_balance(z, top)
    rounding = balance_rounding(z, top, shift)
    return h, max(0.0, abs(h) - rounding) / 2, abs(h) + rounding


def balance_rounding(z: np.ndarray, top: Selection, shift: float) -> float:
    """Bound on the rounding of h: of the logits, as the sums weight them, of the logarithms, and of the sums.

    Weights fall off exponentially from the boundary between top and rest, so the logits that count are no larger than
    those there by more than a few times log n.
    """
    boundary = max(abs(float(z[top.weight < 1].max())), abs(float(z[top.weight > 0].min())))
    return float(np.finfo(np.float64).eps) * (8.0 * (boundary + abs(shift)) + 16.0 * np.log2(len(z) + 1) + 64.0)
