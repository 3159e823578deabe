"""Strengths of other packages in ours: the arguments with which an estimator here has the same objective.

Ours is 1/(2n) |y - b - X w|^2 + lam sum_g weights[g] |w_g|_2 with weights sqrt(group size) by default; the other losses
are means over the samples too.  Each function returns a dict for the constructor:
`GroupLassoRegressor(groups, **from_celer(0.1))`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def from_skglm(alpha: float, weights: Any = None) -> dict[str, Any]:
    """skglm GroupLasso: 1/(2n) |y - X w|^2 + alpha sum_g weights[g] |w_g|_2, weights 1 by default.

    lam = alpha, weights the same.  Example: alpha_max of skglm is lambda_max here with weights="none".
    """
    return {"lam": float(alpha), "weights": "none" if weights is None else np.asarray(weights, dtype=np.float64)}


def from_celer(alpha: float, weights: Any = None) -> dict[str, Any]:
    """celer GroupLasso: 1/(2n) |y - X w|^2 + alpha sum_g weights[g] |w_g|_2, weights 1 by default.

    lam = alpha, weights the same.
    """
    return from_skglm(alpha, weights)


def from_adelie(lmda: float, penalty: Any = None, alpha: float = 1.0) -> dict[str, Any]:
    """adelie grpnet: 1/(2n) |y - b - X w|^2 + lmda sum_g penalty[g] (alpha |w_g|_2 + (1 - alpha) / 2 |w_g|_2^2).

    lam = lmda, weights = penalty, by default sqrt(group size), for both.  alpha must be 1, else ValueError: the
    estimators here have no ridge; `so.GroupElasticNet(lmda * alpha, groups, l2=lmda * (1 - alpha), weights="none")` is
    adelie's for penalty = 1.
    """
    if alpha != 1:
        raise ValueError(f"alpha is {alpha!r}: the estimators have no ridge, use so.GroupElasticNet with so.solve")
    return {"lam": float(lmda), "weights": "sqrt" if penalty is None else np.asarray(penalty, dtype=np.float64)}


def from_group_lasso(group_reg: float, l1_reg: float = 0.0, scale_reg: str | None = "group_size") -> dict[str, Any]:
    """group-lasso GroupLasso (1.5.0): what it minimises is 1/(2n) |y - b - X w|^2 + 2 (group_reg sum_g scale_g |w_g|_2
    + l1_reg |w|_1); its documentation leaves out the factor 2.

    lam = 2 group_reg.  scale_reg: "group_size" (sqrt(size), weights "sqrt") or "none" / None (weights "none").  With
    l1_reg > 0 the arguments of SparseGroupLassoRegressor: lam = 2 (group_reg + l1_reg), l1_ratio = l1_reg / (both).
    Raises ValueError for another scale_reg, or when both strengths are 0.
    """
    scales = {"group_size": "sqrt", "none": "none"}
    if str(scale_reg).lower() not in scales:
        raise ValueError(
            f'scale_reg is {scale_reg!r}: allowed are "group_size", "none" and None; give weights directly'
        )
    total = float(group_reg) + float(l1_reg)
    if not total > 0 or min(group_reg, l1_reg) < 0:
        raise ValueError(f"group_reg is {group_reg!r} and l1_reg {l1_reg!r}: not negative, and one must be positive")
    ratio = {"l1_ratio": float(l1_reg) / total} if l1_reg else {}
    return {"lam": 2 * total, "weights": scales[str(scale_reg).lower()]} | ratio
